"""What the admin pages of all rooms share: the base class, badges, confirmation pages, decisions as messages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst

from personalize.core.errors import DomainError

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Any]
    _TabularInline = admin.TabularInline[Any, Any]
else:
    from unfold.admin import ModelAdmin as _ModelAdmin
    from unfold.admin import TabularInline as _TabularInline

# What a badge's colour says. Texts are always beside it, so that colour is never the only sign.
TONES = frozenset({"good", "bad", "warn", "info", "plain", "quiet"})


class Page(_ModelAdmin):
    """The base of every list and form. `empty_title` and `empty_help` stand where a list has nothing to show."""

    show_full_result_count = False  # counting a big table twice for a footnote is not worth a second
    list_per_page = 50
    list_fullwidth = False
    empty_title = ""
    empty_help = ""
    empty_link: tuple[str, str] | None = None  # (words, address name)

    def pages(self) -> list[URLPattern]:
        """Further addresses of this page; each view checks its own permission."""
        return []

    def get_urls(self) -> list[URLPattern]:
        return [*self.pages(), *super().get_urls()]

    def at(self, route: str, view: Callable[..., HttpResponseBase], name: str) -> URLPattern:
        """`admin_view` asks only whether somebody is staff: the view asks for the permission."""
        return path(route, self.admin_site.admin_view(view), name=name)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Nothing is deleted in heaps: each row has its own page that says what goes with it."""
        found = super().get_actions(request)
        return {name: action for name, action in found.items() if name != "delete_selected"}

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        changelist = super().get_changelist_instance(request)
        changelist.full_result_count = changelist.result_count  # else a "Show all" stands beside each count
        return changelist

    def load(self, request: HttpRequest, pk: int) -> Any:
        """The row, through `get_queryset` so that row limits hold; Http404 otherwise."""
        try:
            return self.get_queryset(request).get(pk=pk)
        except self.model.DoesNotExist as error:
            raise Http404 from error

    def to_read(self, request: HttpRequest, object_id: str) -> Any:
        """The row of a page that is read; Http404 without one, PermissionDenied for who may not see it."""
        found = self.get_object(request, object_id)
        if found is None:
            raise Http404
        if not self.has_view_permission(request, found):
            raise PermissionDenied
        return found

    def frame(self, request: HttpRequest, **context: Any) -> dict[str, Any]:
        """The context of a page of our own inside the admin's frame."""
        return {**self.admin_site.each_context(request), "opts": self.opts, "model_admin": self, **context}


class ReadOnlyPage(Page):
    """A list and a page to read. Rows are made and changed elsewhere."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class Rows(_TabularInline):
    """The base of every inline table."""

    extra = 0
    hide_title = True

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """The head of the column names a field to the eye only, so each field carries its name too."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None and field.label:
            field.widget.attrs.setdefault("aria-label", str(capfirst(field.label)))
        return field


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What a person reads before something happens. `rows` are (words, number or text)."""

    title: str
    sentence: str
    button: str
    back: str
    rows: Sequence[tuple[str, object]] = ()
    notes: Sequence[str] = ()
    danger: bool = False
    hidden: Sequence[tuple[str, str]] = ()
    ask_note: bool = False
    note_label: str = "Note (optional)"
    blocked: str = ""  # why it cannot be done: the button is not shown
    reasons: Sequence[tuple[str, str]] = ()  # choices, posted as `reason`
    reasons_label: str = "What is so?"
    links: Sequence[tuple[str, str]] = ()  # (words, address)


def confirm(page: Page, request: HttpRequest, asked: Confirmation) -> TemplateResponse:
    context = page.frame(request, title=asked.title, confirmation=asked)
    return TemplateResponse(request, "admin/confirm.html", context)


def need(request: HttpRequest, *permissions: str) -> None:
    """403 unless the person has every one of them."""
    if not request.user.has_perms(permissions):
        raise PermissionDenied


def person(request: HttpRequest) -> AbstractBaseUser:
    assert isinstance(request.user, AbstractBaseUser)
    return request.user


def attempt(request: HttpRequest, deed: Callable[[], object], *, done: str) -> bool:
    """Do it; a DomainError becomes a message. True when it was done."""
    try:
        deed()
    except DomainError as error:
        messages.error(request, str(error))
        return False
    if done:
        messages.success(request, done)
    return True


def log(request: HttpRequest, row: Model, message: str) -> None:
    """The admin's own history, beside the audit trail: what was decided about this row, by whom."""
    log_many(request, [row], message)


def log_many(request: HttpRequest, rows: Iterable[Model], message: str) -> None:
    LogEntry.objects.log_actions(
        user_id=person(request).pk, queryset=list(rows), action_flag=CHANGE, change_message=message
    )


def badge(text: object, tone: str = "plain", *, title: str = "") -> SafeString:
    assert tone in TONES
    return format_html('<span class="pz-badge pz-{}" title="{}">{}</span>', tone, title, text)


def stack(first: object, second: object) -> SafeString:
    """Two lines in one cell: what matters, and below it what helps."""
    return format_html(
        '<span class="pz-stack"><span class="pz-strong">{}</span><span class="pz-sub">{}</span></span>',
        first, second,
    )  # fmt: skip


def moment(when: datetime | None, *, otherwise: str = "—") -> SafeString | str:
    """A time for a list, in the product's time zone."""
    if when is None:
        return otherwise
    local = timezone.localtime(when)
    return stack(f"{local:%d %b %Y}", f"{local:%H:%M}")


def bar(done: int, total: int, *, label: str = "") -> SafeString:
    share = 100 if total <= 0 else round(100 * done / total)
    return format_html(
        '<span class="pz-barcell"><progress class="pz-progress" max="100" value="{}" aria-label="{}">{} %</progress>'
        '<span class="pz-sub">{}</span></span>',
        share, label or "Progress", share, label,
    )  # fmt: skip
