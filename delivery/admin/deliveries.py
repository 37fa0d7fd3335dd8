"""Deliveries: what was handed over, and the uncertain ones that a person must settle."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, reverse
from django.utils.decorators import method_decorator
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.views.decorators.http import require_GET, require_http_methods

from campaigns import brand_access
from campaigns.models import Run
from delivery import exports, refreshing, sending
from delivery.admin import dry_run, results
from delivery.admin.ads import run_ads
from delivery.admin.previews import preview
from delivery.models import Delivery, DeliveryStatus, ExportFile
from generation.models import Piece, Status
from personalize.core.admin_pages import (
    Confirmation,
    ReadOnlyPage,
    attempt,
    badge,
    confirm,
    log,
    moment,
    need,
    person,
    stack,
)
from personalize.core.errors import DomainError

TONE = {
    DeliveryStatus.CLAIMED: "info",
    DeliveryStatus.HANDED_OVER: "good",
    DeliveryStatus.RETRY: "warn",
    DeliveryStatus.FAILED: "bad",
    DeliveryStatus.UNKNOWN: "bad",
}


def _obstacle(run: Run, approved: int) -> str:
    if not approved:
        return "Nothing approved waits for export."
    return "" if run.released_at else "Release the run for sending first: an export hands pieces over."


def _piece(request: HttpRequest, pk: int) -> Piece | None:
    known = brand_access.visible(Piece.objects.all(), request.user, "run__campaign__brand")
    return known.select_related("run__campaign", "delivery").filter(pk=pk).first()


@admin.register(Delivery)
class DeliveryPage(ReadOnlyPage):
    list_display = ("what", "channel_badge", "status_badge", "attempts", "said", "began", "settle")
    list_filter = ("status", "channel", "transport")
    ordering = ("-created_at",)
    sortable_by = ()
    fields = (
        "piece", "channel", "transport", "status", "message_id", "rendered_hash", "attempts",
        "retry_after", "response", "created_at", "finished_at", "came_back",
    )  # fmt: skip
    empty_title = "Nothing has left yet"
    empty_help = (
        "Approved pieces leave once their run is released. Each "
        "attempt is one row here, made before it is sent."
    )
    empty_link = ("Open the runs", "admin:campaigns_run_changelist")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = brand_access.visible(
            super().get_queryset(request), request.user, "piece__run__campaign__brand"
        )
        return rows.select_related("piece__run__campaign")

    @admin.display(description="Begun")
    def began(self, row: Delivery) -> SafeString | str:
        return moment(row.created_at)

    @admin.display(description="Piece")
    def what(self, row: Delivery) -> SafeString:
        return stack(row.piece.run.campaign.name, f"piece {row.piece_id} · {row.message_id}")

    @admin.display(description="Channel")
    def channel_badge(self, row: Delivery) -> SafeString:
        return badge(row.get_channel_display(), "plain")

    @admin.display(description="Status")
    def status_badge(self, row: Delivery) -> SafeString:
        return badge(row.get_status_display(), TONE[DeliveryStatus(row.status)])

    @admin.display(description="Answer")
    def said(self, row: Delivery) -> str:
        return row.response or "—"

    @admin.display(description="")
    def settle(self, row: Delivery) -> SafeString | str:
        page, words = {
            Status.UNKNOWN: ("admin:delivery_piece_settle", "Settle…"),
            Status.FAILED: ("admin:delivery_piece_send_again", "Send again…"),
        }.get(Status(row.piece.status), ("", ""))
        if not page:
            return ""
        return format_html(
            '<a class="pz-btn pz-small" href="{}">{}</a>', reverse(page, args=[row.piece_id]), words
        )

    @admin.display(description="What came back")
    def came_back(self, row: Delivery) -> SafeString | str:
        lines = [
            (
                outcome.get_kind_display(),
                f" · {outcome.amount}" if outcome.amount is not None else "",
                f" · {outcome.detail}" if outcome.detail else "",
                "" if outcome.counted else " · not counted",
                moment(outcome.occurred_at),
            )
            for outcome in row.outcomes.order_by("occurred_at", "pk")[:50]
        ]
        if not lines:
            return "Nothing yet."
        return format_html(
            '<ul class="pz-plain">{}</ul>', format_html_join("", "<li>{}{}{}{}, {}</li>", lines)
        )

    def pages(self) -> list[URLPattern]:
        return [
            self.at("preview/<int:pk>/", preview, "delivery_piece_preview"),
            self.at("dry-run/<int:pk>/", self.dry_run, "delivery_campaign_dry_run"),
            self.at("uncertain/", self.uncertain, "delivery_delivery_uncertain"),
            self.at("settle/<int:pk>/", self.settle_piece, "delivery_piece_settle"),
            self.at("send-again/<int:pk>/", self.send_again, "delivery_piece_send_again"),
            self.at("refresh/<int:pk>/", self.refresh, "delivery_run_refresh"),
            self.at("export/<int:pk>/", self.export, "delivery_run_export"),
            self.at("export/file/<int:pk>/", self.download, "delivery_export_file"),
            self.at("ads/<int:pk>/", self.ads, "delivery_run_ads"),
            *results.pages(self),
        ]

    @method_decorator(require_GET)
    def dry_run(self, request: HttpRequest, pk: int) -> HttpResponse:
        return dry_run.page(self, request, pk)

    @method_decorator(require_GET)
    def uncertain(self, request: HttpRequest) -> HttpResponse:
        """Every delivery of which nobody knows the end, the oldest first, each with its way to a decision."""
        need(request, "delivery.view_delivery")
        known = brand_access.visible(Delivery.objects.all(), request.user, "piece__run__campaign__brand")
        rows = known.filter(status=DeliveryStatus.UNKNOWN)
        context = self.frame(
            request,
            title="Uncertain deliveries",
            total=rows.count(),
            rows=rows.select_related("piece__run__campaign", "piece__profile").order_by("begun_at", "pk")[
                :200
            ],
            may_settle=request.user.has_perm("campaigns.send_campaign"),
        )
        return TemplateResponse(request, "admin/delivery/uncertain.html", context)

    @method_decorator(require_http_methods(["GET", "POST"]))
    def settle_piece(self, request: HttpRequest, pk: int) -> HttpResponse:
        """A person says whether an uncertain message arrived; nothing is ever sent again without that."""
        need(request, "campaigns.send_campaign", "delivery.view_delivery")
        piece = _piece(request, pk)
        if piece is None or not hasattr(piece, "delivery"):
            raise Http404
        back = reverse("admin:delivery_delivery_uncertain")
        verdicts = (
            (str(sending.Resolution.DELIVERED), "It arrived: the reader or the mail server confirms it"),
            (str(sending.Resolution.SEND_AGAIN), "It did not arrive: it may be sent again"),
            (str(sending.Resolution.WITHDRAW), "Leave it: do not send it again"),
        )
        verdict = request.POST.get("reason", "")
        if request.method == "POST" and verdict in dict(verdicts):
            if attempt(
                request,
                lambda: sending.resolve_unknown(
                    piece_id=pk,
                    by=person(request),
                    verdict=verdict,
                    note=request.POST.get("note", "").strip()[:500],
                ),
                done="Settled.",
            ):
                log(request, piece, f"Uncertain delivery settled: {verdict}.")
            return HttpResponseRedirect(back)
        asked = Confirmation(
            title=f"Did piece {pk} arrive?",
            sentence=(
                "The connection broke while this message was handed over, so nobody knows. Look into the mail "
                f"server's log for {piece.delivery.message_id}, then say what you found."
            ),
            button="Settle it",
            back=back,
            rows=(
                ("Campaign", piece.run.campaign.name),
                ("Server's last words", piece.delivery.response or "none"),
            ),
            reasons=verdicts,
            ask_note=True,
            note_label="What you found (optional, for the audit trail)",
            blocked="" if piece.status == Status.UNKNOWN else "This delivery is not uncertain any more.",
        )
        return confirm(self, request, asked)

    @method_decorator(require_http_methods(["GET", "POST"]))
    def send_again(self, request: HttpRequest, pk: int) -> HttpResponse:
        """A refused message, once somebody has mended the cause."""
        need(request, "campaigns.send_campaign", "delivery.view_delivery")
        piece = _piece(request, pk)
        if piece is None or not hasattr(piece, "delivery"):
            raise Http404
        back = reverse("admin:delivery_delivery_changelist") + "?status__exact=failed"
        if request.method == "POST":
            note = request.POST.get("note", "").strip()[:500]
            if attempt(
                request,
                lambda: sending.send_failed_again(piece_id=pk, by=person(request), note=note),
                done="It waits to be sent again.",
            ):
                log(request, piece, "Failed delivery to be sent again.")
            return HttpResponseRedirect(back)
        asked = Confirmation(
            title=f"Send piece {pk} again?",
            sentence="The mail server refused it, so it has not arrived. Consent, facts and dates are checked anew.",
            button="Send again",
            back=back,
            rows=(
                ("Campaign", piece.run.campaign.name),
                ("Server's last words", piece.delivery.response or "none"),
            ),
            ask_note=True,
            blocked="" if piece.status == Status.FAILED else "This delivery has not failed.",
        )
        return confirm(self, request, asked)

    @method_decorator(require_http_methods(["GET", "POST"]))
    def refresh(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Take changed values into a run; what was approved with the old ones goes back to review."""
        need(request, "campaigns.launch_campaign", "campaigns.view_run")
        run = (
            brand_access.visible(Run.objects.select_related("campaign"), request.user, "campaign__brand")
            .filter(pk=pk)
            .first()
        )
        if run is None:
            raise Http404
        back = reverse("admin:campaigns_run_change", args=[pk])
        found = refreshing.changes(run)
        if request.method == "POST":
            done: list[refreshing.Refreshed] = []
            deed = lambda: done.append(refreshing.refresh(run=run, by=person(request)))  # noqa: E731
            if attempt(request, deed, done=""):
                messages.success(
                    request,
                    f"{len(done[0].changes)} values taken over; {done[0].returned:,} approved pieces are back in "
                    f"review, {done[0].cleared:,} in review are true again.",
                )
                log(request, run, "Values taken over from the campaign.")
            return HttpResponseRedirect(back)
        asked = Confirmation(
            title=f"Take changed values into this run of “{run.campaign.name}”?",
            sentence=(
                "Prices, dates and other values were frozen at the launch. Approved pieces that say one of these go "
                "back to review, to be looked at with the new one."
            ),
            button="Take them over",
            back=back,
            rows=[(change.name, f"{change.was} → {change.now}") for change in found],
            blocked="" if found else "The campaign's values are those of this run.",
        )
        return confirm(self, request, asked)

    @method_decorator(require_http_methods(["GET", "POST"]))
    def export(self, request: HttpRequest, pk: int) -> HttpResponse:
        need(request, "campaigns.send_campaign")
        known = brand_access.visible(Run.objects.all(), request.user, "campaign__brand")
        run = known.select_related("campaign").filter(pk=pk).first()
        if run is None:
            raise Http404
        back = reverse("admin:campaigns_run_change", args=[pk])
        if request.method == "POST":
            if attempt(request, lambda: exports.export_run(run=run, by=person(request)), done="Exported."):
                log(request, run, "Exported.")
            return HttpResponseRedirect(reverse("admin:delivery_run_export", args=[pk]))
        files = list(ExportFile.objects.filter(run=run).order_by("-created_at")[:20])
        approved = Piece.objects.filter(
            run=run, status=Status.APPROVED, channel__in=exports.by_file()
        ).count()
        asked = Confirmation(
            title=f"Export “{run.campaign.name}”",
            sentence="Approved ads are written to one file per channel, ready to upload to the platform.",
            button=f"Export {approved:,} piece{'' if approved == 1 else 's'}",
            back=back,
            rows=(("Approved, for a file", approved),),
            links=tuple(
                (
                    f"{f.path} ({f.rows} rows, {f.created_at:%d %b %H:%M})",
                    reverse("admin:delivery_export_file", args=[f.pk]),
                )
                for f in files
            ),
            blocked=_obstacle(run, approved),
        )
        return confirm(self, request, asked)

    @method_decorator(require_GET)
    def ads(self, request: HttpRequest, pk: int) -> HttpResponse:
        return run_ads(self, request, pk)

    @method_decorator(require_GET)
    def download(self, request: HttpRequest, pk: int) -> FileResponse:
        need(request, "campaigns.send_campaign")
        files = brand_access.visible(ExportFile.objects.all(), request.user, "run__campaign__brand")
        row = files.filter(pk=pk).first()
        if row is None:
            raise Http404
        try:
            path = exports.location(row)
        except DomainError as error:
            raise Http404 from error
        if not path.is_file():
            raise Http404
        return FileResponse(path.open("rb"), as_attachment=True, filename=path.name, content_type="text/csv")
