"""Whose pieces a person may see and decide on: a brand that is kept to some people is theirs alone.

A rule beside the permissions, which say what a person may do: this one says on what. A brand to which nobody was named
is everybody's. Superusers are kept from nothing, and the system (None) is no person.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import structlog
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, PermissionsMixin
from django.db import transaction
from django.db.models import Model, QuerySet

from campaigns.models import Brand
from personalize.core.errors import InvalidInput, NotAllowed

log = structlog.get_logger(__name__)
Rows = TypeVar("Rows", bound=Model)

ASSIGN = "campaigns.assign_brand"
MOST_PEOPLE = 500
Person = AbstractBaseUser | AnonymousUser | None


class NotYourBrand(NotAllowed):
    """The brand is kept to other people."""

    code = "not_your_brand"


def closed_to(by: Person) -> list[int]:
    """Ids of the brands that are kept to others. One query, and none for superusers and the system."""
    if by is None or (isinstance(by, PermissionsMixin) and by.is_superuser):
        return []
    kept = Brand.objects.filter(only_for__isnull=False)
    return list(kept.exclude(only_for=by.pk).distinct().order_by("pk").values_list("pk", flat=True))


def visible(rows: QuerySet[Rows], by: Person, path: str) -> QuerySet[Rows]:
    """`rows` without those of brands kept to others; `path` leads from a row to its brand."""
    closed = closed_to(by)
    return rows.exclude(**{f"{path}__in": closed}) if closed else rows


def check(by: Person, brand_id: int) -> None:
    """Raise NotYourBrand where the brand is kept to others."""
    if brand_id in closed_to(by):
        raise NotYourBrand(
            "This brand is kept to other people. Ask an operator to name you among them, on the brand's page."
        )


@transaction.atomic
def keep_to(*, brand: Brand, people: Iterable[int], by: AbstractBaseUser) -> int:
    """Keep the brand to the users with these ids; with none it is everybody's again. How many it is kept to.

    Raises NotAllowed, or InvalidInput for somebody who is not active staff.
    """
    if not (isinstance(by, PermissionsMixin) and by.has_perm(ASSIGN)):
        raise NotAllowed("You may not say whose a brand is. Ask somebody who has that permission.")
    ids = set(people)
    staff = get_user_model().objects.filter(pk__in=ids, is_active=True, is_staff=True)
    known = set(staff.values_list("pk", flat=True))
    if ids != known or len(ids) > MOST_PEOPLE:
        raise InvalidInput("Choose among the active people who work here.", field="people")
    brand.only_for.set(known)
    log.info("brand_kept", brand=brand.pk, people=len(known), by=by.pk)
    return len(known)
