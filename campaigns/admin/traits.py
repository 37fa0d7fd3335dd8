"""Trait rules: the only phrases that may be made of what is known about a person.

A rule is edited in words, tried on real people before it is saved, ordered and switched in the list, and brought
back from its history.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, reverse
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_GET, require_POST

from campaigns.admin.trait_form import TraitRuleForm
from campaigns.models import TraitRule, TraitRuleVersion
from campaigns.traits import editing
from personalize.core.admin_pages import Page, attempt, badge, log, need, person, stack
from personalize.core.errors import DomainError

VERSIONS_SHOWN, CHANGES_SHOWN = 10, 100
_CHANGE = "campaigns.change_traitrule"


@admin.register(TraitRule)
class TraitRulePage(Page):
    form = TraitRuleForm
    fieldsets = (
        (None, {"fields": ("name", "kind", "is_active")}),
        (
            "What it says, and of whom",
            {"fields": ("attribute", "phrase", "past_phrase", "words", "bands", "tenure", "event")},
        ),
        ("Limits", {"fields": ("within_days", "after_days", "at_least", "limit")}),
    )
    conditional_fields = {
        "attribute": "kind == 'attribute'",
        "words": "kind == 'attribute'",
        "bands": "kind == 'attribute'",
        "phrase": "kind != 'tenure'",
        "past_phrase": "kind == 'rhythm'",
        "tenure": "kind == 'tenure'",
        "event": "kind != 'attribute' && kind != 'tenure'",
        "within_days": "['purchase', 'category', 'basket', 'interest'].includes(kind)",
        "after_days": "kind == 'recency'",
        "at_least": "['purchase', 'category', 'basket', 'interest', 'rhythm'].includes(kind)",
        "limit": "['purchase', 'category', 'basket', 'interest'].includes(kind)",
    }
    list_display = ("what", "kind_badge", "phrase", "order", "active")
    list_filter = ("kind", "is_active")
    search_fields = ("name",)
    ordering = ("position", "name")
    sortable_by = ()
    list_before_template = "admin/campaigns/traitrule/list.html"
    change_form_after_template = "admin/campaigns/traitrule/preview.html"
    change_form_outer_after_template = "admin/campaigns/traitrule/versions.html"
    empty_title = "No rule speaks yet"
    empty_help = (
        "Without rules the writer knows nothing about a reader. Add one for each thing that may be said."
    )

    def get_list_display(self, request: HttpRequest) -> Any:
        shown = super().get_list_display(request)
        return shown if request.user.has_perm(_CHANGE) else [name for name in shown if name != "order"]

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
        phrases += [str(band.get("phrase")) for band in settings.get("bands") or [] if isinstance(band, dict)]
        return ", ".join(f"“{p}”" for p in phrases[:3]) + (
            f" +{len(phrases) - 3}" if len(phrases) > 3 else ""
        )

    @admin.display(description="Speaks")
    def active(self, rule: TraitRule) -> SafeString:
        return badge("Yes", "good") if rule.is_active else badge("No", "quiet")

    @admin.display(description="Order, on and off")
    def order(self, rule: TraitRule) -> SafeString:
        """Buttons of a form that stands before the list: one form cannot stand inside another."""

        def button(words: str, label: str, *address: Any) -> SafeString:
            return format_html(
                '<button class="pz-btn pz-small" form="rule-post" formaction="{}" aria-label="{}: {}">{}</button>',
                reverse(f"admin:campaigns_traitrule_{address[0]}", args=address[1:]),
                label,
                rule.name,
                words,
            )

        return format_html(
            '<span class="pz-badges" style="flex-wrap:nowrap">{}{}{}</span>',
            button("↑", "Earlier", "move", rule.pk, "up"),
            button("↓", "Later", "move", rule.pk, "down"),
            button("Silence", "Silence", "switch", rule.pk, "off")
            if rule.is_active
            else button("Let speak", "Let speak", "switch", rule.pk, "on"),
        )

    # -- the form ------------------------------------------------------------------------------------

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """Asked for a preview, the form is never valid: the page comes back as it was typed, nothing is saved."""
        form = super().get_form(request, obj, change, **kwargs)
        may_look = request.user.has_perm("campaigns.view_profile")
        saved = obj if request.method == "GET" and may_look else None
        asked = "_preview" in request.POST and may_look
        return type("TriedRuleForm", (form,), {"asked": asked, "saved": saved})

    def save_model(self, request: HttpRequest, obj: TraitRule, form: Any, change: bool) -> None:
        editing.save(rule=obj, by=person(request))

    def delete_model(self, request: HttpRequest, obj: TraitRule) -> None:
        editing.remove(rule=obj, by=person(request))

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:  # fmt: skip
        context = dict(extra_context or {})
        rule = self.get_object(request, object_id) if object_id else None
        if rule is not None:
            context["versions"] = _versions(rule.versions.all())[:VERSIONS_SHOWN]
            context["may_restore"] = request.user.has_perm(_CHANGE)
        return super().changeform_view(request, object_id, form_url, context)

    # -- order, on and off, undo ---------------------------------------------------------------------

    def pages(self) -> list[URLPattern]:
        return [
            self.at("changes/", self.changes, "campaigns_traitrule_changes"),
            self.at("<int:pk>/move/<str:way>/", self.move, "campaigns_traitrule_move"),
            self.at("<int:pk>/switch/<str:way>/", self.switch, "campaigns_traitrule_switch"),
            self.at("restore/<int:version_id>/", self.restore, "campaigns_traitrule_restore"),
        ]

    @method_decorator(require_GET)
    def changes(self, request: HttpRequest) -> HttpResponse:
        """What was changed, by whom, newest first; also of rules that are gone."""
        need(request, "campaigns.view_traitrule")
        context = self.frame(
            request,
            title="Changes of trait rules",
            versions=_versions(TraitRuleVersion.objects.all())[:CHANGES_SHOWN],
            may_restore=request.user.has_perm(_CHANGE),
        )
        return TemplateResponse(request, "admin/campaigns/traitrule/changes.html", context)

    @method_decorator(require_POST)
    def move(self, request: HttpRequest, pk: int, way: str) -> HttpResponse:
        need(request, _CHANGE)
        rule = self.load(request, pk)
        if attempt(request, lambda: editing.move(rule_id=pk, up=way == "up", by=person(request)), done=""):
            log(request, rule, f"Moved {'up' if way == 'up' else 'down'}.")
        return self._back()

    @method_decorator(require_POST)
    def switch(self, request: HttpRequest, pk: int, way: str) -> HttpResponse:
        need(request, _CHANGE)
        rule = self.load(request, pk)
        on = way == "on"
        done = f"“{rule.name}” {'speaks' if on else 'is silent'} now."
        if attempt(request, lambda: editing.switch(rule_id=pk, on=on, by=person(request)), done=done):
            log(request, rule, "Switched on." if on else "Switched off.")
        return self._back()

    @method_decorator(require_POST)
    def restore(self, request: HttpRequest, version_id: int) -> HttpResponse:
        need(request, _CHANGE)
        version = get_object_or_404(TraitRuleVersion, pk=version_id)
        if version.rule_id is None:
            need(request, "campaigns.add_traitrule")
        try:
            rule = editing.restore(version=version, by=person(request))
        except DomainError as error:
            messages.error(request, str(error))
            return HttpResponseRedirect(reverse("admin:campaigns_traitrule_changes"))
        log(request, rule, "Brought back from history.")
        messages.success(request, f"“{rule.name}” is back as it was.")
        return HttpResponseRedirect(reverse("admin:campaigns_traitrule_change", args=[rule.pk]))

    def _back(self) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:campaigns_traitrule_changelist"))


def _versions(rows: QuerySet[TraitRuleVersion]) -> QuerySet[TraitRuleVersion]:
    return rows.select_related("changed_by", "rule").order_by("-changed_at", "-id")
