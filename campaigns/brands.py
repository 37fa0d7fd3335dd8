"""Saving a brand: the current state and its history move together."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from campaigns.models import Brand, BrandVersion
from personalize.core.errors import InvalidInput

# What a mail or a prompt is made of. Everything else about a brand is bookkeeping.
CONTENT_FIELDS = (
    "name",
    "about",
    "voice",
    "avoid",
    "sender_name",
    "sender_email",
    "reply_to",
    "postal_address",
    "legal_footer",
)


def content(brand: Brand) -> dict[str, Any]:
    """The brand's content as JSON, in a fixed order."""
    return {name: getattr(brand, name) for name in CONTENT_FIELDS}


@transaction.atomic
def save(*, brand: Brand, by: AbstractBaseUser | None) -> Brand:
    """Store the brand; a changed content becomes the next version, an unchanged one does not.

    Raises InvalidInput for control characters in what becomes a mail header: they could add headers.
    """
    for name in ("name", "sender_name", "sender_email", "reply_to"):
        if any(ord(character) < 32 for character in getattr(brand, name)):
            raise InvalidInput(
                f"The {name.replace('_', ' ')} holds a line break or control character.", field=name
            )
    now = content(brand)
    if brand.pk is None:
        brand.version = 1
        brand.save()
        _keep(brand, now, by)
        return brand
    # The row lock makes two people saving at once take two numbers.
    stored = Brand.objects.select_for_update().get(pk=brand.pk)
    brand.version = stored.version
    latest = stored.versions.order_by("-number").values_list("content", flat=True).first()
    if latest != now:
        brand.version += 0 if latest is None else 1
        _keep(brand, now, by)
    brand.save()
    return brand


def _keep(brand: Brand, now: dict[str, Any], by: AbstractBaseUser | None) -> None:
    BrandVersion.objects.create(
        brand=brand, number=brand.version, content=now, created_by_id=by.pk if by else None
    )
