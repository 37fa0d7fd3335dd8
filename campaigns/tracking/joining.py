"""Which ids are one person, and what happens when that becomes known.

The rules, whoever calls: what is known of a person is never overwritten by what another id said, only completed.
A 'no' on either side holds. A 'yes' comes along only together with the address it was given for. Nothing is deleted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from django.db.models import Q
from django.utils import timezone

from campaigns import consent, people
from campaigns.consent import ConsentInput
from campaigns.events import EventInput
from campaigns.models import (
    Channel,
    Consent,
    ConsentEntry,
    ConsentStatus,
    Event,
    Identity,
    IdentityKind,
    Profile,
    ProfileEmbedding,
    Suppression,
    SuppressionReason,
    TrackedKind,
    TrackedMessage,
    TrackedStatus,
)
from campaigns.people import ProfileInput
from campaigns.tracking import merging
from campaigns.tracking.messages import Message

_TEXTS = ("email", "phone", "first_name", "last_name", "locale", "time_zone")
_ADDRESS = {Channel.EMAIL: "email", Channel.SMS: "phone"}


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose a message is. `only_fills`: what it says of the person may complete, not replace."""

    external_id: str
    only_fills: bool = False
    own: bool = True  # said under the person's own id


Assigned = tuple[Message, Owner]


class Crowd:
    """The ids of one request, locked, and what is known of them so far. Lives for one transaction."""

    def __init__(
        self, identities: Iterable[Identity], profiles: Iterable[tuple[str, int, str | None, int | None]]
    ):
        self._identities = {(str(each.kind), each.value): each for each in identities}
        self._pks: dict[str, int] = {}
        self._became: dict[str, str] = {}
        for external_id, pk, root, root_pk in profiles:
            if root is None or root_pk is None:
                self._pks[external_id] = pk
            else:
                self._became[external_id] = root
                self._pks[root] = root_pk
        for each in self._identities.values():
            if each.profile is not None:
                self._pks[each.profile.external_id] = each.profile.pk
                if each.kind == IdentityKind.USER:
                    self._became[each.value] = each.profile.external_id
        self._owners = {
            each.value: each.profile.external_id
            for each in self._identities.values()
            if each.kind == IdentityKind.ANONYMOUS and each.profile is not None
        }
        self._pending: dict[str, list[Message]] = defaultdict(list)
        self._whose: dict[str, Owner] = {}
        self._joined: dict[str, str] = {}  # anonymous id -> whose it has just become
        self._changed: set[tuple[str, str]] = set()
        self.erased: set[str] = set()

    @classmethod
    def held(cls, messages: Sequence[Message]) -> Crowd:
        users = {m.user_id for m in messages if m.user_id}
        previous = {m.previous_id for m in messages if m.previous_id}
        anonymous = {m.anonymous_id for m in messages if m.anonymous_id} | previous
        wanted = {(IdentityKind.USER.value, value) for value in users | previous}
        wanted |= {(IdentityKind.ANONYMOUS.value, value) for value in anonymous}
        identities = _locked(users | previous, anonymous)
        missing = sorted(wanted - {(str(each.kind), each.value) for each in identities})
        if missing:
            Identity.objects.bulk_create(
                [Identity(kind=kind, value=value) for kind, value in missing], ignore_conflicts=True
            )
            identities = _locked(users | previous, anonymous)
        profiles = Profile.objects.filter(external_id__in=users | previous).values_list(
            "external_id", "pk", "merged_into__external_id", "merged_into_id"
        )
        crowd = cls(identities, profiles)
        strangers = [user for user in users if crowd.root(user) not in crowd._pks]
        by_hash = {consent.address_hash(user): user for user in strangers}
        erased = Suppression.objects.filter(
            address_hash__in=list(by_hash), channel=Channel.PUSH, reason=SuppressionReason.ERASED
        ).values_list("address_hash", flat=True)
        crowd.erased = {by_hash[hashed] for hashed in erased} if strangers else set()
        return crowd

    def root(self, external_id: str) -> str:
        seen = {external_id}
        while (further := self._became.get(external_id)) is not None and further not in seen:
            external_id = further
            seen.add(further)
        return external_id

    def pk(self, external_id: str) -> int:
        return self._pks[self.root(external_id)]

    def knows(self, external_id: str) -> bool:
        return self.root(external_id) in self._pks

    def learn(self, ids: Mapping[str, int]) -> None:
        self._pks.update(ids)

    def assign(self, run: Sequence[Message]) -> list[Assigned]:
        """Whose each message is, in order; those of visitors nobody knows yet are left out and wait."""
        found: list[Assigned] = []
        for message in run:
            if message.user_id:
                owner = Owner(self.root(message.user_id), self._is_late(message))
                found.append((message, owner))
                if message.kind == TrackedKind.IDENTIFY and message.anonymous_id:
                    found += self.join(message.anonymous_id, owner.external_id)
            elif whose := self._owner(message.anonymous_id):
                found.append((message, Owner(whose, only_fills=True, own=False)))
            else:
                self._pending[message.anonymous_id].append(message)
        self.note(found)
        return found

    def note(self, found: Iterable[Assigned]) -> None:
        self._whose.update((message.message_id, owner) for message, owner in found)

    def join(self, anonymous_id: str, external_id: str) -> list[Assigned]:
        """The anonymous id is this person's, unless it was another's before: then it is nobody's from now on.

        Returns what of this request waited for that. The first person keeps what was theirs.
        """
        identity = self._identities[(IdentityKind.ANONYMOUS.value, anonymous_id)]
        owner = self._owners.get(anonymous_id)
        if owner is None and not identity.is_shared:
            self._owners[anonymous_id] = self._joined[anonymous_id] = external_id
            waited = self._pending.pop(anonymous_id, [])
            return [(message, Owner(external_id, only_fills=True, own=False)) for message in waited]
        if owner is not None and self.root(owner) != self.root(external_id) and not identity.is_shared:
            identity.is_shared = True
            self._changed.add((IdentityKind.ANONYMOUS.value, anonymous_id))
        return []

    def become(self, previous_id: str, external_id: str) -> None:
        """Messages under the previous id are this person's from now on."""
        if previous_id == external_id:
            return
        self._became[previous_id] = external_id
        key = (IdentityKind.USER.value, previous_id)
        if key in self._identities:  # a root that another id led to is not among those of the request
            self._identities[key].profile_id = self._pks[external_id]
            self._changed.add(key)

    def newly_joined(self) -> dict[int, int]:
        """Key of each identity that has just become somebody's -> key of their profile; once."""
        joined, self._joined = self._joined, {}
        found = {}
        for anonymous_id, external_id in joined.items():
            identity = self._identities[(IdentityKind.ANONYMOUS.value, anonymous_id)]
            identity.profile_id = self.pk(external_id)
            self._changed.add((IdentityKind.ANONYMOUS.value, anonymous_id))
            found[identity.pk] = identity.profile_id
        return found

    def place_of(self, message: Message) -> tuple[int | None, int | None]:
        """(key of the profile, None), or (None, key of the identity it waits for)."""
        if owner := self._whose.get(message.message_id):
            return self.pk(owner.external_id), None
        return None, self._identities[(IdentityKind.ANONYMOUS.value, message.anonymous_id)].pk

    def save(self) -> None:
        changed = [self._identities[key] for key in sorted(self._changed)]
        Identity.objects.bulk_update(changed, ["profile", "is_shared", "told_at"], batch_size=500)

    def _owner(self, anonymous_id: str) -> str | None:
        if self._identities[(IdentityKind.ANONYMOUS.value, anonymous_id)].is_shared:
            return None
        owner = self._owners.get(anonymous_id)
        return None if owner is None else self.root(owner)

    def _is_late(self, message: Message) -> bool:
        """Is there a newer identify of this person already? Retries and many threads arrive out of order."""
        if message.kind != TrackedKind.IDENTIFY or message.at is None:
            return False
        key = (IdentityKind.USER.value, message.user_id)
        identity = self._identities[key]
        if identity.told_at is not None and message.at < identity.told_at:
            return True
        identity.told_at = message.at
        self._changed.add(key)
        return False


def _locked(users: set[str], anonymous: set[str]) -> list[Identity]:
    """Two statements on purpose: a row that was waited for is read anew, what is joined to it is not."""
    held = list(
        Identity.objects.select_for_update()
        .filter(
            Q(kind=IdentityKind.USER, value__in=users) | Q(kind=IdentityKind.ANONYMOUS, value__in=anonymous)
        )
        .order_by("kind", "value")
    )
    profiles = Profile.objects.only("id", "external_id").in_bulk(
        {each.profile_id for each in held if each.profile_id is not None}
    )
    for each in held:
        if each.profile_id is not None:
            each.profile = profiles[each.profile_id]
    return held


# -- completing a person -----------------------------------------------------------------------------


def fill(*, profile_id: int, person: ProfileInput, source: str, own: bool) -> None:
    """Add what is not known yet. `own`: said under the person's own id, only late."""
    known = Profile.objects.select_for_update(no_key=True).get(pk=profile_id)
    texts = {name: value for name in _TEXTS if (value := getattr(person, name)) and not getattr(known, name)}
    attributes = {
        name: value
        for name, value in person.attributes.items()
        if value is not None and name not in known.attributes
    }
    said = [each for each in person.consents if _comes_along(each, person, known, own=own)]
    if not own:
        # Said of another id: a 'no' there holds here from now on, whenever the 'yes' here was said.
        said = [replace(each, at=None) if each.status == ConsentStatus.WITHDRAWN else each for each in said]
    if texts or attributes or said:
        item = ProfileInput(known.external_id, attributes=attributes, consents=said, **texts)
        people.store(items=[item], source=source)


def _comes_along(said: ConsentInput, person: ProfileInput, known: Profile, *, own: bool) -> bool:
    """A 'yes' holds for the address it was given for, and for no other."""
    if said.status == ConsentStatus.WITHDRAWN:
        return True
    field = _ADDRESS.get(Channel(said.channel))
    if field is None:
        return own  # push is addressed by the id itself
    theirs, ours = str(getattr(person, field) or ""), str(getattr(known, field))
    if not theirs:
        return own
    return not ours or theirs.lower() == ours.lower()


def settle(crowd: Crowd, *, source: str) -> list[EventInput]:
    """Give what waited in the database to those it has just become known to belong to; their events, to be stored."""
    joined = crowd.newly_joined()
    if not joined:
        return []
    waiting = list(
        TrackedMessage.objects.select_for_update(no_key=True)
        .filter(identity__in=list(joined), status=TrackedStatus.WAITING)
        .order_by("occurred_at", "id")
    )
    owners = Profile.objects.in_bulk(set(joined.values()))
    found = []
    for row in waiting:
        assert row.identity_id is not None
        owner = owners[joined[row.identity_id]]
        person, events = from_payload(row.payload)
        if person is not None:
            fill(profile_id=owner.pk, person=person, source=source, own=False)
        found += [replace(event, external_id=owner.external_id) for event in events]
        row.status, row.profile, row.identity, row.payload = TrackedStatus.STORED, owner, None, {}
    TrackedMessage.objects.bulk_update(
        waiting, ["status", "profile", "identity", "payload"], batch_size=1_000
    )
    return found


# -- one id becomes another --------------------------------------------------------------------------


def alias(crowd: Crowd, message: Message, *, source: str) -> list[Assigned]:
    """`previousId` became `userId`: visitor or person, all that was theirs is the other's now.

    Returns what of this request waited for that.
    """
    external_id, previous = crowd.root(message.user_id), message.previous_id
    if not crowd.knows(external_id):
        crowd.learn(people.store(items=[ProfileInput(external_id)], source=source).ids)
    crowd.note([(message, Owner(external_id))])
    was_a_person = crowd.knows(previous)
    old = crowd.root(previous)
    if was_a_person and old != external_id:
        _merge(old=crowd.pk(old), new=crowd.pk(external_id), source=source)
        crowd.become(old, external_id)
    crowd.become(previous, external_id)
    return crowd.join(previous, external_id)


def _merge(*, old: int, new: int, source: str) -> None:
    """All of one profile to another. The old row stays, with its texts, and leads to the new one."""
    rows = Profile.objects.select_for_update().filter(pk__in=(old, new)).order_by("external_id").in_bulk()
    was = rows[old]
    said = [
        ConsentInput(each.channel, each.status, each.source, at=each.recorded_at, purpose=each.purpose)
        for each in Consent.objects.filter(profile=old)
    ]
    person = ProfileInput(
        was.external_id,
        attributes=was.attributes,
        consents=said,
        **{name: value for name in _TEXTS if (value := getattr(was, name))},
    )
    fill(profile_id=new, person=person, source=source, own=False)
    Event.objects.filter(profile=old).update(profile=new)
    ConsentEntry.objects.filter(profile=old).update(profile=new)
    TrackedMessage.objects.filter(profile=old).update(profile=new)
    Identity.objects.filter(profile=old).update(profile=new)
    merging.entries(old=old, new=new)
    ProfileEmbedding.objects.filter(profile=old).delete()
    now = timezone.now()
    Profile.objects.filter(merged_into=old).update(merged_into=new, updated_at=now)
    Profile.objects.filter(pk=old).update(
        merged_into=new, traits=[], traits_hash="", lifecycle="", updated_at=now
    )
    Profile.objects.filter(pk__in=(old, new)).update(traits_at=None)


# -- what waits --------------------------------------------------------------------------------------


def to_payload(message: Message) -> dict[str, Any]:
    """The cleaned content as JSON: only what would be kept of a person is kept of a visitor."""
    payload: dict[str, Any] = {}
    if message.events:
        payload["events"] = [
            {
                **asdict(event),
                "occurred_at": event.occurred_at.isoformat(),
                "amount": None if event.amount is None else str(event.amount),
            }
            for event in message.events
        ]
    if message.person is not None:
        said = asdict(message.person)
        said["consents"] = [
            {**asdict(each), "at": each.at.isoformat() if each.at else None}
            for each in message.person.consents
        ]
        payload["person"] = said
    return payload


def from_payload(payload: Mapping[str, Any]) -> tuple[ProfileInput | None, list[EventInput]]:
    events = [
        EventInput(**{**event, "occurred_at": datetime.fromisoformat(event["occurred_at"])})
        for event in payload.get("events", ())
    ]
    person = payload.get("person")
    if person is None:
        return None, events
    consents = [
        ConsentInput(**{**each, "at": datetime.fromisoformat(each["at"]) if each["at"] else None})
        for each in person["consents"]
    ]
    return ProfileInput(**{**person, "consents": consents}), events


def person_hash(message: Message) -> str:
    """As `Profile.id_hash`: by it the refused messages of somebody are found when they are erased."""
    return consent.address_hash(message.user_id)
