"""The rules of sending for all campaigns: quiet hours, frequency caps, days without mail, speed. One page."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from campaigns.admin.forms import RowForm
from campaigns.models.timing import Blackout, FrequencyCap, SendingRules
from personalize.core.admin_pages import Page, Rows


class RulesForm(RowForm):
    class Meta:
        model = SendingRules
        fields = ("quiet_from", "quiet_until", "per_minute")

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        start, end = given.get("quiet_from"), given.get("quiet_until")
        if (start is None) != (end is None):
            self.add_error(
                "quiet_until" if end is None else "quiet_from", "Quiet hours have a beginning and an end."
            )
        elif start is not None and start == end:
            self.add_error("quiet_until", "Quiet hours cannot last all day. Leave both empty for none.")
        return given


class BlackoutForm(RowForm):
    class Meta:
        model = Blackout
        fields = ("name", "first_day", "last_day", "campaign")

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        first, last = given.get("first_day"), given.get("last_day")
        if first and last and last < first:
            self.add_error("last_day", "The last day is before the first.")
        return given


class CapRows(Rows):
    model = FrequencyCap
    fields = ("channel", "most", "days")
    ordering = ("channel", "days")
    verbose_name_plural = "Frequency caps: at most so many messages to one reader, over all campaigns"


class BlackoutRows(Rows):
    model = Blackout
    form = BlackoutForm
    ordering = ("first_day",)
    verbose_name_plural = "Days on which nothing is sent, where the reader lives"


@admin.register(SendingRules)
class SendingRulesPage(Page):
    form = RulesForm
    inlines = (CapRows, BlackoutRows)
    fieldsets = (
        (
            "Quiet hours",
            {
                "fields": ("quiet_from", "quiet_until"),
                "description": "Nothing is handed over to a reader in these hours of their own time zone. A reader "
                "without one has the campaign's. What is approved waits and leaves afterwards.",
            },
        ),
        ("Speed", {"fields": ("per_minute",)}),
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        # The one row is there for whoever may see it; the first save stores it, a look does not.
        if object_id == "1" and self.has_view_permission(request):
            return SendingRules.objects.filter(pk=1).first() or SendingRules(pk=1)
        return super().get_object(request, object_id, from_field)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if not self.has_view_permission(request):
            return HttpResponse(status=403)
        return HttpResponseRedirect(reverse("admin:campaigns_sendingrules_change", args=[1]))
