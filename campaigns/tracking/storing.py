"""Many tracking calls at once: each is stored once, waits for its person, or is refused with its reason.

One transaction for a request. In it, first the ids concerned are locked (in one order), then each message is looked
up, so a message that two requests bring at the same time is stored by one of them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import structlog
from django.db import OperationalError, transaction

from campaigns import events, people
from campaigns.cleaning import Problem
from campaigns.models import TrackedKind, TrackedStatus
from campaigns.people import ProfileInput
from campaigns.tracking import joining, ledger
from campaigns.tracking.joining import Assigned, Crowd
from campaigns.tracking.ledger import Row
from campaigns.tracking.messages import Message
from personalize.core.models import ApiKey

log = structlog.get_logger(__name__)

_TRIES = 5
_RETRYABLE = frozenset({"40P01", "40001"})  # chosen as a deadlock's victim; not serialisable


@dataclass(frozen=True, slots=True)
class Taken:
    """`refused`: (place, why) of each. stored + waiting + duplicates + refused = the messages given."""

    stored: int = 0
    waiting: int = 0
    duplicates: int = 0
    refused: list[tuple[int, Problem]] = field(default_factory=list)


class _Crossed(Exception):
    """Another request stored one of the messages meanwhile, under other ids: look again."""


def take_in(*, key: ApiKey, messages: Sequence[Message], received_at: datetime) -> Taken:
    """Take messages in, in their order. Safe to repeat, in whole or in part, at any time and in parallel.

    All are stored or (OperationalError: the database is not there) none. A message the database will not have,
    against expectation, is refused by itself and costs no other.
    """
    try:
        return _persistently(key, messages, received_at)
    except OperationalError:
        raise
    except Exception:
        if len(messages) == 1:
            log.exception("tracked_message_unstorable", api_key=key.pk, kind=messages[0].kind)
            wrong = Problem("message", "could not be stored: its id in the log of errors says more")
            broken = replace(messages[0], problems=(wrong,), events=(), person=None)
            return _persistently(key, [broken], received_at)
    half = len(messages) // 2
    first = take_in(key=key, messages=messages[:half], received_at=received_at)
    second = take_in(key=key, messages=messages[half:], received_at=received_at)
    return Taken(
        first.stored + second.stored,
        first.waiting + second.waiting,
        first.duplicates + second.duplicates,
        first.refused + [(half + place, problem) for place, problem in second.refused],
    )


def _persistently(key: ApiKey, messages: Sequence[Message], received_at: datetime) -> Taken:
    for left in reversed(range(_TRIES)):
        try:
            return _once(key, messages, received_at)
        except _Crossed:
            if not left:
                raise
        except OperationalError as error:
            if getattr(error.__cause__, "sqlstate", None) not in _RETRYABLE or not left:
                raise
            time.sleep(0.02 * (_TRIES - left))
    raise AssertionError("unreachable")


@transaction.atomic
def _once(key: ApiKey, messages: Sequence[Message], received_at: datetime) -> Taken:
    crowd = Crowd.held([message for message in messages if not message.refused])
    hashes = [ledger.hash_of(message.message_id) for message in messages]
    settled = ledger.known(hashes)
    fresh: dict[str, int] = {}  # hash -> place; of a repeated message the first that can be stored
    for place, hashed in enumerate(hashes):
        if hashed not in settled and (hashed not in fresh or messages[fresh[hashed]].refused):
            fresh[hashed] = place
    problems = {place: list(messages[place].problems) for place in fresh.values()}
    for place in fresh.values():
        if messages[place].user_id in crowd.erased:
            problems[place].append(
                Problem("userId", "is of somebody erased on request: nothing of them is kept")
            )
    good = [place for place in fresh.values() if not any(p.refuses for p in problems[place])]
    run: list[Message] = []
    for place in sorted(good):
        if messages[place].kind == TrackedKind.ALIAS:
            _store(crowd, crowd.assign(run), key)
            waited = joining.alias(crowd, messages[place], source=_source(key))
            crowd.note(waited)
            _store(crowd, waited, key)
            run = []
        else:
            run.append(messages[place])
    _store(crowd, crowd.assign(run), key)
    crowd.save()
    taken = set(good)
    rows = [
        _row(crowd, hashed, messages[place], problems[place], stored=place in taken)
        for hashed, place in fresh.items()
    ]
    written = ledger.remember(rows, key_id=key.pk, received_at=received_at)
    if any(row.message_hash not in written and row.status != TrackedStatus.REFUSED for row in rows):
        raise _Crossed
    waiting = sum(row.status == TrackedStatus.WAITING for row in rows)
    refused = [
        (place, next(p for p in found if p.refuses))
        for place, found in problems.items()
        if place not in taken
    ]
    return Taken(
        stored=len(good) - waiting,
        waiting=waiting,
        duplicates=len(messages) - len(fresh),
        refused=sorted(refused, key=lambda each: each[0]),
    )


def _source(key: ApiKey) -> str:
    return f"tracking: {key.name}"[:100]


def _store(crowd: Crowd, assigned: Sequence[Assigned], key: ApiKey) -> None:
    """People first, then what visitors did who became known, then the events."""
    source = _source(key)
    said, late = [], []
    for message, owner in assigned:
        if message.person is not None:
            person = replace(message.person, external_id=owner.external_id)
            if owner.only_fills:
                late.append((person, owner.own))
            else:
                said.append(person)
    unknown = sorted({owner.external_id for _, owner in assigned if not crowd.knows(owner.external_id)})
    if unknown or said:
        new = [ProfileInput(external_id) for external_id in unknown]
        crowd.learn(people.store(items=[*new, *said], source=source).ids)
    items = joining.settle(crowd, source=source)
    for person, own in late:
        joining.fill(profile_id=crowd.pk(person.external_id), person=person, source=source, own=own)
    items += [
        replace(event, external_id=owner.external_id)
        for message, owner in assigned
        for event in message.events
    ]
    if items:
        events.store(items=items)


def _row(crowd: Crowd, hashed: str, message: Message, problems: Sequence[Problem], *, stored: bool) -> Row:
    if not stored:
        erased = message.user_id in crowd.erased
        return Row(
            hashed,
            message.kind,
            TrackedStatus.REFUSED,
            message_id="" if erased else message.message_id,
            person_hash="" if erased else joining.person_hash(message),
            occurred_at=message.at,
            problems=sorted(problems, key=lambda problem: not problem.refuses),
        )
    profile_id, identity_id = crowd.place_of(message)
    waits = profile_id is None
    return Row(
        hashed,
        message.kind,
        TrackedStatus.WAITING if waits else TrackedStatus.STORED,
        profile_id=profile_id,
        identity_id=identity_id if waits else None,
        occurred_at=message.at,
        payload=joining.to_payload(message) if waits else None,
        problems=problems,
    )
