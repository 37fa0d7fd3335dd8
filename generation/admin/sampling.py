"""Approval by sample: the page of a run where it is drawn, read, passed or failed, and its certificate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.safestring import SafeString
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from campaigns import brand_access
from campaigns.models import ReviewPolicy, Run, RunStatus
from generation import drafting
from generation.admin import sample_shown
from generation.models import SamplePlan, SampleStratum, StratumState
from generation.review import sampling, sampling_plans
from generation.review.sample_groups import groups_of
from generation.review.sample_standing import CRITICAL, standings
from personalize.core.admin_pages import (
    Confirmation,
    ReadOnlyPage,
    attempt,
    badge,
    confirm,
    log,
    need,
    person,
    stack,
)
from personalize.core.errors import DomainError

REVIEW = "generation.review_piece"
VIEW = "generation.view_piece"
NAMED = 12  # pieces that stayed, named in a message; the certificate names them all


@admin.register(SamplePlan)
class SamplePlanPage(ReadOnlyPage):
    list_display = ("what", "promise", "drawn", "covers", "state_badge")
    list_per_page = 25
    ordering = ("-pk",)
    sortable_by = ()
    empty_title = "Nothing was drawn yet"
    empty_help = (
        "With approval by sample a person reads a random part of a run's clean pieces, and what they find "
        "decides for the rest. Choose it as the review policy of a campaign, launch it, and open the run."
    )
    empty_link = ("Open the runs", "admin:campaigns_run_changelist")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm(VIEW)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(VIEW)

    def get_queryset(self, request: HttpRequest) -> Any:
        plans = brand_access.visible(super().get_queryset(request), request.user, "run__campaign__brand")
        return plans.select_related("run__campaign").prefetch_related("strata")

    @admin.display(description="Run")
    def what(self, plan: SamplePlan) -> SafeString:
        return stack(plan.run.campaign.name, f"{plan.run.scheduled_for:%d %b %Y, %H:%M} UTC")

    @admin.display(description="Promise")
    def promise(self, plan: SamplePlan) -> str:
        return sample_shown.promise_words(plan)

    @admin.display(description="Drawn")
    def drawn(self, plan: SamplePlan) -> SafeString:
        return stack(plan.drawn_by_name, f"{timezone.localtime(plan.drawn_at):%d %b %Y, %H:%M}")

    @admin.display(description="Covers")
    def covers(self, plan: SamplePlan) -> str:
        return f"{plan.covered:,}"

    @admin.display(description="State")
    def state_badge(self, plan: SamplePlan) -> SafeString:
        states = {stratum.state for stratum in plan.strata.all()}
        for state in (StratumState.OPEN, StratumState.FAILED, StratumState.PASSED, StratumState.DROPPED):
            if state in states:
                return badge(state.label, sample_shown.TONES[state])
        return badge("Empty", "quiet")

    def pages(self) -> list[URLPattern]:
        return [
            self.at("of-run/<int:pk>/", self.of_run, "generation_sampleplan_of_run"),
            self.at("of-run/<int:pk>/draw/", self.draw, "generation_sampleplan_draw"),
            self.at("of-run/<int:pk>/certificate/", self.certificate, "generation_sampleplan_certificate"),
            self.at("<int:pk>/drop/", self.drop, "generation_sampleplan_drop"),
            self.at("group/<int:pk>/next/", self.next, "generation_sampleplan_next"),
            self.at("group/<int:pk>/pass/", self.pass_group, "generation_sampleplan_pass"),
            self.at("group/<int:pk>/fail/", self.fail_group, "generation_sampleplan_fail"),
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
        need(request, VIEW)
        plan = self.get_object(request, object_id)
        if plan is None:
            raise Http404
        return HttpResponseRedirect(_of_run(plan.run_id))

    @method_decorator(require_GET)
    def of_run(self, request: HttpRequest, pk: int) -> HttpResponse:
        need(request, VIEW)
        run = _run(request, pk)
        plan = sampling.open_plan(run)
        promise, wrong = sample_shown.asked_or_usual(request)
        groups = groups_of(run)
        context = self.frame(
            request,
            title="Approve by sample",
            run=run,
            plan=plan,
            rows=sample_shown.rows(plan) if plan else [],
            promise_words=sample_shown.promise_words(plan) if plan else "",
            critical=sample_shown.reasons_in_words(plan.critical_reasons if plan else list(CRITICAL)),
            allowed=run.campaign.review_policy == ReviewPolicy.BY_SAMPLE,
            cancelled=run.status == RunStatus.CANCELLED,
            may_review=request.user.has_perm(REVIEW),
            may_change=request.user.has_perm("campaigns.change_campaign"),
            groups=groups,
            left=drafting.progress(run).left,
            wrong=wrong,
            offers=sample_shown.offers(groups, promise),
            whole=sample_shown.whole_offer(groups, promise) if groups.groups else "",
            to_read=groups.to_read(promise),
            prices=sample_shown.prices(groups, promise) if groups.groups else [],
            confidences=[sampling_plans.percent(c) for c in sample_shown.CONFIDENCES],
            confidence=sampling_plans.percent(promise.confidence),
            bad=sampling_plans.percent(promise.defect_rate),
            earlier=[
                (old, sample_shown.promise_words(old), sample_shown.rows(old))
                for old in SamplePlan.objects.filter(run=run, closed_at__isnull=False).order_by("-pk")[:10]
            ],
        )
        return TemplateResponse(request, "admin/generation/sampleplan/page.html", context)

    @method_decorator(require_GET)
    def certificate(self, request: HttpRequest, pk: int) -> HttpResponse:
        """A page to print: what was promised, drawn, read and decided for this run. Ids and hashes, no copy."""
        need(request, VIEW)
        run = _run(request, pk)
        found = [
            (
                plan,
                sample_shown.promise_words(plan),
                sample_shown.reasons_in_words(plan.critical_reasons),
                shown,
            )
            for plan in SamplePlan.objects.filter(run=run).order_by("pk")
            for shown in [[(row, sample_shown.reads_of(row)) for row in sample_shown.rows(plan)]]
        ]
        context = {
            "run": run,
            "plans": found,
            "decided": sample_shown.decided(run).items(),
            "printed_at": timezone.now(),
            "printed_by": person(request).get_username(),
        }
        return TemplateResponse(request, "admin/generation/sampleplan/certificate.html", context)

    @method_decorator(require_GET)
    def next(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The next drawn piece that nobody read, on the desk."""
        need(request, VIEW)
        stratum = _stratum(request, pk)
        found = standings(stratum.plan, [stratum])[stratum.pk].next_id
        if found is None or stratum.state != StratumState.OPEN:
            messages.info(request, "Every drawn piece of this group has been read.")
            return HttpResponseRedirect(_of_run(stratum.plan.run_id))
        return HttpResponseRedirect(sample_shown.desk_url(found, stratum.pk))

    # -- deciding --------------------------------------------------------------------------------

    @method_decorator(require_POST)
    def draw(self, request: HttpRequest, pk: int) -> HttpResponse:
        need(request, REVIEW)
        run = _run(request, pk)
        taste = request.POST.get("taste") == "counts"
        made: list[SamplePlan] = []

        def deed() -> None:
            promise = sample_shown.asked(request.POST)
            made.append(sampling.draw(run=run, by=person(request), promise=promise, taste_counts=taste))

        if attempt(request, deed, done=""):
            log(request, run, f"Sample drawn: plan {made[0].pk}, {sample_shown.promise_words(made[0])}.")
            messages.success(request, "Drawn. Read the pieces of each group; the page shows how far you are.")
        return HttpResponseRedirect(_of_run(pk))

    @method_decorator(require_http_methods(["GET", "POST"]))
    def pass_group(self, request: HttpRequest, pk: int) -> HttpResponse:
        need(request, REVIEW)
        stratum = _stratum(request, pk)
        plan, back = stratum.plan, _of_run(stratum.plan.run_id)
        if request.method == "POST":
            note = request.POST.get("note", "").strip()[:500]
            return self._do(
                request,
                stratum,
                lambda: _told(sampling.pass_group(stratum_id=pk, by=person(request), note=note)),
            )
        row = next(row for row in sample_shown.rows(plan) if row.stratum.pk == pk)
        whole = sampling.as_drawn_count(stratum)
        changed = max(0, row.rest - whole)
        questions: list[tuple[str, object]] = [
            ("In the group", stratum.size),
            ("Drawn and read", row.done),
            ("Good", row.good),
            ("Not to taste", row.taste),
            ("Approved unread, if you pass it", whole),
            ("No longer as drawn: they stay", changed),
        ]
        asked = Confirmation(
            title=f"Pass “{row.name}”?",
            sentence=(
                f"You approve {whole:,} piece{'' if whole == 1 else 's'} that nobody read, in your name: "
                f"{sample_shown.promise_words(plan)}."
                if row.rest
                else "Every piece of this group was drawn and read. Nothing is approved unread."
            ),
            button=f"Pass: approve {whole:,} unread" if row.rest else "Close the group as passed",
            back=back,
            rows=questions,
            notes=[
                "Each piece is compared with the text that was drawn. What changed since stays in review and is named."
            ],
            blocked=_obstacle(row),
            ask_note=True,
        )
        return confirm(self, request, asked)

    @method_decorator(require_http_methods(["GET", "POST"]))
    def fail_group(self, request: HttpRequest, pk: int) -> HttpResponse:
        need(request, REVIEW)
        stratum = _stratum(request, pk)
        plan, back = stratum.plan, _of_run(stratum.plan.run_id)
        if request.method == "POST":
            what = request.POST.get("reason", "")
            if what not in ("read_all", "write_again"):
                messages.error(request, "Choose what becomes of the rest of the group.")
                return HttpResponseRedirect(reverse("admin:generation_sampleplan_fail", args=[pk]))
            note, again = request.POST.get("note", "").strip()[:500], what == "write_again"

            def deed() -> str:
                moved = sampling.fail_group(stratum_id=pk, by=person(request), note=note, write_again=again)
                return (
                    f"Failed; {moved:,} piece{'' if moved == 1 else 's'} went back to the writer."
                    if again
                    else "Failed; the rest is to be read one by one."
                )

            return self._do(request, stratum, deed)
        row = next(row for row in sample_shown.rows(plan) if row.stratum.pk == pk)
        broken = row.standing.why_broken if row.standing else ""
        asked = Confirmation(
            title=f"Fail “{row.name}”?",
            sentence="Nothing of this group is approved by this sample, and no later sample may cover these texts.",
            button="Fail the group",
            back=back,
            rows=[("In the group", stratum.size), ("Drawn and read", row.done), ("Bad", row.bad)],
            notes=[f"Why: {broken}.", *sample_shown.advice(row)]
            if broken
            else ["No drawn piece was bad: say in the note why it fails."],
            danger=True,
            reasons=[
                ("read_all", "The rest is read and decided one by one"),
                ("write_again", "The rest goes back to the writer; the new texts may be drawn again"),
            ],
            reasons_label="What becomes of the rest?",
            ask_note=True,
            note_label="Note (optional)" if broken else "Note: why it fails",
            blocked="" if row.is_open else f"This group is decided: {row.state.label.lower()}.",
        )
        return confirm(self, request, asked)

    @method_decorator(require_http_methods(["GET", "POST"]))
    def drop(self, request: HttpRequest, pk: int) -> HttpResponse:
        need(request, REVIEW)
        plan = self.load(request, pk)
        back = _of_run(plan.run_id)
        if request.method == "POST":
            note = request.POST.get("note", "").strip()[:500]
            if attempt(
                request, lambda: sampling.drop(plan_id=pk, by=person(request), note=note), done="Dropped."
            ):
                log(request, plan.run, f"Sample dropped: plan {pk}.")
            return HttpResponseRedirect(back)
        asked = Confirmation(
            title=f"Drop plan {pk}?",
            sentence="You can draw again by other numbers. Decisions on pieces that were read stand.",
            button="Drop the plan",
            back=back,
            notes=[
                "The order of the draw stays the same for this run, so a new draw begins with the same unread pieces. "
                "A group in which a bad piece was found fails now."
            ],
            danger=True,
            ask_note=True,
            blocked="" if plan.is_open else "This plan is closed.",
        )
        return confirm(self, request, asked)

    def _do(self, request: HttpRequest, stratum: SampleStratum, deed: Callable[[], str]) -> HttpResponse:
        try:
            told = deed()
        except DomainError as error:
            messages.error(request, str(error))
        else:
            messages.success(request, told)
            log(request, stratum.plan.run, f"Plan {stratum.plan_id}, group {stratum.pk}: {told}"[:1000])
        return HttpResponseRedirect(_of_run(stratum.plan.run_id))


def _run(request: HttpRequest, pk: int) -> Run:
    known = brand_access.visible(Run.objects.all(), request.user, "campaign__brand")
    run = known.select_related("campaign__segment").filter(pk=pk).first()
    if run is None:
        raise Http404
    return run


def _stratum(request: HttpRequest, pk: int) -> SampleStratum:
    known = brand_access.visible(SampleStratum.objects.all(), request.user, "plan__run__campaign__brand")
    stratum = known.select_related("plan__run__campaign").filter(pk=pk).first()
    if stratum is None:
        raise Http404
    return stratum


def _of_run(pk: int) -> str:
    return reverse("admin:generation_sampleplan_of_run", args=[pk])


def _obstacle(row: sample_shown.Row) -> str:
    if not row.is_open:
        return f"This group is decided: {row.state.label.lower()}."
    if row.is_broken and row.standing:
        return f"The sample has a bad piece, so the rest cannot pass: {row.standing.why_broken}."
    if row.unread:
        return f"{row.unread:,} drawn piece{'' if row.unread == 1 else 's'} must be read first."
    return ""


def _told(passed: sampling.Passed) -> str:
    told = f"Passed: {passed.approved:,} approved by the sample."
    if passed.left:
        named = ", ".join(str(pk) for pk in sorted(passed.left)[:NAMED])
        more = f" and {len(passed.left) - NAMED:,} more" if len(passed.left) > NAMED else ""
        told += f" {len(passed.left):,} had changed since the draw and stayed: {named}{more}."
    return told
