"""Certificates of erasure, how long things are kept, and what people are asked to agree to."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, reverse
from django.utils.decorators import method_decorator
from django.utils.safestring import SafeString
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from campaigns import privacy
from campaigns.models import Erasure, Purpose, RetentionRule
from campaigns.privacy import retention
from personalize.core.admin_pages import Page, ReadOnlyPage, badge, moment, need, person, stack
from personalize.core.errors import DomainError


@admin.register(Erasure)
class ErasurePage(ReadOnlyPage):
    list_display = ("what", "why", "what_went", "done")
    list_filter = ("reason",)
    search_fields = ("subject",)
    search_help_text = "The CRM's id: its certificate is found by a keyed hash"
    ordering = ("-done_at",)
    sortable_by = ()
    empty_title = "Nobody was erased yet"
    empty_help = (
        "Each erasure leaves a certificate here that names no person. Erase somebody on their own page."
    )

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        term = search_term.strip()
        return (queryset.filter(subject=privacy.erasing.subject_of(term)) if term else queryset), False

    @admin.display(description="Certificate")
    def what(self, row: Erasure) -> SafeString:
        return stack(str(row.number), f"by {row.done_by_name or 'the system'}")

    @admin.display(description="Why")
    def why(self, row: Erasure) -> SafeString:
        return badge(row.get_reason_display(), "plain")

    @admin.display(description="What went")
    def what_went(self, row: Erasure) -> str:
        return ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in row.removed.items())

    @admin.display(description="Done")
    def done(self, row: Erasure) -> SafeString | str:
        return moment(row.done_at)

    @method_decorator(require_GET)
    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:  # fmt: skip
        row = self.to_read(request, object_id)
        went = [(name.replace("_", " ").capitalize(), count) for name, count in row.removed.items()]
        context = self.frame(
            request,
            title="Certificate of erasure",
            original=row,
            row=row,
            went=went,
            holds=privacy.verify(row),
        )
        return TemplateResponse(request, "admin/campaigns/erasure/page.html", context)


@admin.register(RetentionRule)
class RetentionPage(ReadOnlyPage):
    """One page with every kind, instead of a list of the rows that happen to be there."""

    def pages(self) -> list[URLPattern]:
        return [self.at("save/", self.save, "campaigns_retentionrule_save")]

    @method_decorator(require_http_methods(["GET"]))
    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        need(request, "campaigns.view_retentionrule")
        counting = request.GET.get("count") == "yes"
        context = self.frame(
            request,
            title="Retention",
            kinds=retention.standing(count=counting),
            counting=counting,
            may_change=request.user.has_perm("campaigns.change_retentionrule"),
        )
        return TemplateResponse(request, "admin/campaigns/retentionrule/page.html", context)

    @method_decorator(require_GET)
    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:  # fmt: skip
        need(request, "campaigns.view_retentionrule")
        return HttpResponseRedirect(reverse("admin:campaigns_retentionrule_changelist"))

    @method_decorator(require_POST)
    def save(self, request: HttpRequest) -> HttpResponse:
        """Store the rules that changed. Nothing is removed by it: that is done at night."""
        need(request, "campaigns.change_retentionrule")
        changed = 0
        try:
            for each in retention.standing():
                kind = each.keeping.kind
                text = request.POST.get(f"days.{kind}")
                if text is None:
                    continue
                days = int(text) if text.strip().isdecimal() and len(text) < 7 else 0
                active = request.POST.get(f"on.{kind}") == "yes"
                if (days, active) != (each.rule.days, each.rule.is_active):
                    retention.set_rule(kind=kind, days=days, is_active=active, by=person(request))
                    changed += 1
            messages.success(request, f"{changed} rules changed. What they let go is removed at night.")
        except DomainError as error:
            messages.error(request, str(error))
        return HttpResponseRedirect(reverse("admin:campaigns_retentionrule_changelist") + "?count=yes")


@admin.register(Purpose)
class PurposePage(Page):
    list_display = ("what", "asks")
    search_fields = ("name", "slug")
    ordering = ("name",)
    sortable_by = ()
    prepopulated_fields = {"slug": ("name",)}
    empty_title = "One purpose: marketing"
    empty_help = (
        "People agree channel by channel to marketing. Add a purpose when you ask for another consent too."
    )
    fields = ("name", "slug", "asks")

    @admin.display(description="Purpose")
    def what(self, row: Purpose) -> SafeString:
        return stack(row.name, row.slug)
