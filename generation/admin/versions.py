"""Versions of the writer: what each measured, beside the active one, and the decision which of them writes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from django.contrib import admin
from django.db.models import Case, IntegerField, Q, Value, When
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, reverse
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_GET, require_http_methods

from generation import promotion, versions
from generation.admin import blind, comparing
from generation.models import ModelVersion, VersionEvent, VersionState
from generation.promotion_rule import MEASURES, number
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

TONE = {VersionState.CANDIDATE: "info", VersionState.ACTIVE: "good", VersionState.RETIRED: "quiet"}
_BY_KEY = {measure.key: measure for measure in MEASURES}


def _measured(key: str, words: str) -> Callable[[Any, ModelVersion], str]:
    @admin.display(description=words)
    def column(self: Any, version: ModelVersion) -> str:
        return comparing.unbroken(_BY_KEY[key], number(version.metrics, _BY_KEY[key]))

    return column


RESTART = "Writers that run keep what they have loaded: restart them to write with it."


@admin.register(ModelVersion)
class ModelVersionPage(ReadOnlyPage):
    list_display = (
        "what", "state_badge", "hash_shown", "clean", "faithful", "identified", "grammar", "invented",
        "evaluated", "since",
    )  # fmt: skip
    sortable_by = ()
    empty_title = "No writer yet"
    empty_help = (
        "A version is noted down with the first launch: base weights, adapter and prompt format, by hash. "
        "Train one with train_writer, measure it with evaluate_writer, and choose it here."
    )

    clean = _measured("clean_rate", "Clean")
    faithful = _measured("faithful_rate", "Faithful")
    identified = _measured("reader_identified", "Reader found")
    grammar = _measured("grammar_ratio", "Grammar")
    invented = _measured("invented_numbers", "Invented")

    def get_ordering(self, request: HttpRequest) -> Any:
        first = Case(
            When(state=VersionState.ACTIVE, then=Value(0)), default=Value(1), output_field=IntegerField()
        )
        return (first, "-created_at", "-pk")

    @admin.display(description="Writer")
    def what(self, version: ModelVersion) -> SafeString:
        return stack(version.name, version.base if version.is_tuned else f"{version.base}, untuned")

    @admin.display(description="State")
    def state_badge(self, version: ModelVersion) -> SafeString:
        return badge(version.get_state_display(), TONE[VersionState(version.state)])

    @admin.display(description="Hash")
    def hash_shown(self, version: ModelVersion) -> SafeString | str:
        return format_html("<code>{}</code>", version.model_hash[:8]) if version.model_hash else "—"

    @admin.display(description="Evaluated")
    def evaluated(self, version: ModelVersion) -> SafeString | str:
        return moment(version.evaluated_at, otherwise="never")

    @admin.display(description="Since")
    def since(self, version: ModelVersion) -> SafeString | str:
        return moment(version.created_at)

    def pages(self) -> list[URLPattern]:
        return [
            self.at("<int:pk>/promote/", self.promote, "generation_modelversion_promote"),
            self.at(
                "<int:pk>/blind/<int:against>/", partial(blind.page, of=self), "generation_modelversion_blind"
            ),
            self.at("<int:pk>/roll-back/", self.roll_back, "generation_modelversion_roll_back"),
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
        version = self.to_read(request, object_id)
        active = version if version.is_active else promotion.active_of(version.kind)
        earlier = promotion.before(version) if version.is_active else None
        other = earlier if version.is_active else active
        verdict = None if version.is_active else promotion.verdict(version)
        pairs, alike = comparing.pairs(version.metrics, other.metrics if other else {})
        context = self.frame(
            request,
            title=version.name,
            original=version,
            version=version,
            tone=TONE[VersionState(version.state)],
            other=other,
            measures=comparing.measures(version.metrics, other.metrics if other else {}),
            pairs=pairs,
            alike=alike,
            verdict=verdict,
            problem=versions.unusable(version) if version.model_hash else "",
            earlier=earlier,
            pinned=versions.pinned(),
            history=VersionEvent.objects.filter(Q(version=version) | Q(replaced=version))
            .select_related("version", "replaced")
            .order_by("-pk")[:20],
            may_judge=request.user.has_perm("generation.review_piece"),
            may_promote=request.user.has_perm(promotion.PROMOTE),
        )
        return TemplateResponse(request, "admin/generation/modelversion/page.html", context)

    # -- deciding --------------------------------------------------------------------------------

    @method_decorator(require_http_methods(["GET", "POST"]))
    def promote(self, request: HttpRequest, pk: int) -> HttpResponse:
        need(request, promotion.PROMOTE, "generation.view_modelversion")
        version: ModelVersion = self.load(request, pk)
        back = reverse("admin:generation_modelversion_change", args=[pk])
        active = promotion.active_of(version.kind)
        verdict = promotion.verdict(version)
        if request.method == "POST":
            if request.POST.get("instead_of", "") != _key(active):
                self.message_user(
                    request, "Another version is active than you were shown. Look again.", "WARNING"
                )
                return HttpResponseRedirect(back)
            force = request.POST.get("force") == "yes"
            deed = lambda: promotion.promote(  # noqa: E731
                version=version, by=person(request), force=force, reason=request.POST.get("note", "")
            )
            if attempt(request, deed, done=f"{version.name} writes from now on. {RESTART}"):
                log(request, version, "Promoted against the rule." if not verdict.allowed else "Promoted.")
            return HttpResponseRedirect(back)
        problem = _never(version, active)
        notes = [*verdict.wins, *verdict.refusals, RESTART]
        if pinned := versions.pinned():
            notes.append(f"WRITER_ADAPTER is set to {pinned}: workers load that until the setting is empty.")
        asked = Confirmation(
            title=f"Promote {version.name}?"
            if verdict.allowed
            else f"Promote {version.name} against the rule?",
            sentence=(
                "It becomes the version that writes. The one before is retired and can be brought back."
                if verdict.allowed
                else "The rule is against it. You can decide otherwise, with a reason that is kept in your name."
            ),
            button="Promote" if verdict.allowed else "Promote against the rule",
            back=back,
            rows=[("Active now", active.name if active else "none")],
            notes=notes,
            danger=not verdict.allowed,
            hidden=[("instead_of", _key(active)), *([] if verdict.allowed else [("force", "yes")])],
            ask_note=True,
            note_label="Reason (optional)" if verdict.allowed else "Reason (needed)",
            blocked=problem,
        )
        return confirm(self, request, asked)

    @method_decorator(require_http_methods(["GET", "POST"]))
    def roll_back(self, request: HttpRequest, pk: int) -> HttpResponse:
        need(request, promotion.PROMOTE, "generation.view_modelversion")
        version: ModelVersion = self.load(request, pk)
        back = reverse("admin:generation_modelversion_change", args=[pk])
        earlier = promotion.before(version)
        if request.method == "POST":
            deed = lambda: promotion.roll_back(  # noqa: E731
                active=version, by=person(request), reason=request.POST.get("note", "")
            )
            name = earlier.name if earlier else "The earlier version"
            if attempt(request, deed, done=f"{name} writes again. {RESTART}"):
                log(request, version, "Rolled back.")
            return HttpResponseRedirect(back)
        blocked = ""
        if not version.is_active:
            blocked = "This version is not active: there is nothing to roll back."
        elif earlier is None:
            blocked = "No version was active before this one."
        elif problem := versions.unusable(earlier):
            blocked = f"{earlier.name} cannot be used. {problem}"
        asked = Confirmation(
            title=f"Roll back {version.name}?",
            sentence=f"{earlier.name if earlier else 'The earlier version'} becomes the version that writes again.",
            button="Roll back",
            back=back,
            notes=[RESTART],
            danger=True,
            ask_note=True,
            note_label="Reason (optional)",
            blocked=blocked,
        )
        return confirm(self, request, asked)


def _key(version: ModelVersion | None) -> str:
    return str(version.pk) if version else "none"


def _never(version: ModelVersion, active: ModelVersion | None) -> str:
    """What no reason helps against."""
    if active is not None and active.pk == version.pk:
        return "It is the active version already."
    if not version.model_hash:
        return "No worker has loaded it yet, so its weights are not known."
    return versions.unusable(version)
