"""Segments: who is meant, as a filter that reads as a sentence, with its number of people right now."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.forms import JSONField
from django.http import HttpRequest
from django.utils.safestring import SafeString

from campaigns import segments
from campaigns.admin.forms import RowForm, lines
from campaigns.models import Segment
from personalize.core.admin_pages import Page, moment, person, stack
from personalize.core.errors import DomainError, InvalidInput

SAMPLE = 12


class SegmentForm(RowForm):
    filter = JSONField(
        required=False,
        initial=dict,
        label="Filter",
        widget=lines(6, spellcheck="false", style="font-family:ui-monospace,monospace"),
        help_text='{} means everybody. {"all": [{"field": "lifecycle", "op": '
        '"is", "value": "lapsed"}]}; groups are all, any, not.',
    )  # fmt: skip

    class Meta:
        model = Segment
        fields = ("name", "slug", "filter", "like_text", "like_count")

    def clean_filter(self) -> Any:
        given = self.cleaned_data.get("filter") or {}
        try:
            segments.check(given)
        except InvalidInput as error:
            self.add_error("filter", str(error))
        return given


@admin.register(Segment)
class SegmentPage(Page):
    form = SegmentForm
    list_display = ("what", "in_words", "saved")
    search_fields = ("name",)
    ordering = ("name",)
    sortable_by = ()
    prepopulated_fields = {"slug": ("name",)}
    change_form_outer_before_template = "admin/campaigns/segment/people.html"
    change_form_outer_after_template = "admin/campaigns/segment/fields.html"
    empty_title = "No segment yet"
    empty_help = (
        "A segment says who a campaign is for: a filter over what "
        "you keep about people, or “people like …” in words."
    )
    fieldsets = (
        (None, {"fields": ("name", "slug", "filter")}),
        ("People like …", {"fields": ("like_text", "like_count")}),
    )

    @admin.display(description="Saved")
    def saved(self, row: Segment) -> SafeString | str:
        return moment(row.updated_at)

    @admin.display(description="Segment")
    def what(self, segment: Segment) -> SafeString:
        return stack(segment.name, segment.slug)

    @admin.display(description="In words")
    def in_words(self, segment: Segment) -> str:
        return _words(segment)

    def save_model(self, request: HttpRequest, obj: Segment, form: Any, change: bool) -> None:
        if not change:
            obj.created_by_id = person(request).pk
        super().save_model(request, obj, form, change)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        if obj is not None and obj.campaigns.exists():
            return False
        return super().has_delete_permission(request, obj)

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:  # fmt: skip
        context = dict(extra_context or {})
        segment = self.get_object(request, object_id) if object_id else None
        context["filter_fields"] = [
            (name, kind, ", ".join(segments.OPERATORS[kind])) for name, kind in segments.fields().items()
        ]
        if segment is not None:
            context |= {
                "segment": segment,
                "words": _words(segment),
                "used_by": segment.campaigns.order_by("name"),
            }
            if request.user.has_perm("campaigns.view_profile"):
                try:
                    context |= {"people": segments.count(segment), "sample": segments.sample(segment, SAMPLE)}
                except DomainError as error:
                    context["problem"] = str(error)
        return super().changeform_view(request, object_id, form_url, context)


def _words(segment: Segment) -> str:
    try:
        words = segments.describe(segment.filter)
    except DomainError as error:
        return f"Cannot be read: {error}"
    return (
        f"{words}; the {segment.like_count:,} most like “{segment.like_text}”" if segment.like_text else words
    )
