"""One address under several ids: a new id is no new answer.

Whoever brings it (an import, the API, tracking), a 'yes' that is merely passed on is not taken for an address whose
owner said 'no' under another id. Only one that the person gave anew, `explicit=True`, is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from campaigns import consent
from campaigns.cleaning import Problem
from campaigns.models import Channel, Consent, ConsentStatus, Profile
from campaigns.models.privacy import MARKETING

if TYPE_CHECKING:
    from campaigns.people import ProfileInput

_WHY = (
    "was withdrawn for the same address under another id, so no consent was taken: the person must agree anew"
)
_ALL = ""  # a 'no' without a purpose is for every purpose
# Push is addressed by the id itself: there is no other id with the same address.
_FIELDS = {Channel.EMAIL: ("email", "email_hash"), Channel.SMS: ("phone", "phone_hash")}
_Noes = dict[tuple[str, str], set[tuple[str, str]]]  # (channel, address hash) -> (external id, purpose)


def without_second_answers(
    items: Sequence[ProfileInput],
) -> tuple[list[ProfileInput], list[tuple[int, Problem]]]:
    """The items (as `people.clean` returned them) without such a 'yes', and what was left out, by place.

    A 'no' of another item counts as one that is stored. An item without an address speaks of the stored one.
    """
    asked = {item.external_id for item in items if any(map(_is_asked, item.consents))}
    if not asked:
        return list(items), []
    speaking = {item.external_id for item in items if item.consents}
    stored = {
        external_id: {"email_hash": email, "phone_hash": phone}
        for external_id, email, phone in Profile.objects.filter(external_id__in=speaking).values_list(
            "external_id", "email_hash", "phone_hash"
        )
    }
    noes = _said_now(items, stored)
    _add_stored(noes, items, stored)
    kept, problems = [], []
    for place, item in enumerate(items):
        good = []
        for said in item.consents:
            others = noes.get((str(said.channel), _address(item, said.channel, stored)), ())
            purposes = (_ALL, said.purpose or MARKETING)
            if _is_asked(said) and any(whose != item.external_id and of in purposes for whose, of in others):
                problems.append((place, Problem(f"consent.{said.channel}", _WHY, refuses=False)))
            else:
                good.append(said)
        kept.append(item if len(good) == len(item.consents) else replace(item, consents=good))
    return kept, problems


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


def _said_now(items: Sequence[ProfileInput], stored: dict[str, dict[str, str]]) -> _Noes:
    noes: _Noes = defaultdict(set)
    for item in items:
        for said in item.consents:
            address = _address(item, said.channel, stored)
            if said.status == ConsentStatus.WITHDRAWN and address:
                noes[str(said.channel), address].add((item.external_id, said.purpose))
    return noes


def _add_stored(noes: _Noes, items: Sequence[ProfileInput], stored: dict[str, dict[str, str]]) -> None:
    for channel, (_, hash_name) in _FIELDS.items():
        hashes = {
            _address(item, channel, stored)
            for item in items
            if any(said.channel == channel and _is_asked(said) for said in item.consents)
        } - {""}
        if not hashes:
            continue
        refused = Consent.objects.filter(
            channel=channel, status=ConsentStatus.WITHDRAWN, **{f"profile__{hash_name}__in": hashes}
        )
        for address, whose, purpose in refused.values_list(
            f"profile__{hash_name}", "profile__external_id", "purpose"
        ):
            noes[str(channel), address].add((whose, purpose))
