"""Webhooks: whom we tell, what was sent to them, and what was given up."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, reverse
from django.utils.decorators import method_decorator
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_http_methods
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from delivery.models import MessageStatus, WebhookEndpoint, WebhookMessage
from delivery.webhooks import catalogue, endpoints, sending, signing
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
from personalize.core.errors import DomainError

TONE = {MessageStatus.PENDING: "info", MessageStatus.DELIVERED: "good", MessageStatus.DEAD: "bad"}


class EndpointForm(forms.Form):
    name = forms.CharField(
        max_length=100,
        widget=UnfoldAdminTextInputWidget,
        help_text="Which system listens, such as 'CRM production'",
    )
    url = forms.CharField(
        max_length=500,
        label="Address",
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "https://crm.example.com/hooks/personalize"}),
        help_text="It is sent a POST with JSON for each event",
    )
    types = forms.MultipleChoiceField(
        choices=[(name, f"{meaning} ({name})") for name, meaning in catalogue.CHOICES],
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        label="It is told",
    )
    in_order = forms.BooleanField(
        required=False,
        widget=UnfoldBooleanSwitchWidget,
        label="One at a time, in order",
        help_text="Slower: the next message waits until the one before arrived or was given up",
    )


@admin.register(WebhookEndpoint)
class WebhookEndpointPage(ReadOnlyPage):
    list_display = ("what", "told", "waiting", "last", "state")
    ordering = ("name",)
    sortable_by = ()
    fields = (
        "name", "url", "told", "in_order", "state", "waiting", "last", "old_secret_until", "created_at", "change_links",
    )  # fmt: skip
    readonly_fields = ("told", "state", "waiting", "last", "change_links")
    empty_title = "Nobody is told yet"
    empty_help = (
        "A webhook tells your CRM what happens here: a text was approved or delivered, a person left the list. "
        "Each message is signed, tried again for days, and holds ids instead of personal data."
    )
    empty_link = ("Add an endpoint", "admin:delivery_webhookendpoint_add")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("delivery.add_webhookendpoint")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request)
        counted: QuerySet[Any] = rows.annotate(
            pending=Count("messages", filter=Q(messages__status=MessageStatus.PENDING)),
            dead=Count("messages", filter=Q(messages__status=MessageStatus.DEAD)),
        )
        return counted

    @admin.display(description="Endpoint")
    def what(self, endpoint: WebhookEndpoint) -> SafeString:
        return stack(endpoint.name, endpoint.url)

    @admin.display(description="Is told")
    def told(self, endpoint: WebhookEndpoint) -> SafeString:
        names = ((badge(name, "plain"),) for name in endpoint.types)
        return format_html('<span class="pz-badges">{}</span>', format_html_join("", "{}", names))

    @admin.display(description="Messages")
    def waiting(self, endpoint: Any) -> SafeString:
        address = reverse("admin:delivery_webhookmessage_changelist")
        return format_html(
            '<a href="{0}?endpoint__id__exact={1}&status__exact=pending">{2} waiting</a> · '
            '<a href="{0}?endpoint__id__exact={1}&status__exact=dead">{3} given up</a>',
            address, endpoint.pk, endpoint.pending, endpoint.dead,
        )  # fmt: skip

    @admin.display(description="Last arrived")
    def last(self, endpoint: WebhookEndpoint) -> SafeString | str:
        return moment(endpoint.delivered_at, otherwise="never")

    @admin.display(description="State")
    def state(self, endpoint: WebhookEndpoint) -> SafeString:
        if not endpoint.is_enabled:
            return badge("Disabled", "quiet", title=endpoint.disabled_because or "by a person")
        if endpoint.failing_since:
            return badge("Failing", "bad", title=f"since {endpoint.failing_since:%d %B %H:%M} UTC")
        return badge("Enabled", "good")

    @admin.display(description="Change it")
    def change_links(self, endpoint: WebhookEndpoint) -> SafeString:
        pages = [
            ("edit", "Edit…"),
            ("test", "Send a test…"),
            ("rotate", "New secret…"),
            ("replay", "Send again what was given up…"),
            ("toggle", "Disable…" if endpoint.is_enabled else "Enable…"),
            ("remove", "Delete…"),
        ]
        links = format_html_join(
            "",
            '<a class="pz-btn pz-small" href="{}">{}</a>',
            (
                (reverse(f"admin:delivery_webhookendpoint_{page}", args=[endpoint.pk]), words)
                for page, words in pages
            ),
        )
        return format_html('<span class="pz-row">{}</span>', links)

    def pages(self) -> list[URLPattern]:
        names = ("edit", "rotate", "test", "replay", "toggle", "remove")
        return [
            self.at(f"<int:pk>/{name}/", getattr(self, name), f"delivery_webhookendpoint_{name}")
            for name in names
        ]

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return self._form(request)

    def edit(self, request: HttpRequest, pk: int) -> HttpResponse:
        return self._form(request, pk)

    @method_decorator(never_cache)
    @method_decorator(sensitive_variables("secret"))
    @method_decorator(require_http_methods(["GET", "POST"]))
    def _form(self, request: HttpRequest, pk: int | None = None) -> HttpResponse:
        """The form; after a new endpoint its secret, on this one page."""
        need(request, f"delivery.{'change' if pk else 'add'}_webhookendpoint")
        endpoint = self.load(request, pk) if pk else None
        now = {name: getattr(endpoint, name) for name in EndpointForm.base_fields} if endpoint else None
        form = EndpointForm(request.POST or None, initial=now)
        secret = ""
        if request.method == "POST" and form.is_valid():
            try:
                if endpoint is None:
                    endpoint = endpoints.create(**form.cleaned_data, by=person(request))
                    secret = signing.secret(endpoint)
                    log(request, endpoint, "Made.")
                else:
                    endpoints.change(endpoint_id=endpoint.pk, **form.cleaned_data)
                    log(request, endpoint, "Changed.")
                    messages.success(request, "Changed.")
                    return HttpResponseRedirect(_page_of(endpoint))
            except DomainError as error:
                field = getattr(error, "field", "")
                form.add_error(field if field in form.fields else None, str(error))
        title = f"Change “{endpoint.name}”" if pk and endpoint else "New webhook endpoint"
        return self._show(request, title=title, form=form, secret=secret, endpoint=endpoint)

    def _show(self, request: HttpRequest, **context: Any) -> TemplateResponse:
        return TemplateResponse(
            request, "admin/delivery/webhookendpoint/form.html", self.frame(request, **context)
        )

    @method_decorator(never_cache)
    @method_decorator(require_http_methods(["GET", "POST"]))
    def rotate(self, request: HttpRequest, pk: int) -> HttpResponse:
        need(request, "delivery.change_webhookendpoint")
        endpoint = self.load(request, pk)
        if request.method == "POST":
            endpoint = endpoints.rotate_secret(endpoint_id=pk)
            log(request, endpoint, "New secret.")
            return self._show(
                request, title="New secret", form=None, secret=signing.secret(endpoint), endpoint=endpoint
            )
        asked = Confirmation(
            title=f"A new secret for “{endpoint.name}”?",
            sentence="For a day messages are signed with both secrets, so that you can change it there without a gap.",
            button="Make a new secret",
            back=_page_of(endpoint),
        )
        return confirm(self, request, asked)

    @method_decorator(require_http_methods(["GET", "POST"]))
    def test(self, request: HttpRequest, pk: int) -> HttpResponse:
        need(request, "delivery.change_webhookendpoint")
        endpoint = self.load(request, pk)
        if request.method == "POST":
            attempt(
                request,
                lambda: endpoints.send_test(endpoint_id=pk),
                done="The test message is on its way: look at the list in a few seconds.",
            )
            return HttpResponseRedirect(_messages_of(endpoint))
        asked = Confirmation(
            title=f"Send “{endpoint.name}” a test message?",
            sentence="It is of the type webhook.test and holds no data.",
            button="Send it",
            back=_page_of(endpoint),
            rows=(("Address", endpoint.url),),
            blocked="" if endpoint.is_enabled else "The endpoint is disabled. Enable it first.",
        )
        return confirm(self, request, asked)

    @method_decorator(require_http_methods(["GET", "POST"]))
    def replay(self, request: HttpRequest, pk: int) -> HttpResponse:
        need(request, "delivery.replay_webhookendpoint")
        endpoint = self.load(request, pk)
        if request.method == "POST":
            count = endpoints.replay(endpoint_id=pk)
            messages.success(request, f"{count} message{'' if count == 1 else 's'} will be sent again.")
            log(request, endpoint, f"{count} messages to be sent again.")
            return HttpResponseRedirect(_messages_of(endpoint))
        asked = Confirmation(
            title=f"Send “{endpoint.name}” again what was given up?",
            sentence="The messages keep their ids, so that a receiver that had one after all knows it.",
            button=f"Send {endpoint.dead:,} again",
            back=_page_of(endpoint),
            rows=(("Given up", endpoint.dead),),
            blocked="" if endpoint.dead else "Nothing was given up.",
        )
        return confirm(self, request, asked)

    @method_decorator(require_http_methods(["GET", "POST"]))
    def toggle(self, request: HttpRequest, pk: int) -> HttpResponse:
        need(request, "delivery.change_webhookendpoint")
        endpoint = self.load(request, pk)
        on = not endpoint.is_enabled
        if request.method == "POST":
            endpoints.change(endpoint_id=pk, is_enabled=on)
            log(request, endpoint, "Enabled." if on else "Disabled.")
            messages.success(request, "It is told again." if on else "It is told nothing more.")
            return HttpResponseRedirect(_page_of(endpoint))
        asked = Confirmation(
            title=f"{'Enable' if on else 'Disable'} “{endpoint.name}”?",
            sentence=(
                "What waited goes at once; what happened while it was disabled is not made up for."
                if on
                else "It is told nothing of what happens meanwhile. Messages that wait are kept."
            ),
            button="Enable it" if on else "Disable it",
            back=_page_of(endpoint),
            rows=(("Disabled because", endpoint.disabled_because or "a person wanted it"),) if on else (),
        )
        return confirm(self, request, asked)

    @method_decorator(require_http_methods(["GET", "POST"]))
    def remove(self, request: HttpRequest, pk: int) -> HttpResponse:
        need(request, "delivery.delete_webhookendpoint")
        endpoint = self.load(request, pk)
        if request.method == "POST":
            log(request, endpoint, "Deleted.")
            endpoints.delete(endpoint_id=pk, by=person(request))
            messages.success(request, f"“{endpoint.name}” is deleted.")
            return HttpResponseRedirect(reverse("admin:delivery_webhookendpoint_changelist"))
        asked = Confirmation(
            title=f"Delete “{endpoint.name}”?",
            sentence="Its messages go with it, also those that wait. This cannot be taken back.",
            button="Delete it",
            back=_page_of(endpoint),
            rows=(("Waiting", endpoint.pending), ("Given up", endpoint.dead)),
            danger=True,
        )
        return confirm(self, request, asked)


@admin.register(WebhookMessage)
class WebhookMessagePage(ReadOnlyPage):
    list_display = ("what", "to", "happened", "status_badge", "attempts", "said", "again")
    list_filter = ("status", "endpoint", "type")
    list_select_related = ("endpoint",)
    ordering = ("-pk",)
    sortable_by = ()
    fields = (
        "endpoint", "type", "sequence", "webhook_id", "occurred_at", "status", "body", "attempts", "attempt_rows",
        "next_at", "finished_at", "again",
    )  # fmt: skip
    readonly_fields = ("webhook_id", "body", "attempt_rows", "again")
    empty_title = "No message yet"
    empty_help = (
        "What happens here is told to each webhook endpoint that wants to hear it; each message is one row."
    )
    empty_link = ("Open the endpoints", "admin:delivery_webhookendpoint_changelist")

    @admin.display(description="Event")
    def what(self, message: WebhookMessage) -> SafeString:
        return stack(message.type, f"number {message.sequence}")

    @admin.display(description="To")
    def to(self, message: WebhookMessage) -> str:
        return message.endpoint.name

    @admin.display(description="Happened")
    def happened(self, message: WebhookMessage) -> SafeString | str:
        return moment(message.occurred_at)

    @admin.display(description="Status")
    def status_badge(self, message: WebhookMessage) -> SafeString:
        return badge(message.get_status_display(), TONE[MessageStatus(message.status)])

    @admin.display(description="Last answer")
    def said(self, message: WebhookMessage) -> str:
        return message.error or "—"

    @admin.display(description="webhook-id")
    def webhook_id(self, message: WebhookMessage) -> str:
        return sending.message_id(message)

    @admin.display(description="What is sent")
    def body(self, message: WebhookMessage) -> SafeString:
        return format_html('<code class="pz-key">{}</code>', sending.preview(message))

    @admin.display(description="Attempts")
    def attempt_rows(self, message: WebhookMessage) -> SafeString | str:
        rows = ((a["at"], a["error"] or f"It answered {a['status']}.", a["ms"]) for a in message.log)
        body = format_html_join("", "<tr><td>{}</td><td>{}</td><td>{} ms</td></tr>", rows)
        return format_html('<table class="pz-table"><tbody>{}</tbody></table>', body) if body else "none yet"

    @admin.display(description="")
    def again(self, message: WebhookMessage) -> SafeString | str:
        if message.status != MessageStatus.DEAD:
            return ""
        address = reverse("admin:delivery_webhookmessage_again", args=[message.pk])
        return format_html('<a class="pz-btn pz-small" href="{}">Send again…</a>', address)

    def pages(self) -> list[URLPattern]:
        return [self.at("<int:pk>/again/", self.send_again, "delivery_webhookmessage_again")]

    @method_decorator(require_http_methods(["GET", "POST"]))
    def send_again(self, request: HttpRequest, pk: int) -> HttpResponse:
        need(request, "delivery.replay_webhookendpoint")
        message = self.load(request, pk)
        back = _messages_of(message.endpoint)
        if request.method == "POST":
            if attempt(
                request,
                lambda: endpoints.replay(endpoint_id=message.endpoint_id, message_ids=[pk]),
                done="It will be sent again.",
            ):
                log(request, message, "To be sent again.")
            return HttpResponseRedirect(back)
        asked = Confirmation(
            title=f"Send “{message.type}” again?",
            sentence="It keeps its id, so that a receiver that had it after all knows it.",
            button="Send it again",
            back=back,
            rows=(("To", message.endpoint.name), ("Last answer", message.error or "none")),
            blocked="" if message.status == MessageStatus.DEAD else "It was not given up.",
        )
        return confirm(self, request, asked)


def _page_of(endpoint: WebhookEndpoint) -> str:
    return reverse("admin:delivery_webhookendpoint_change", args=[endpoint.pk])


def _messages_of(endpoint: WebhookEndpoint) -> str:
    return reverse("admin:delivery_webhookmessage_changelist") + f"?endpoint__id__exact={endpoint.pk}"
