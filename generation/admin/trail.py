"""The audit trail: every transition and decision, to read, export and verify."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, time
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import SimpleListFilter
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.urls import URLPattern, reverse
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_GET, require_POST

from campaigns.models import Channel
from generation import audit, audit_export
from generation.admin.queue import TONE
from generation.models import PieceEvent, RejectReason, Status
from personalize.core.admin_pages import ReadOnlyPage, badge, moment, need, stack

VERIFIED = 100_000  # rows checked while somebody waits; the command checks all
EXPORT = "generation.export_pieceevent"
_WORDS = {
    **dict(RejectReason.choices),
    "planted": "Planted, known to be bad",
    "plant_caught": "Planted and caught",
    "plant_missed": "Planted and let through",
    "plant_void": "Planted, not counted",
}


class ByFilter(SimpleListFilter):
    title = "by"
    parameter_name = "by"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return [("people", "People"), ("system", "The system")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[PieceEvent]) -> QuerySet[PieceEvent]:
        match self.value():
            case "people":
                return queryset.filter(actor_id__isnull=False)
            case "system":
                return queryset.filter(actor_id=None)
        return queryset


class HastyFilter(SimpleListFilter):
    title = "reading time"
    parameter_name = "hasty"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return [("yes", "Faster than it can be read")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[PieceEvent]) -> QuerySet[PieceEvent]:
        return queryset.filter(is_hasty=True) if self.value() == "yes" else queryset


@admin.register(PieceEvent)
class TrailPage(ReadOnlyPage):
    list_display = ("what", "became", "who", "why", "where", "chained", "when")
    list_display_links = ("what",)
    list_filter = (ByFilter, HastyFilter, "to_status")
    list_before_template = "admin/generation/pieceevent/tools.html"
    list_filter_sheet = True
    list_fullwidth = True
    ordering = ("-id",)
    sortable_by = ()
    fields = (
        "seq", "at", "piece_id", "run_id", "campaign", "channel", "actor_id", "actor_name", "from_status",
        "to_status", "revision", "text_hash", "reason", "note", "seconds", "is_hasty", "previous_hash", "hash",
        "note_digest",
    )  # fmt: skip
    readonly_fields = ("previous_hash", "hash", "note_digest", "seq")
    empty_title = "Nothing happened yet"
    empty_help = "Every step of a piece and every decision leaves a row here, chained to the row before."

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        context = {"may_export": request.user.has_perm(EXPORT), "verified": VERIFIED}
        return super().changelist_view(request, {**(extra_context or {}), **context})

    def pages(self) -> list[URLPattern]:
        return [
            self.at("export/<str:kind>/", self.export, "generation_pieceevent_export"),
            self.at("verify/", self.verify, "generation_pieceevent_verify"),
        ]

    @admin.display(description="What")
    def what(self, event: PieceEvent) -> SafeString:
        if event.from_status == event.to_status:
            words = f"new text, revision {event.revision}"
        else:
            words = f"was {event.get_from_status_display().lower()}" if event.from_status else "new"
        return stack(f"Piece {event.piece_id}", words)

    @admin.display(description="Became")
    def became(self, event: PieceEvent) -> SafeString:
        to = Status(event.to_status)
        return badge(to.label, TONE[to])

    @admin.display(description="By")
    def who(self, event: PieceEvent) -> SafeString | str:
        if event.actor_id is None:
            return "The system"
        if event.seconds is None:
            return event.actor_name
        return stack(event.actor_name, f"after {event.seconds} s" + (", hasty" if event.is_hasty else ""))

    @admin.display(description="Why")
    def why(self, event: PieceEvent) -> SafeString:
        note = event.note
        if event.note_digest and not event.note_salt:
            note = "note erased with its reader"
        return stack(_WORDS.get(event.reason, event.reason) or "—", note)

    @admin.display(description="Campaign")
    def where(self, event: PieceEvent) -> SafeString:
        labels = dict(Channel.choices)
        return stack(event.campaign or f"Run {event.run_id}", str(labels.get(event.channel, event.channel)))

    @admin.display(description="Chain")
    def chained(self, event: PieceEvent) -> SafeString:
        if event.seq is None:
            return badge("Open", "quiet", title="It is sealed within seconds")
        return format_html("<code>{}</code> {}", event.hash[:8], f"{event.seq:,}")

    @admin.display(description="When")
    def when(self, event: PieceEvent) -> SafeString | str:
        return moment(event.at)

    @method_decorator(require_GET)
    def export(self, request: HttpRequest, kind: str) -> HttpResponse | StreamingHttpResponse:
        """The rows sealed so far, streamed: `since` and `until` are days."""
        need(request, EXPORT, "generation.view_pieceevent")
        if kind not in audit_export.FORMATS:
            return HttpResponse("The formats are csv and jsonl.", status=404, content_type="text/plain")
        chosen = audit_export.rows(since=_day(request, "since"), until=_day(request, "until"))
        response = StreamingHttpResponse(
            audit_export.lines(chosen, "csv" if kind == "csv" else "jsonl"),
            content_type=audit_export.FORMATS["csv" if kind == "csv" else "jsonl"],
        )
        response["Content-Disposition"] = f'attachment; filename="audit-{timezone.localdate()}.{kind}"'
        response["Cache-Control"] = "no-store"
        return response

    @method_decorator(require_POST)
    def verify(self, request: HttpRequest) -> HttpResponse:
        need(request, EXPORT, "generation.view_pieceevent")
        verdict = audit.verify(last=VERIFIED)
        if verdict.broken is not None:
            messages.error(request, f"The audit trail is not what it was. {verdict.broken}")
        elif not verdict.rows:
            messages.info(request, "No row is sealed yet: they are within seconds of being written.")
        else:
            messages.success(
                request,
                f"{verdict.rows:,} rows from number {verdict.first:,} and {verdict.seals:,} seals hold. "
                f"{verdict.open:,} wait to be sealed.",
            )
        return HttpResponseRedirect(reverse("admin:generation_pieceevent_changelist"))


def _day(request: HttpRequest, name: str) -> datetime | None:
    try:
        day = parse_date(request.GET.get(name, ""))
    except ValueError:
        return None
    return timezone.make_aware(datetime.combine(day, time.min)) if day else None
