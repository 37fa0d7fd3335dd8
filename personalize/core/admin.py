"""API keys, users and groups."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin as PlainGroupAdmin
from django.contrib.auth.admin import UserAdmin as PlainUserAdmin
from django.contrib.auth.models import Group, User
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_http_methods
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from personalize.core import api_keys
from personalize.core.admin_pages import (
    Confirmation,
    Page,
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
from personalize.core.models import ApiKey, Scope

admin.site.unregister(User)
admin.site.unregister(Group)


class NewKeyForm(forms.Form):
    name = forms.CharField(
        max_length=100,
        widget=UnfoldAdminTextInputWidget,
        help_text="Which system uses it, such as 'CRM production'",
    )
    scopes = forms.MultipleChoiceField(
        choices=[(value, f"{label} ({value})") for value, label in Scope.choices],
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        label="It may",
    )
    acts_as = forms.ModelChoiceField(
        queryset=User.objects.none(),
        widget=UnfoldAdminSelectWidget,
        label="Acts as",
        help_text="Decisions made with the key are this person's. A key can never do more than its person.",
    )
    expires_on = forms.DateField(
        required=False,
        widget=UnfoldAdminTextInputWidget(attrs={"type": "date"}),
        label="Valid until",
        help_text="Empty: until it is revoked",
    )

    requests_per_minute = forms.IntegerField(
        required=False,
        min_value=0,
        max_value=10_000_000,
        widget=UnfoldAdminTextInputWidget(attrs={"inputmode": "numeric"}),
        label="Requests a minute",
        help_text="Empty: as many as the system allows any key; 0: without a limit",
    )

    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        people = User.objects.filter(is_active=True).order_by("username")
        field = self.fields["acts_as"]
        assert isinstance(field, forms.ModelChoiceField)
        # Making a key that acts as somebody else would lend one their rights.
        field.queryset = people if user.is_superuser else people.filter(pk=user.pk)
        field.initial = user.pk


@admin.register(ApiKey)
class ApiKeyPage(ReadOnlyPage):
    list_display = ("what", "scope_badges", "acts_as", "used", "state")
    list_select_related = ("acts_as",)
    ordering = ("-created_at",)
    sortable_by = ()
    fields = (
        "name", "lookup", "scope_badges", "acts_as", "created_at", "last_used_at", "expires_at",
        "revoked_at", "requests_per_minute", "end_it",
    )  # fmt: skip
    readonly_fields = ("scope_badges", "end_it")
    empty_title = "No API key yet"
    empty_help = (
        "A key lets a CRM send people and events, launch campaigns "
        "and report results. It is shown once, when it is made."
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("core.add_apikey")

    @admin.display(description="Last used")
    def used(self, key: ApiKey) -> SafeString | str:
        return moment(key.last_used_at, otherwise="never")

    @admin.display(description="Key")
    def what(self, key: ApiKey) -> SafeString:
        return stack(key.name, f"{key.lookup}…")

    @admin.display(description="May")
    def scope_badges(self, key: ApiKey) -> SafeString:
        badges = format_html_join("", "{}", ((badge(scope, "plain"),) for scope in key.scopes))
        return format_html('<span class="pz-badges">{}</span>', badges)

    @admin.display(description="State")
    def state(self, key: ApiKey) -> SafeString:
        if key.revoked_at:
            return badge("Revoked", "quiet")
        if key.expires_at and key.expires_at <= timezone.now():
            return badge("Expired", "warn")
        return badge("In use", "good")

    @admin.display(description="End it")
    def end_it(self, key: ApiKey) -> SafeString | str:
        if key.revoked_at:
            return f"Revoked {key.revoked_at:%d %B %Y}."
        address = reverse("admin:core_apikey_revoke", args=[key.pk])
        return format_html('<a class="pz-btn pz-small" href="{}">Revoke…</a>', address)

    def pages(self) -> list[URLPattern]:
        return [self.at("<int:pk>/revoke/", self.revoke, "core_apikey_revoke")]

    @method_decorator(never_cache)
    @method_decorator(sensitive_variables("plain"))
    @method_decorator(require_http_methods(["GET", "POST"]))
    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The form, and after it the key: shown on this one page and nowhere else."""
        need(request, "core.add_apikey")
        user = person(request)
        assert isinstance(user, User)
        form = NewKeyForm(user, request.POST or None)
        plain = ""
        if request.method == "POST" and form.is_valid():
            given = form.cleaned_data
            ends = given["expires_on"]
            try:
                key, plain = api_keys.create(
                    name=given["name"],
                    scopes=given["scopes"],
                    acts_as=given["acts_as"],
                    expires_at=timezone.make_aware(datetime(ends.year, ends.month, ends.day, 23, 59, 59))
                    if ends
                    else None,
                    requests_per_minute=given["requests_per_minute"],
                )
                log(request, key, "Made.")
            except DomainError as error:
                messages.error(request, str(error))
        context = self.frame(request, title="New API key", form=form, plain=plain)
        return TemplateResponse(request, "admin/core/apikey/new.html", context)

    @method_decorator(require_http_methods(["GET", "POST"]))
    def revoke(self, request: HttpRequest, pk: int) -> HttpResponse:
        need(request, "core.change_apikey")
        key = self.load(request, pk)
        back = reverse("admin:core_apikey_changelist")
        if request.method == "POST":
            if attempt(request, lambda: api_keys.revoke(key=key), done=f"“{key.name}” is revoked."):
                log(request, key, "Revoked.")
            return HttpResponseRedirect(back)
        asked = Confirmation(
            title=f"Revoke “{key.name}”?",
            sentence="The system that uses it is locked out at once. This cannot be taken back.",
            button="Revoke the key", back=back, danger=True,
            blocked="It was revoked before." if key.revoked_at else "",
        )  # fmt: skip
        return confirm(self, request, asked)


@admin.register(User)
class UserPage(PlainUserAdmin, Page):  # type: ignore[misc,type-arg,unused-ignore]
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "email", "roles", "is_active", "seen")
    list_filter = ("is_active", "is_superuser", "groups")

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).prefetch_related("groups")

    @admin.display(description="Last seen")
    def seen(self, user: User) -> SafeString | str:
        return moment(user.last_login, otherwise="never")

    @admin.display(description="Groups")
    def roles(self, user: User) -> SafeString:
        names = ["Everything"] if user.is_superuser else [group.name for group in user.groups.all()]
        return format_html(
            '<span class="pz-badges">{}</span>',
            format_html_join("", "{}", ((badge(n, "info"),) for n in names)),
        )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Rights are given by those who have them all: otherwise one could give them to oneself."""
        fixed = super().get_readonly_fields(request, obj)
        if person(request).is_superuser:  # type: ignore[attr-defined]
            return fixed
        return (*fixed, "is_superuser", "is_staff", "groups", "user_permissions")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        allowed = super().has_change_permission(request, obj)
        if obj is not None and obj.is_superuser and not person(request).is_superuser:  # type: ignore[attr-defined]
            return False  # else their password could be set
        return allowed


@admin.register(Group)
class GroupPage(PlainGroupAdmin, Page):  # type: ignore[misc,type-arg,unused-ignore]
    pass
