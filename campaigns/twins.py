"""One address under several ids: a new id is no new answer.

Whoever brings it (an import, the API, tracking), a 'yes' that is merely passed on is not taken for an address whose
owner said 'no' under another id. Only one that the person gave anew, `explicit=True`, is. Nor does a stored 'yes'
follow its person to such an address.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from django.utils import timezone

from campaigns import consent
from campaigns.cleaning import Problem
from campaigns.models import Channel, Consent, ConsentStatus, Profile
from campaigns.models.privacy import MARKETING

if TYPE_CHECKING:
    from campaigns.people import ProfileInput

_WHY = (
    "was withdrawn for the same address under another id, so no consent was taken: the person must agree anew"
)
_SOURCE = "a no to the same address under another id"
_ALL = ""  # a 'no' without a purpose is for every purpose
# Push is addressed by the id itself: there is no other id with the same address.
_FIELDS = {Channel.EMAIL: ("email", "email_hash"), Channel.SMS: ("phone", "phone_hash")}
# (channel, address hash) -> (external id, purpose) -> when it was said last
_Noes = dict[tuple[str, str], dict[tuple[str, str], datetime]]


def without_second_answers(
    items: Sequence[ProfileInput],
) -> tuple[list[ProfileInput], list[tuple[int, Problem]]]:
    """The items (as `people.clean` returned them) without such a 'yes', and what was left out, by place.

    A 'no' of another item counts as one that is stored. An item without an address speaks of the stored one.
    """
    asked = {item.external_id for item in items if any(map(_is_asked, item.consents))}
    if not asked:
        return list(items), []
    stored = _stored_hashes({item.external_id for item in items if item.consents})
    noes = _said_now(items, stored, timezone.now())
    _add_stored(
        noes,
        {
            (str(said.channel), _address(item, said.channel, stored))
            for item in items
            for said in item.consents
            if _is_asked(said)
        },
    )
    kept, problems = [], []
    for place, item in enumerate(items):
        good = []
        for said in item.consents:
            others = noes.get((str(said.channel), _address(item, said.channel, stored)), {})
            purposes = (_ALL, said.purpose or MARKETING)
            if _is_asked(said) and any(whose != item.external_id and of in purposes for whose, of in others):
                problems.append((place, Problem(f"consent.{said.channel}", _WHY, refuses=False)))
            else:
                good.append(said)
        kept.append(item if len(good) == len(item.consents) else replace(item, consents=good))
    return kept, problems


@dataclass(frozen=True, slots=True)
class _Moving:
    """A stored 'yes' of somebody who gets another address."""

    profile_id: int
    external_id: str
    channel: str
    purpose: str
    given_at: datetime
    to: str


def noes_at_new_addresses(
    items: Sequence[ProfileInput], *, now: datetime
) -> list[tuple[int, consent.ConsentInput]]:
    """What takes back each stored 'yes' that would come to hold for an address whose owner said 'no' under another
    id. Ask before the items (one a person) are stored; a 'yes' given anew after both statements undoes it.
    """
    moving = list(_moving(items))
    if not moving:
        return []
    noes = _said_now(items, _stored_hashes({item.external_id for item in items if item.consents}), now)
    _add_stored(noes, {(yes.channel, yes.to) for yes in moving})
    found = []
    for yes in moving:
        said_at = [
            at
            for (whose, purpose), at in noes.get((yes.channel, yes.to), {}).items()
            if whose != yes.external_id and purpose in (_ALL, yes.purpose)
        ]
        if said_at:
            no = consent.ConsentInput(
                yes.channel,
                ConsentStatus.WITHDRAWN,
                _SOURCE,
                at=max(yes.given_at, *said_at),
                purpose=yes.purpose,
            )
            found.append((yes.profile_id, no))
    return found


def _moving(items: Sequence[ProfileInput]) -> Iterator[_Moving]:
    for channel, (name, hash_name) in _FIELDS.items():
        given = {item.external_id: _address(item, channel, {}) for item in items if getattr(item, name)}
        if not given:
            continue
        agreed = Consent.objects.filter(
            channel=channel, status=ConsentStatus.GIVEN, profile__external_id__in=list(given)
        )
        for profile_id, external_id, purpose, at, address in agreed.values_list(
            "profile_id", "profile__external_id", "purpose", "recorded_at", f"profile__{hash_name}"
        ):
            if address != given[external_id]:
                yield _Moving(profile_id, external_id, str(channel), purpose, at, given[external_id])


def _is_asked(said: consent.ConsentInput) -> bool:
    return said.status == ConsentStatus.GIVEN and not said.explicit and Channel(said.channel) in _FIELDS


def _address(item: ProfileInput, channel: str, stored: dict[str, dict[str, str]]) -> str:
    """Hash of the address that the item speaks of; "" of none."""
    if Channel(channel) not in _FIELDS:
        return ""
    name, hash_name = _FIELDS[Channel(channel)]
    given = getattr(item, name)
    if given is None:
        return stored.get(item.external_id, {}).get(hash_name, "")
    return consent.address_hash(given.lower())


def _stored_hashes(external_ids: Collection[str]) -> dict[str, dict[str, str]]:
    return {
        external_id: {"email_hash": email, "phone_hash": phone}
        for external_id, email, phone in Profile.objects.filter(external_id__in=external_ids).values_list(
            "external_id", "email_hash", "phone_hash"
        )
    }


def _said_now(items: Sequence[ProfileInput], stored: dict[str, dict[str, str]], now: datetime) -> _Noes:
    noes: _Noes = defaultdict(dict)
    for item in items:
        for said in item.consents:
            address = _address(item, said.channel, stored)
            if said.status == ConsentStatus.WITHDRAWN and address:
                at = min(said.at or now, now)
                known = noes[str(said.channel), address]
                known[item.external_id, said.purpose] = max(
                    at, known.get((item.external_id, said.purpose), at)
                )
    return noes


def _add_stored(noes: _Noes, addresses: Collection[tuple[str, str]]) -> None:
    """Those stored of (channel, address hash) pairs."""
    for channel, (_, hash_name) in _FIELDS.items():
        hashes = {address for of, address in addresses if of == channel} - {""}
        if not hashes:
            continue
        refused = Consent.objects.filter(
            channel=channel, status=ConsentStatus.WITHDRAWN, **{f"profile__{hash_name}__in": hashes}
        )
        for address, whose, purpose, at in refused.values_list(
            f"profile__{hash_name}", "profile__external_id", "purpose", "recorded_at"
        ):
            known = noes[str(channel), address]
            known[whose, purpose] = max(at, known.get((whose, purpose), at))
