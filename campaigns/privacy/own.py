"""What this app holds about people: profiles with all that hangs on them, ids in segments, uploads, old rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from campaigns.models import (
    Consent,
    ConsentEntry,
    DataExport,
    Entry,
    Event,
    Identity,
    Import,
    Profile,
    ProfileEmbedding,
    Segment,
    Suppression,
    TrackedMessage,
)  # fmt: skip
from campaigns.privacy.uploads import forget_uploads
from personalize.core import traces
from personalize.core.personal_data import Keeping, Person, Table

ERASED_ID = "(erased)"


def tables(person: Person) -> Iterable[Table]:
    ids = person.profile_ids
    profiles = Profile.objects.filter(pk__in=ids)
    hashes = {h for p in profiles for h in (p.email_hash, p.phone_hash, p.id_hash) if h}
    inner = ("traits_hash", "email_hash", "phone_hash", "id_hash")
    yield Table("profile", "who they are: names, addresses, attributes, traits", profiles, without=inner)
    yield Table(
        "consents",
        "what they agreed to now, by channel and purpose",
        Consent.objects.filter(profile__in=ids),
        flat=True,
    )
    yield Table(
        "consent_ledger", "every statement about that, with source and proof",
        ConsentEntry.objects.filter(profile__in=ids), flat=True,
    )  # fmt: skip
    yield Table(
        "suppressions", "their addresses that nothing is sent to, and why",
        Suppression.objects.filter(address_hash__in=hashes), flat=True,
    )  # fmt: skip
    yield Table("events", "what they did", Event.objects.filter(profile__in=ids), flat=True)
    yield Table(
        "identities", "ids that apps and sites knew them by", Identity.objects.filter(profile__in=ids)
    )
    yield Table(
        "tracked_messages", "calls of apps and sites that belong to them",
        TrackedMessage.objects.filter(profile__in=ids), without=("message_hash",),
    )  # fmt: skip
    yield Table("embedding", "their traits as numbers", ProfileEmbedding.objects.filter(profile__in=ids))
    yield Table("entries", "always-on campaigns they entered", Entry.objects.filter(profile__in=ids))
    yield Table(
        "archives", "who asked for this archive, and when",
        DataExport.objects.filter(profile__in=ids), without=("number",),
    )  # fmt: skip


def forget(people: Sequence[Person]) -> None:
    _ids_in_segments(people)
    wanted = traces.pattern(text for person in people for text in person.texts)
    removed = forget_uploads(wanted) if wanted is not None else 0
    if removed and people:
        people[0].removed["uploads"] += removed


def _ids_in_segments(people: Sequence[Person]) -> None:
    """A list of ids in a filter is a list of people: who is erased leaves it."""
    gone = {text for person in people for text in person.texts}
    for segment in Segment.objects.exclude(filter={}):
        changed = _without(segment.filter, gone)
        if changed != segment.filter:
            Segment.objects.filter(pk=segment.pk).update(filter=changed)
            people[0].removed["segments_changed"] += 1


def _without(tree: Any, gone: set[str]) -> Any:
    if isinstance(tree, list):
        return [_without(part, gone) for part in tree]
    if not isinstance(tree, dict):
        return tree
    changed = {key: _without(part, gone) for key, part in tree.items()}
    if tree.get("field") != "external_id" or "value" not in tree:
        return changed
    value = tree["value"]
    if isinstance(value, list):
        changed["value"] = [each for each in value if each not in gone] or [ERASED_ID]
    elif value in gone:
        changed["value"] = ERASED_ID
    return changed


# -- how long it is kept -----------------------------------------------------------------------------


def _take(rows: QuerySet[Any], most: int) -> int:
    keys = list(rows.order_by("pk").values_list("pk", flat=True)[:most])
    with transaction.atomic():
        rows.model._default_manager.filter(pk__in=keys).delete()
    return len(keys)


def _old_events(before: datetime) -> QuerySet[Event]:
    return Event.objects.filter(occurred_at__lt=before)


def _idle_people(before: datetime) -> QuerySet[Profile]:
    """Known longer than that, changed and active not since, and without a consent that holds."""
    lately = Event.objects.filter(profile=OuterRef("pk"), occurred_at__gte=before)
    agreed = Consent.objects.filter(profile=OuterRef("pk"), status="given")
    return Profile.objects.filter(
        ~Exists(lately), ~Exists(agreed), created_at__lt=before, updated_at__lt=before, merged_into=None
    )


def _erase_idle(before: datetime, most: int) -> int:
    from campaigns.privacy import erasing  # it reads the holders, of which this is one

    ids = list(
        _idle_people(before).order_by("pk").values_list("external_id", flat=True)[: min(most, erasing.MOST)]
    )
    if ids:
        erasing.erase_many(external_ids=ids, by=None, reason=erasing.RETENTION)
    return len(ids)


def _old_imports(before: datetime) -> QuerySet[Import]:
    return Import.objects.filter(Q(finished_at__lt=before) | Q(finished_at=None, started_at__lt=before))


def _old_archives(before: datetime) -> QuerySet[DataExport]:
    return DataExport.objects.filter(expires_at__lt=before)


KEEPING = (
    Keeping(
        "events", "Events", "What people did, by when they did it. Traits are derived anew from what is left.", 1095,
        lambda before: _old_events(before).count(), lambda before, most: _take(_old_events(before), most),
    ),
    Keeping(
        "idle_people", "People who agreed to nothing and did nothing",
        "Erased as on request: without any consent that holds, and no event or change in this time.", 1095,
        lambda before: _idle_people(before).count(), _erase_idle,
    ),
    Keeping(
        "imports", "Records of imports", "Counts and problems of files that were imported.", 365,
        lambda before: _old_imports(before).count(), lambda before, most: _take(_old_imports(before), most),
    ),
    Keeping(
        "archives", "Records of archives", "Who asked for everything about a person, after the archive expired.", 365,
        lambda before: _old_archives(before).count(), lambda before, most: _take(_old_archives(before), most),
    ),
)  # fmt: skip
