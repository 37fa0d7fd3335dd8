"""The catalogue: what can be offered."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString

from campaigns.models import Product
from personalize.core.admin_pages import Page, badge, stack


@admin.register(Product)
class ProductPage(Page):
    list_display = ("what", "category", "price_shown", "available")
    list_filter = ("is_available", "category")
    search_fields = ("name", "sku")
    ordering = ("name",)
    sortable_by = ()
    empty_title = "The catalogue is empty"
    empty_help = (
        "Import products from a file, or add one. What a reader might like is found among them by likeness."
    )
    empty_link = ("Import a file", "admin:campaigns_import_upload")
    fieldsets = (
        ("Item", {"fields": ("sku", "name", "noun_phrase", "category", "description")}),
        ("Offer", {"fields": ("price", "currency", "url", "is_available")}),
    )

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "url":
            kwargs["assume_scheme"] = "https"
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    @admin.display(description="Product")
    def what(self, product: Product) -> SafeString:
        return stack(
            product.name, f"{product.sku} · “{product.noun_phrase}”" if product.noun_phrase else product.sku
        )

    @admin.display(description="Price")
    def price_shown(self, product: Product) -> str:
        return f"{product.price:,.2f} {product.currency}" if product.price is not None else "—"

    @admin.display(description="Offered")
    def available(self, product: Product) -> SafeString:
        return badge("Yes", "good") if product.is_available else badge("No", "quiet")
