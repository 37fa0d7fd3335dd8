"""Addresses that nothing may be sent to: looked up, pasted or uploaded by the thousand, and taken off again."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, reverse
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_http_methods
from unfold.widgets import UnfoldAdminFileFieldWidget, UnfoldAdminSelectWidget

from campaigns import consent, suppressions
from campaigns.admin.forms import lines
from campaigns.models import Channel, Suppression, SuppressionReason
from campaigns.models.channels import PERSONAL_CHANNELS
from personalize.core.admin_pages import (
    Confirmation,
    ReadOnlyPage,
    attempt,
    badge,
    confirm,
    moment,
    need,
    person,
)
from personalize.core.errors import DomainError


class AddressesForm(forms.Form):
    channel = forms.ChoiceField(
        choices=[(c.value, Channel(c).label) for c in PERSONAL_CHANNELS], widget=UnfoldAdminSelectWidget
    )
    reason = forms.ChoiceField(
        choices=[c for c in SuppressionReason.choices if c[0] != SuppressionReason.ERASED],
        initial=SuppressionReason.MANUAL,
        widget=UnfoldAdminSelectWidget,
    )
    addresses = forms.CharField(
        required=False,
        max_length=500_000,
        widget=lines(6, spellcheck="false"),
        help_text="One on each line, or separated by commas. Telephone numbers with +.",
    )
    file = forms.FileField(
        required=False,
        widget=UnfoldAdminFileFieldWidget,
        help_text="Or a file: one address a line, or CSV with a column of them, up to 50 MB.",
    )

    def found(self) -> list[str]:
        """The addresses of both. Raises InvalidInput."""
        given = list(suppressions.lines_of(self.cleaned_data["addresses"]))
        file: UploadedFile[Any] | None = self.cleaned_data["file"]
        if file is not None:
            if (file.size or 0) > suppressions.MOST_BYTES:
                raise DomainError(
                    "The file is larger than 50 MB. Split it, or use manage.py import_suppressions."
                )
            given += suppressions.addresses_in(file.read(), channel=self.cleaned_data["channel"])
        return given


@admin.register(Suppression)
class SuppressionPage(ReadOnlyPage):
    list_display = ("address", "channel_badge", "reason_badge", "since")
    list_filter = ("channel", "reason")
    search_fields = ("address_hash",)
    search_help_text = "A whole address; it is looked up by its keyed hash"
    ordering = ("-created_at",)
    sortable_by = ()
    fields = ("channel", "reason", "created_at", "off")
    readonly_fields = ("off",)
    empty_title = "Nobody is suppressed"
    empty_help = (
        "Unsubscribed, bounced, complained or erased addresses appear "
        "here, as keyed hashes. Nothing is sent to them."
    )
    empty_link = ("Add addresses", "admin:campaigns_suppression_add")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("campaigns.add_suppression")

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        hashes = []
        for channel in PERSONAL_CHANNELS if search_term.strip() else ():
            try:
                hashes.append(consent.address_hash(consent.normalise_address(channel, search_term)))
            except DomainError:
                continue
        return (queryset.filter(address_hash__in=hashes) if search_term.strip() else queryset), False

    def pages(self) -> list[URLPattern]:
        return [self.at("<int:pk>/take-off/", self.take_off, "campaigns_suppression_take_off")]

    @method_decorator(require_http_methods(["GET", "POST"]))
    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        need(request, "campaigns.add_suppression")
        posted = request.method == "POST"
        form = AddressesForm(request.POST if posted else None, request.FILES if posted else None)
        result = None
        if posted and form.is_valid():
            try:
                found = form.found()
                if not found:
                    form.add_error("addresses", "Give addresses here or in a file.")
                else:
                    channel, reason = form.cleaned_data["channel"], form.cleaned_data["reason"]
                    result = suppressions.add(addresses=found, channel=channel, reason=reason)
                    form = AddressesForm()
            except DomainError as error:
                form.add_error("file", str(error))
        context = self.frame(request, title="Add addresses", form=form, result=result)
        return TemplateResponse(request, "admin/campaigns/suppression/add.html", context)

    @method_decorator(require_http_methods(["GET", "POST"]))
    def take_off(self, request: HttpRequest, pk: int) -> HttpResponse:
        need(request, "campaigns.delete_suppression")
        row = self.load(request, pk)
        back = reverse("admin:campaigns_suppression_changelist")
        if request.method == "POST":
            done = "The address is off the list. It is written to only with a consent that holds."
            if attempt(request, lambda: suppressions.take_off(pk=pk, by=person(request)), done=""):
                messages.success(request, done)
                self.log_deletions(request, Suppression.objects.filter(pk=pk))
            return HttpResponseRedirect(back)
        stays = row.reason in (SuppressionReason.ERASED, SuppressionReason.COMPLAINED)
        asked = Confirmation(
            title="Take this address off the list?",
            sentence="Mails to it become possible again, for those who agreed. Do it only when the address works again "
            "or was put here by mistake.",
            button="Take it off",
            back=back,
            rows=(("Channel", row.get_channel_display()), ("Reason", row.get_reason_display())),
            danger=True,
            blocked="Who was erased or complained comes back only by a new yes of their own."
            if stays
            else "",
        )
        return confirm(self, request, asked)

    @admin.display(description="Take it off")
    def off(self, row: Suppression) -> SafeString:
        address = reverse("admin:campaigns_suppression_take_off", args=[row.pk])
        return format_html('<a class="pz-btn pz-small" href="{}">Take off the list…</a>', address)

    @admin.display(description="Since")
    def since(self, row: Suppression) -> SafeString | str:
        return moment(row.created_at)

    @admin.display(description="Address")
    def address(self, row: Suppression) -> SafeString:
        return format_html("<code>{}…</code>", row.address_hash[:12])

    @admin.display(description="Channel")
    def channel_badge(self, row: Suppression) -> SafeString:
        return badge(row.get_channel_display(), "plain")

    @admin.display(description="Reason")
    def reason_badge(self, row: Suppression) -> SafeString:
        return badge(row.get_reason_display(), "warn")
