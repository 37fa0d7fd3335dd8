"""What came in by the tracking API, and above all what was refused of it, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from campaigns import consent
from campaigns.models import TrackedMessage, TrackedStatus
from campaigns.tracking import ledger
from personalize.core.admin_pages import ReadOnlyPage, badge, moment, stack

TONE = {
    TrackedStatus.STORED: "good",
    TrackedStatus.WAITING: "info",
    TrackedStatus.REFUSED: "bad",
    TrackedStatus.FORGOTTEN: "quiet",
}


if TYPE_CHECKING:
    _Paginator = Paginator[Any]
else:
    _Paginator = Paginator


class NewestPages(_Paginator):
    """Pages of the newest rows: nobody turns over millions, and counting them takes seconds."""

    most = 10_000

    @cached_property
    def count(self) -> int:
        rows = self.object_list
        assert isinstance(rows, QuerySet)
        return int(rows.order_by()[: self.most].count())


@admin.register(TrackedMessage)
class TrackedPage(ReadOnlyPage):
    list_display = ("came", "what", "status_badge", "why", "source", "whose")
    list_filter = ("status", "kind")
    search_fields = ("message_hash",)
    search_help_text = "A whole messageId or userId"
    ordering = ("-received_at", "-id")
    sortable_by = ()
    paginator = NewestPages
    fields = (
        "received_at", "occurred_at", "kind", "status_badge", "message_id", "source", "whose", "all_problems",
    )  # fmt: skip
    readonly_fields = ("status_badge", "source", "whose", "all_problems")
    empty_title = "Nothing was tracked yet"
    empty_help = (
        f"Point the host of any Segment SDK to {settings.PUBLIC_URL} and give it a write key: an API key with the "
        "one scope 'track'. What the SDK sends appears here, and what cannot be kept with its reason."
    )
    empty_link = ("API keys", "admin:core_apikey_changelist")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("key", "profile").defer("payload")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        found = Q(message_hash=ledger.hash_of(term)) | Q(profile__external_id=term)
        return queryset.filter(found | Q(person_hash=consent.address_hash(term))), False

    @admin.display(description="Came")
    def came(self, row: TrackedMessage) -> SafeString | str:
        return moment(row.received_at)

    @admin.display(description="Call")
    def what(self, row: TrackedMessage) -> SafeString:
        short = row.message_id if len(row.message_id) <= 24 else f"{row.message_id[:23]}…"
        return stack(row.get_kind_display() or "Unreadable", short)

    @admin.display(description="Status")
    def status_badge(self, row: TrackedMessage) -> SafeString:
        return badge(row.get_status_display(), TONE[TrackedStatus(row.status)])

    @admin.display(description="Why, or what was left out")
    def why(self, row: TrackedMessage) -> SafeString:
        if not row.problems:
            return format_html('<span class="pz-sub">{}</span>', "—")
        first = row.problems[0]
        more = f"and {len(row.problems) - 1} more" if len(row.problems) > 1 else ""
        return stack(f"{first['field']} {first['message']}", more)

    @admin.display(description="Problems")
    def all_problems(self, row: TrackedMessage) -> SafeString | str:
        rows = format_html_join(
            "", "<li><b>{}</b> {}</li>", ((p["field"], p["message"]) for p in row.problems)
        )
        return format_html('<ul class="pz-plain">{}</ul>', rows) if row.problems else "None"

    @admin.display(description="By key")
    def source(self, row: TrackedMessage) -> str:
        return row.key.name if row.key else "—"

    @admin.display(description="Person")
    def whose(self, row: TrackedMessage) -> SafeString | str:
        if row.profile is None:
            return "nobody yet" if row.status == TrackedStatus.WAITING else "—"
        address = reverse("admin:campaigns_profile_change", args=[row.profile.pk])
        return format_html('<a class="pz-link" href="{}">{}</a>', address, row.profile.external_id)
