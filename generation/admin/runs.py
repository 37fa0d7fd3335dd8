"""Runs: how far each has come, and the buttons to pause, cancel and release it. Launching starts here too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, IntegerField, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, reverse
from django.utils.decorators import method_decorator
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.views.decorators.http import require_GET, require_http_methods

from campaigns import brand_access, briefs, runs
from campaigns.models import Campaign, ReviewPolicy, Run, RunStatus, RunTrigger
from campaigns.models.channels import AD_CHANNELS
from generation import drafting, review
from generation.admin import run_numbers, seen
from generation.admin.experiments import experiment
from generation.admin.launching import forecast
from generation.admin.queue import rule_in_words
from generation.models import Finding, ModelVersion, Piece, SamplePlan, Status
from personalize.core.admin_pages import (
    Confirmation,
    ReadOnlyPage,
    attempt,
    badge,
    bar,
    confirm,
    log,
    need,
    person,
    stack,
)

TONE = {RunStatus.OPEN: "good", RunStatus.PAUSED: "warn", RunStatus.CANCELLED: "quiet"}


def _count(condition: Q) -> Coalesce:
    """Counted per row of the page, from the index, instead of grouping the whole table."""
    pieces = Piece.objects.filter(condition, run=OuterRef("pk")).order_by().values("run")
    return Coalesce(Subquery(pieces.annotate(n=Count("pk")).values("n"), output_field=IntegerField()), 0)


@admin.register(Run)
class RunPage(ReadOnlyPage):
    list_display = ("what", "trigger_badge", "written", "to_decide", "sent", "status_badge")
    list_per_page = 25
    list_filter = ("status", "trigger")
    search_fields = ("campaign__name",)
    ordering = ("-created_at",)
    sortable_by = ()
    empty_title = "No run yet"
    empty_help = (
        "A run is one execution of a campaign: its readers, brief "
        "and writer, frozen. Launch a campaign to see it here."
    )
    empty_link = ("Open the campaigns", "admin:campaigns_campaign_changelist")

    def get_queryset(self, request: HttpRequest) -> Any:
        found: QuerySet[Any] = super().get_queryset(request)
        found = brand_access.visible(found, request.user, "campaign__brand")
        return found.select_related("campaign", "created_by", "released_by").annotate(
            pieces_total=_count(Q()),
            pieces_left=_count(Q(status__in=(Status.DRAFT, Status.GENERATING))),
            pieces_waiting=_count(Q(status=Status.IN_REVIEW)),
            pieces_sent=_count(Q(status=Status.DELIVERED)),
        )

    @admin.display(description="Run")
    def what(self, run: Run) -> SafeString:
        return stack(run.campaign.name, f"{run.scheduled_for:%d %b %Y, %H:%M} UTC")

    @admin.display(description="Launched")
    def trigger_badge(self, run: Run) -> SafeString:
        return stack(run.get_trigger_display(), run.created_by.get_username() if run.created_by else "")

    @admin.display(description="Written")
    def written(self, run: Any) -> SafeString:
        done = run.pieces_total - run.pieces_left
        return bar(done, run.pieces_total, label=f"{done:,} of {run.pieces_total:,}")

    @admin.display(description="In review")
    def to_decide(self, run: Any) -> SafeString:
        return badge(f"{run.pieces_waiting:,}", "warn" if run.pieces_waiting else "quiet")

    @admin.display(description="Delivered")
    def sent(self, run: Any) -> str:
        return f"{run.pieces_sent:,}"

    @admin.display(description="Status")
    def status_badge(self, run: Run) -> SafeString:
        return badge(run.get_status_display(), TONE[RunStatus(run.status)])

    def pages(self) -> list[URLPattern]:
        return [
            self.at("launch/<int:pk>/", self.launch, "campaigns_campaign_launch"),
            self.at("experiment/<int:pk>/", self.experiment, "campaigns_campaign_experiment"),
            self.at("<int:pk>/numbers/", self.numbers, "campaigns_run_numbers"),
            self.at("<int:pk>/progress/", self.progress, "campaigns_run_progress"),
            self.at("<int:pk>/pause/", self.pause, "campaigns_run_pause"),
            self.at("<int:pk>/resume/", self.resume, "campaigns_run_resume"),
            self.at("<int:pk>/cancel/", self.cancel, "campaigns_run_cancel"),
            self.at("<int:pk>/release/", self.release, "campaigns_run_release"),
            self.at("<int:pk>/approve-clean/", self.approve_clean, "campaigns_run_approve_clean"),
        ]

    # -- reading ---------------------------------------------------------------------------------

    @method_decorator(require_GET)
    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        run = self.to_read(request, object_id)
        version = ModelVersion.objects.filter(name=run.model_version).first()
        found = (
            Finding.objects.filter(piece__run=run, piece__status=Status.IN_REVIEW)
            .values_list("rule", "severity")
            .annotate(n=Count("piece", distinct=True))
            .order_by("-n")[:8]
        )
        clean = Piece.objects.filter(run=run, status=Status.IN_REVIEW, blocking=0, warnings=0).count()
        context = self.frame(
            request,
            title=run.campaign.name,
            original=run,
            run=run,
            tone=TONE[RunStatus(run.status)],
            version=version,
            findings=[(rule, rule_in_words(rule), severity, n) for rule, severity, n in found],
            most=max((n for _, _, n in found), default=0),
            clean=clean,
            has_ads=bool(set(run.campaign.channels) & set(AD_CHANNELS)),
            together=run.campaign.review_policy == ReviewPolicy.CLEAN_TOGETHER,
            by_sample=run.campaign.review_policy == ReviewPolicy.BY_SAMPLE,
            sampled=SamplePlan.objects.filter(run=run).exists(),
            may_review=request.user.has_perm("generation.review_piece"),
            may_launch=request.user.has_perm("campaigns.launch_campaign"),
            may_send=request.user.has_perm("campaigns.send_campaign"),
            **self._shown(run),
        )
        return TemplateResponse(request, "admin/campaigns/run/page.html", context)

    def _shown(self, run: Run) -> dict[str, Any]:
        found = drafting.progress(run)
        queue = reverse("admin:generation_piece_changelist")
        return {
            "progress": found,
            "percent": round(100 * found.share),
            "busy": found.left > 0 and run.status == RunStatus.OPEN,
            "states": [
                {
                    "status": status.value,
                    "label": status.label,
                    "count": found.counts[status],
                    "share": 100 * found.counts[status] / found.total if found.total else 0,
                    "link": f"{queue}?{urlencode({'run': str(run.pk), 'status': status.value})}",
                }
                for status in Status
                if found.counts[status]
            ],
        }

    @method_decorator(require_GET)
    def numbers(self, request: HttpRequest, pk: int) -> HttpResponse:
        need(request, "campaigns.view_run", "generation.view_piece")
        run = self.load(request, pk)
        context = self.frame(request, title="The run in numbers", run=run, **run_numbers.numbers(run))
        return TemplateResponse(request, "admin/campaigns/run/numbers.html", context)

    @method_decorator(require_GET)
    def progress(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The live part of the run's page; `busy` says whether to ask again."""
        need(request, "campaigns.view_run")
        run = self.load(request, pk)
        shown = self._shown(run)
        html = TemplateResponse(request, "admin/campaigns/run/progress.html", {"run": run, **shown}).render()
        return JsonResponse({"busy": shown["busy"], "html": html.content.decode()})

    # -- deciding --------------------------------------------------------------------------------

    @method_decorator(require_http_methods(["GET", "POST"]))
    def launch(self, request: HttpRequest, pk: int) -> HttpResponse:
        need(request, "campaigns.launch_campaign", "campaigns.view_campaign")
        known = brand_access.visible(Campaign.objects.all(), request.user, "brand")
        campaign = known.select_related("brand", "segment").filter(pk=pk).first()
        if campaign is None:
            raise Http404
        back = reverse("admin:campaigns_campaign_change", args=[pk])
        if request.method == "POST":
            made: list[Run] = []
            deed = lambda: made.append(  # noqa: E731
                drafting.launch(campaign=campaign, by=person(request), trigger=RunTrigger.MANUAL)
            )
            if not attempt(request, deed, done=""):
                return HttpResponseRedirect(back)
            log(request, campaign, f"Launched: run {made[0].pk}.")
            messages.success(
                request, "Launched. The writer is at work; pieces come to review as they are written."
            )
            return HttpResponseRedirect(reverse("admin:campaigns_run_change", args=[made[0].pk]))
        problems = briefs.problems(campaign)
        seen = forecast(campaign) if not problems else None
        rows: list[tuple[str, object]] = []
        notes: list[str] = []
        if seen:
            if seen.readers:
                rows.append((f"People in “{campaign.segment}”", seen.readers))
            for channel in seen.channels:
                rows.append((channel.label, channel.pieces))
                rows += [(f"— left out: {reason}", count) for reason, count in channel.left_out]
            notes.append(
                "Nothing is sent by a launch: pieces wait for review, and approved ones for your release."
            )
        asked = Confirmation(
            title=f"Launch “{campaign.name}”?",
            sentence=(
                f"{seen.pieces:,} piece{'' if seen.pieces == 1 else 's'} will be written. "
                "Audience, brief and writer are frozen with the run."
                if seen
                else "This campaign cannot be launched yet."
            ),
            button=f"Launch: write {seen.pieces:,} piece{'' if seen.pieces == 1 else 's'}" if seen else "",
            back=back,
            rows=rows,
            notes=notes,
            blocked=" ".join(p.message for p in problems)
            or (
                "Nobody in the segment may be written to on these channels."
                if seen and not seen.pieces
                else ""
            ),
        )
        return confirm(self, request, asked)

    @method_decorator(require_http_methods(["GET", "POST"]))
    def experiment(self, request: HttpRequest, pk: int) -> HttpResponse:
        return experiment(self, request, pk)

    @method_decorator(require_http_methods(["GET", "POST"]))
    def pause(self, request: HttpRequest, pk: int) -> HttpResponse:
        return self._change(
            request, pk, runs.pause, "campaigns.launch_campaign", "Pause",
            "Nothing more is written or sent until it is resumed. What is being handed over at this moment still goes.",
            "Paused.",
        )  # fmt: skip

    @method_decorator(require_http_methods(["GET", "POST"]))
    def resume(self, request: HttpRequest, pk: int) -> HttpResponse:
        return self._change(
            request, pk, _resume, "campaigns.launch_campaign", "Resume",
            "Writing goes on, and what is approved and released is sent.", "Resumed.",
        )  # fmt: skip

    @method_decorator(require_http_methods(["GET", "POST"]))
    def cancel(self, request: HttpRequest, pk: int) -> HttpResponse:
        return self._change(
            request, pk, drafting.cancel, "campaigns.launch_campaign", "Cancel",
            "It is closed for good: every piece that has not left is withdrawn. This cannot be taken back.",
            "Cancelled.", danger=True,
        )  # fmt: skip

    @method_decorator(require_http_methods(["GET", "POST"]))
    def release(self, request: HttpRequest, pk: int) -> HttpResponse:
        run = self.load(request, pk)
        approved = Piece.objects.filter(run=run, status=Status.APPROVED).count()
        waiting = Piece.objects.filter(run=run, status=Status.IN_REVIEW).count()
        return self._change(
            request, pk, runs.release, "campaigns.send_campaign", "Release for sending",
            f"{approved:,} approved piece{'' if approved == 1 else 's'} may go out now, and each further one as it is "
            "approved. Consent, suppression and offer dates are checked again as each one leaves.",
            "Released: approved pieces are on their way.",
            rows=(("Approved, to be sent", approved), ("Still in review", waiting)),
        )  # fmt: skip

    @method_decorator(require_http_methods(["GET", "POST"]))
    def approve_clean(self, request: HttpRequest, pk: int) -> HttpResponse:
        need(request, "generation.review_piece")
        run = self.load(request, pk)
        back = reverse("admin:campaigns_run_change", args=[pk])
        revisions = review.clean_revisions(run)
        clean, question = len(revisions), f"approve the clean pieces of run {pk}"
        blocked = str(review.together_obstacle(run.campaign) or "")
        if not (blocked or clean):
            blocked = "No piece in review is without findings."
        shown = seen.unpacked(request.POST.get("seen", ""), person(request), question=question)
        if request.method == "POST" and not blocked and shown is None:
            messages.warning(request, "What you were shown cannot be made out any more. Look again.")
        elif request.method == "POST" and not blocked:
            note = request.POST.get("note", "").strip()[:500]
            told: list[str] = []

            def deed() -> None:
                result = review.approve_clean(run=run, by=person(request), note=note, revisions=shown)
                told.append(str(result))

            if attempt(request, deed, done=""):
                messages.success(request, f"{told[0]}.")
                log(request, run, f"Clean pieces decided together: {told[0]}")
            return HttpResponseRedirect(back)
        asked = Confirmation(
            title=f"Approve {clean:,} clean piece{'' if clean == 1 else 's'}?",
            sentence="You approve, in your name, every piece of this run that is in review and has no finding.",
            button=f"Approve {clean:,} piece{'' if clean == 1 else 's'}",
            back=back,
            notes=["The checks know rules, not sense. Read a few before you do this."],
            blocked=blocked,
            hidden=[("seen", seen.packed(revisions, person(request), question=question))],
            ask_note=True,
        )
        return confirm(self, request, asked)

    def _change(
        self, request: HttpRequest, pk: int, deed: Callable[..., Any], permission: str, verb: str, sentence: str,
        done: str, *, danger: bool = False, rows: tuple[tuple[str, object], ...] = (),
    ) -> HttpResponse:  # fmt: skip
        need(request, permission)
        run = self.load(request, pk)
        back = reverse("admin:campaigns_run_change", args=[pk])
        if request.method == "POST":
            if attempt(request, lambda: deed(run=run, by=person(request)), done=done):
                log(request, run, done)
            return HttpResponseRedirect(back)
        return confirm(
            self,
            request,
            Confirmation(
                title=f"{verb}: {run.campaign.name}, {run.scheduled_for:%d %b %H:%M}",
                sentence=sentence,
                button=verb,
                back=back,
                rows=rows,
                danger=danger,
            ),
        )


def _resume(*, run: Run, by: Any) -> None:
    runs.resume(run=run, by=by)
    drafting.enqueue(run_id=run.pk)
