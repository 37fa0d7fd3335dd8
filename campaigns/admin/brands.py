"""Brands: who speaks. Every saved state is kept."""

from __future__ import annotations

import re
from typing import Any

from django.contrib import admin, messages
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, reverse
from django.utils.decorators import method_decorator
from django.utils.safestring import SafeString
from django.views.decorators.http import require_http_methods

from campaigns import brand_access, brands
from campaigns.admin.forms import RowForm, WordsField, lines
from campaigns.models import Brand
from personalize.core.admin_pages import Page, attempt, log, moment, need, person, stack

_HOST = re.compile(r"(?!-)[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})+")


class BrandForm(RowForm):
    avoid = WordsField(
        required=False,
        label="Words to avoid",
        help_text="Separated by commas. A piece that says one is held back.",
    )

    own_sites = WordsField(
        required=False,
        label="Own web sites",
        help_text="Hosts such as shop.example.com, separated by commas; what lies below them counts too. Only links to "
        "them get a campaign's utm tags. Empty: the domain of the sender's address.",
    )

    class Meta:
        model = Brand
        exclude = ("version",)
        widgets = {"about": lines(2), "voice": lines(2), "postal_address": lines(2)}

    def clean_own_sites(self) -> list[str]:
        sites = [str(site).lower() for site in self.cleaned_data["own_sites"]]
        for site in sites:
            if not _HOST.fullmatch(site):
                raise ValidationError(
                    f"“{site}” is no host. Write it without https:// and path: shop.example.com"
                )
        return sites

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        for name in ("name", "sender_name", "sender_email", "reply_to"):
            if any(ord(character) < 32 for character in str(given.get(name) or "")):
                self.add_error(name, ValidationError("A line break or control character stands here."))
        return given


@admin.register(Brand)
class BrandPage(Page):
    form = BrandForm
    list_display = ("what", "sender", "version", "saved")
    search_fields = ("name",)
    ordering = ("name",)
    sortable_by = ()
    prepopulated_fields = {"slug": ("name",)}
    change_form_outer_before_template = "admin/campaigns/brand/head.html"
    change_form_outer_after_template = "admin/campaigns/brand/versions.html"
    empty_title = "No brand yet"
    empty_help = (
        "A brand says who speaks: its voice, words it avoids, sender, "
        "postal address and legal footer. Every campaign has one."
    )
    fieldsets = (
        ("Who speaks", {"fields": ("name", "slug", "about", "voice", "avoid")}),
        (
            "In every mail",
            {
                "fields": (
                    "sender_name",
                    "sender_email",
                    "reply_to",
                    "postal_address",
                    "legal_footer",
                    "own_sites",
                )
            },
        ),
    )

    def get_queryset(self, request: HttpRequest) -> Any:
        rows = super().get_queryset(request)
        if request.user.has_perm(brand_access.ASSIGN):
            return rows
        return brand_access.visible(rows, request.user, "pk")

    def pages(self) -> list[URLPattern]:
        return [self.at("<int:pk>/people/", self.people, "campaigns_brand_people")]

    @method_decorator(require_http_methods(["GET", "POST"]))
    def people(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Whose the brand is: who sees its pieces and may decide on them."""
        need(request, brand_access.ASSIGN, "campaigns.view_brand")
        brand = self.load(request, pk)
        staff = get_user_model().objects.filter(is_active=True, is_staff=True).order_by("username")
        if request.method == "POST":
            chosen = [
                int(i)
                for i in request.POST.getlist("people")
                if i.isascii() and i.isdecimal() and len(i) < 19
            ]
            kept: list[int] = []
            deed = lambda: kept.append(brand_access.keep_to(brand=brand, people=chosen, by=person(request)))  # noqa: E731
            if attempt(request, deed, done=""):
                told = (
                    f"Kept to {kept[0]} of the people."
                    if kept[0]
                    else "It is everybody's whose group allows it."
                )
                messages.success(request, told)
                log(request, brand, told)
            return HttpResponseRedirect(reverse("admin:campaigns_brand_people", args=[pk]))
        context = self.frame(
            request,
            title=f"Whose is “{brand.name}”?",
            brand=brand,
            people=[
                {"user": user, "groups": ", ".join(group.name for group in user.groups.all())}
                for user in staff.prefetch_related("groups")[: brand_access.MOST_PEOPLE]
            ],
            named=set(brand.only_for.values_list("pk", flat=True)),
        )
        return TemplateResponse(request, "admin/campaigns/brand/people.html", context)

    @admin.display(description="Saved")
    def saved(self, row: Brand) -> SafeString | str:
        return moment(row.updated_at)

    @admin.display(description="Brand")
    def what(self, brand: Brand) -> SafeString:
        return stack(brand.name, brand.about)

    @admin.display(description="Sender")
    def sender(self, brand: Brand) -> SafeString:
        return stack(brand.sender_name, brand.sender_email)

    def save_model(self, request: HttpRequest, obj: Brand, form: Any, change: bool) -> None:
        brands.save(brand=obj, by=person(request))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        if obj is not None and obj.campaigns.exists():
            return False
        return super().has_delete_permission(request, obj)

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:  # fmt: skip
        context = dict(extra_context or {})
        brand = self.get_object(request, object_id) if object_id else None
        if brand is not None:
            context["brand"] = brand
            context["may_assign"] = request.user.has_perm(brand_access.ASSIGN)
            context["kept_to"] = list(brand.only_for.order_by("username").values_list("username", flat=True))
            context["versions"] = brand.versions.select_related("created_by").order_by("-number")[:20]
        return super().changeform_view(request, object_id, form_url, context)
