"""Who is meant by an id: all profiles that were joined to one person, and what they are known by."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import Q
from django.db.models.functions import Coalesce

from campaigns.models import Identity, Profile
from campaigns.people import UnknownProfile
from personalize.core.personal_data import Person


def person_of(external_id: str) -> Person:
    """Raises UnknownProfile."""
    known = Profile.objects.filter(external_id=external_id).values(root=Coalesce("merged_into", "pk"))
    profiles = list(
        Profile.objects.filter(Q(pk__in=known) | Q(merged_into__in=known))
        .order_by("external_id")
        .defer("attributes")
    )
    if not profiles:
        raise UnknownProfile("There is no person of this id. They may have been erased already.")
    return _person(profiles)


def _person(profiles: Sequence[Profile]) -> Person:
    ids = tuple(profile.pk for profile in profiles)
    texts = {text for p in profiles for text in (p.external_id, p.email, p.phone)}
    texts |= set(Identity.objects.filter(profile__in=ids).values_list("value", flat=True))
    names = {name for p in profiles for name in (p.first_name, p.last_name)}
    return Person(ids, tuple(sorted(texts - {""})), tuple(sorted(names - {""})))
