"""Trait rules: the only phrases that may be made of what is known about a person."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.forms import JSONField
from django.http import HttpRequest
from django.utils.safestring import SafeString

from campaigns import traits
from campaigns.admin.forms import RowForm, lines
from campaigns.models import TraitRule
from personalize.core.admin_pages import Page, badge, stack
from personalize.core.errors import DomainError, InvalidInput

PREVIEWED = 6  # phrases


class TraitRuleForm(RowForm):
    settings = JSONField(
        required=False,
        initial=dict,
        widget=lines(6, spellcheck="false", style="font-family:ui-monospace,monospace"),
        help_text='{"phrase": "bought {product} {season}", "event": "purchased"}. '
        "Holes come from a fixed list; no digits.",
    )

    class Meta:
        model = TraitRule
        fields = ("name", "kind", "settings", "position", "is_active")

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if not self.errors:
            rule = TraitRule(name=given["name"], kind=given["kind"], settings=given.get("settings") or {})
            try:
                traits.check_rule(rule)
            except InvalidInput as error:
                self.add_error("settings", str(error))
        return given


@admin.register(TraitRule)
class TraitRulePage(Page):
    form = TraitRuleForm
    list_display = ("what", "kind_badge", "phrase", "position", "active")
    list_filter = ("kind", "is_active")
    search_fields = ("name",)
    ordering = ("position", "id")
    sortable_by = ()
    change_form_outer_before_template = "admin/campaigns/traitrule/preview.html"
    empty_title = "No rule speaks yet"
    empty_help = (
        "Without rules the writer knows nothing about a reader. Add one for each thing that may be said."
    )

    @admin.display(description="Rule")
    def what(self, rule: TraitRule) -> SafeString:
        return stack(rule.name, "")

    @admin.display(description="Kind")
    def kind_badge(self, rule: TraitRule) -> SafeString:
        return badge(rule.get_kind_display(), "info")

    @admin.display(description="Says")
    def phrase(self, rule: TraitRule) -> str:
        settings = rule.settings or {}
        if settings.get("phrase"):
            return f"“{settings['phrase']}”"
        phrases = [str(p) for p in (settings.get("phrases") or {}).values()]
        return ", ".join(f"“{p}”" for p in phrases[:3]) + (
            f" +{len(phrases) - 3}" if len(phrases) > 3 else ""
        )

    @admin.display(description="Speaks")
    def active(self, rule: TraitRule) -> SafeString:
        return badge("Yes", "good") if rule.is_active else badge("No", "quiet")

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:  # fmt: skip
        context = dict(extra_context or {})
        rule = self.get_object(request, object_id) if object_id else None
        if rule is not None and request.user.has_perm("campaigns.view_profile"):
            context["rule"] = rule
            try:
                context["shown"] = traits.preview(rule, count=PREVIEWED)
            except DomainError as error:
                context["problem"] = str(error)
        return super().changeform_view(request, object_id, form_url, context)
