"""People as the CRM knows them, what may be kept about them, and who must not be written to."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import Prefetch, Q, QuerySet
from django.db.models.functions import Lower
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, reverse
from django.utils.decorators import method_decorator
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.views.decorators.http import require_GET, require_http_methods

from campaigns import brand_access, privacy, traits
from campaigns.models import AttributeDefinition, Channel, Consent, ConsentStatus, Erasure, Profile
from personalize.core.admin_pages import (
    Confirmation,
    Page,
    ReadOnlyPage,
    attempt,
    badge,
    confirm,
    moment,
    need,
    person,
    stack,
)

EVENTS_SHOWN, PIECES_SHOWN, STATEMENTS_SHOWN = 40, 20, 20


class LifecycleFilter(admin.SimpleListFilter):
    title = "lifecycle"
    parameter_name = "lifecycle"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(word, word.capitalize()) for word in traits.LIFECYCLES]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Profile]) -> QuerySet[Profile]:
        known = {value for value, _ in self.lookup_choices}
        return queryset.filter(lifecycle=self.value()) if self.value() in known else queryset


@admin.register(Profile)
class ProfilePage(ReadOnlyPage):
    """Profiles are written by import and API alone; here they are read, and erased."""

    list_display = ("who", "lifecycle_badge", "trait_list", "agreed", "changed")
    list_filter = (LifecycleFilter,)
    search_fields = ("external_id",)
    search_help_text = "The CRM's id, or a whole e-mail address"
    ordering = ("-id",)
    sortable_by = ()
    empty_title = "Nobody here yet"
    empty_help = (
        "Import people from a CSV file, or let the CRM send "
        "them by the API. Traits are derived by your rules."
    )
    empty_link = ("Import a file", "admin:campaigns_import_upload")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        given = Consent.objects.filter(status=ConsentStatus.GIVEN).order_by("channel")
        return (
            super()
            .get_queryset(request)
            .defer("attributes")
            .prefetch_related(Prefetch("consents", queryset=given, to_attr="given"))
        )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        found = queryset.alias(address=Lower("email"))
        return found.filter(Q(external_id__startswith=term) | Q(address=term.lower())), False

    @admin.display(description="Changed")
    def changed(self, row: Profile) -> SafeString | str:
        return moment(row.updated_at)

    @admin.display(description="Person")
    def who(self, profile: Profile) -> SafeString:
        name = f"{profile.first_name} {profile.last_name}".strip()
        return stack(name or profile.external_id, profile.external_id if name else "no name")

    @admin.display(description="Lifecycle")
    def lifecycle_badge(self, profile: Profile) -> SafeString:
        if profile.merged_into_id:
            return badge(
                "Another id's now", "quiet", title="Joined by an alias call: all that was known went there"
            )
        return badge(
            profile.lifecycle.capitalize() or "Not derived yet", "info" if profile.lifecycle else "quiet"
        )

    @admin.display(description="Traits")
    def trait_list(self, profile: Profile) -> SafeString:
        more = f" +{len(profile.traits) - 3}" if len(profile.traits) > 3 else ""
        return format_html('<span class="pz-sub">{}{}</span>', "; ".join(profile.traits[:3]) or "—", more)

    @admin.display(description="May get")
    def agreed(self, profile: Any) -> SafeString:
        labels = [Channel(c.channel).label for c in profile.given]
        badges = format_html_join("", "{}", ((badge(label, "good"),) for label in labels))
        return format_html('<span class="pz-badges">{}</span>', badges or badge("Nothing", "quiet"))

    def pages(self) -> list[URLPattern]:
        return [
            self.at("<int:pk>/erase/", self.erase, "campaigns_profile_erase"),
            self.at("<int:pk>/archive/", self.archive, "campaigns_profile_archive"),
        ]

    @method_decorator(require_GET)
    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        profile = self.to_read(request, object_id)
        labels = {d.name: d for d in AttributeDefinition.objects.all()}
        # Only what is on the allow-list is shown, whatever an older import may have left behind.
        attributes = [
            (labels[name].label, value, labels[name].is_protected)
            for name, value in sorted(profile.attributes.items())
            if name in labels
        ]
        context = self.frame(
            request,
            title=str(profile.external_id),
            original=profile,
            profile=profile,
            attributes=attributes,
            consents=profile.consents.order_by("channel", "purpose"),
            ledger=profile.consent_entries.order_by("-said_at", "-pk")[:STATEMENTS_SHOWN],
            may_export=request.user.has_perm("campaigns.export_profile"),
            events=profile.events.select_related("product").order_by("-occurred_at")[:EVENTS_SHOWN],
            events_total=profile.events.count(),
            pieces=brand_access.visible(
                profile.pieces.select_related("run__campaign").order_by("-id"),
                request.user,
                "run__campaign__brand",
            )[:PIECES_SHOWN],
            may_erase=request.user.has_perm("campaigns.delete_profile"),
            may_see_pieces=request.user.has_perm("generation.view_piece"),
        )
        return TemplateResponse(request, "admin/campaigns/profile/page.html", context)

    @method_decorator(require_http_methods(["GET", "POST"]))
    def erase(self, request: HttpRequest, pk: int) -> HttpResponse:
        need(request, "campaigns.delete_profile")
        profile = self.load(request, pk)
        if request.method == "POST":
            made: list[Erasure] = []
            if attempt(
                request,
                lambda: made.append(privacy.erase(external_id=profile.external_id, by=person(request))),
                done="",
            ):
                messages.success(
                    request, f"Erased. The certificate is number {made[0].number}; it names nobody."
                )
                return HttpResponseRedirect(reverse("admin:campaigns_erasure_change", args=[made[0].pk]))
            return HttpResponseRedirect(reverse("admin:campaigns_profile_change", args=[pk]))
        asked = Confirmation(
            title=f"Erase {profile.external_id}?",
            sentence=(
                "Everything known about this person goes: profile, events, consents, embedding, every text written for "
                "them with its deliveries and results, mails and lines of export files on this server, and what names "
                "them in notes, histories and logs. Only a keyed hash of the address stays, so that a later import "
                "cannot write to them again. Files that were downloaded and mails that left are out of reach."
            ),
            button="Erase this person",
            back=reverse("admin:campaigns_profile_change", args=[pk]),
            rows=(("Events", profile.events.count()), ("Texts", profile.pieces.count())),
            danger=True,
        )
        return confirm(self, request, asked)

    @method_decorator(require_http_methods(["GET", "POST"]))
    def archive(self, request: HttpRequest, pk: int) -> HttpResponseBase:
        """The archive is the answer to the POST: made while it is sent, so that none lies about."""
        need(request, "campaigns.export_profile")
        profile = self.load(request, pk)
        back = reverse("admin:campaigns_profile_change", args=[pk])
        if request.method == "POST":
            asked = privacy.ask(external_id=profile.external_id, by=person(request))
            content = privacy.stream(number=asked.number, by=person(request))
            response = StreamingHttpResponse(content, content_type="application/zip")
            response["Content-Disposition"] = f'attachment; filename="person-{pk}.zip"'
            response["Cache-Control"] = "no-store"
            return response
        return confirm(
            self,
            request,
            Confirmation(
                title=f"Everything about {profile.external_id}",
                sentence=(
                    "One zip of JSON and CSV files with all that is kept about this person: profile, consents with "
                    "their proofs, events, texts, deliveries and results. That you fetched it is recorded. Hand it "
                    "over safely and remove your copy."
                ),
                button="Fetch the archive",
                back=back,
                rows=(("Events", profile.events.count()), ("Texts", profile.pieces.count())),
            ),
        )


@admin.register(AttributeDefinition)
class AttributePage(Page):
    list_display = ("what", "kind", "segments", "protected")
    search_fields = ("name", "label")
    ordering = ("name",)
    sortable_by = ()
    empty_title = "No attribute is kept yet"
    empty_help = (
        "What is not defined here is dropped on arrival. Define only what a segment or a trait rule needs; "
        "secrets such as passwords or card numbers are refused whatever is defined."
    )
    fields = ("name", "label", "kind", "in_segments", "is_protected")

    @admin.display(description="Attribute")
    def what(self, row: AttributeDefinition) -> SafeString:
        return stack(row.label, row.name)

    @admin.display(description="In segments")
    def segments(self, row: AttributeDefinition) -> SafeString:
        return badge("Yes", "good") if row.in_segments else badge("No", "quiet")

    @admin.display(description="Protected")
    def protected(self, row: AttributeDefinition) -> SafeString:
        return badge("Never in a text", "warn") if row.is_protected else badge("—", "quiet")
