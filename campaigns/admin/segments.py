"""Segments: who is meant, built from lines without code, read as a sentence, with its number of people right now."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import Count
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.safestring import SafeString
from django.views.decorators.http import require_http_methods

from campaigns import brand_access, segments
from campaigns.admin.forms import RowForm
from campaigns.admin.segment_form import Typed, read, show
from campaigns.models import Segment
from campaigns.segments import looking
from personalize.core.admin_pages import Page, moment, need, person, stack
from personalize.core.errors import DomainError

FRAGMENT = "X-Fragment"  # sent by the page's script, which asks for the changed parts alone


class SegmentForm(RowForm):
    class Meta:
        model = Segment
        fields = ("name", "slug", "like_text", "like_count")


@admin.register(Segment)
class SegmentPage(Page):
    form = SegmentForm
    list_display = ("what", "in_words", "campaigns_using", "saved")
    search_fields = ("name",)
    ordering = ("name",)
    sortable_by = ()
    prepopulated_fields = {"slug": ("name",)}
    empty_title = "No segment yet"
    empty_help = (
        "A segment says who a campaign is for: lines about what you keep about people and what they did, "
        "or “people like …” in words."
    )

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).annotate(used=Count("campaigns"))

    @admin.display(description="Saved")
    def saved(self, row: Segment) -> SafeString | str:
        return moment(row.updated_at)

    @admin.display(description="Segment")
    def what(self, segment: Segment) -> SafeString:
        return stack(segment.name, segment.slug)

    @admin.display(description="In words")
    def in_words(self, segment: Segment) -> str:
        return words_of(segment)

    @admin.display(description="Campaigns")
    def campaigns_using(self, segment: Any) -> str:
        return f"{segment.used:,}" if segment.used else "—"

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        if obj is not None and obj.campaigns.exists():
            return False
        return super().has_delete_permission(request, obj)

    @method_decorator(require_http_methods(["GET", "POST"]))
    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        need(request, "campaigns.add_segment")
        return self._page(request, Segment(), may_change=True)

    @method_decorator(require_http_methods(["GET", "POST"]))
    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:  # fmt: skip
        segment = self.to_read(request, object_id)
        if request.method == "POST":
            need(request, "campaigns.change_segment")
        return self._page(request, segment, may_change=self.has_change_permission(request, segment))

    def _page(self, request: HttpRequest, segment: Segment, *, may_change: bool) -> HttpResponse:
        """The form, and what it means right now. Every button but `save` shows it again and stores nothing."""
        posted = request.POST if request.method == "POST" else None
        form = SegmentForm(posted, instance=Segment.objects.filter(pk=segment.pk).first() or Segment())
        typed = read(posted, segment.filter)
        saving = posted is not None and posted.get("do") in ("save", "save_and_stay", None)
        if saving and form.is_valid() and not typed.errors(strict=True):
            self._save(request, form, typed)
            stays = posted is not None and posted.get("do") == "save_and_stay"
            address = f"admin:campaigns_segment_{'change' if stays else 'changelist'}"
            return HttpResponseRedirect(reverse(address, args=[form.instance.pk] if stays else []))
        shown = {
            **show(typed, strict=saving),
            **self._look(request, typed, segment, posted),
            "may_change": may_change,
            "do": typed.did,
        }
        if request.headers.get(FRAGMENT):
            parts = {
                part: render_to_string(f"admin/campaigns/segment/{part}.html", shown, request=request)
                for part in ("builder", "look")
            }
            return JsonResponse({**parts, "focus": typed.focus})
        saved = self.get_queryset(request).filter(pk=segment.pk).first()
        used_by = (
            list(brand_access.visible(saved.campaigns.order_by("name"), request.user, "brand"))
            if saved
            else []
        )
        context = self.frame(
            request,
            title=saved.name if saved else "New segment",
            original=saved,
            segment=saved,
            form=form,
            saving=saving,
            used_by=used_by,
            used_by_others=saved.used - len(used_by) if saved else 0,
            may_delete=saved is not None and self.has_delete_permission(request, saved),
            **shown,
        )
        if typed.focus and request.method == "POST":
            context["focus"] = typed.focus
        return TemplateResponse(request, "admin/campaigns/segment/page.html", context)

    def _look(self, request: HttpRequest, typed: Typed, segment: Segment, posted: Any) -> dict[str, Any]:
        """The sentence, the number of people and some of them; nothing of people for who may not see any."""
        like = (posted.get("like_text", "") if posted is not None else segment.like_text).strip()
        found: dict[str, Any] = {"like": like, "words": "", "look": None, "trouble": ""}
        try:
            tree = typed.usable_filter()
            found["words"] = segments.describe(tree)
            if request.user.has_perm("campaigns.view_profile"):
                found["look"] = looking.look(tree)
                if like and segment.like_vector is not None and like == segment.like_text:
                    segment.filter = tree
                    found["nearest"] = segments.sample(segment, looking.SAMPLE)
        except DomainError as error:
            found["trouble"] = str(error)
        return found

    @transaction.atomic
    def _save(self, request: HttpRequest, form: SegmentForm, typed: Typed) -> None:
        segment: Segment = form.instance
        is_new = segment.pk is None
        segment.filter = typed.filter()
        if is_new:
            segment.created_by_id = person(request).pk
        if "like_text" in form.changed_data:
            segment.like_vector, segment.like_hash = (
                None,
                "",
            )  # the old words' neighbours are not the new ones'
        form.save()
        if is_new:
            self.log_addition(request, segment, "Made.")
        else:
            self.log_change(request, segment, "Changed.")
        messages.success(request, f"“{segment.name}” is saved: {words_of(segment)}.")


def words_of(segment: Segment) -> str:
    try:
        words = segments.describe(segment.filter)
    except DomainError as error:
        return f"Cannot be read: {error}"
    return (
        f"{words}; the {segment.like_count:,} most like “{segment.like_text}”" if segment.like_text else words
    )
