"""What others are to be told, written down in the transaction in which it happens: both are there, or neither.

Any room may add events; delivery takes them away and tells those who listen. Only types that somebody listens to are
written, so that a system without listeners pays one look at a tiny table.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import structlog
from celery import current_app
from django.db import connection, transaction
from django.utils import timezone
from kombu.exceptions import OperationalError

from personalize.core.models import OutboxTopic

log = structlog.get_logger(__name__)

TELL = "webhooks.fan_out"  # the task that takes events away; beat runs it as well
_WAKE_AT_MOST_EVERY = 0.5  # seconds and process; what comes in between, beat's next round finds
_woken = 0.0


def add(type: str, refs: Mapping[str, object], *, at: datetime | None = None) -> int:
    """Write down one event, if somebody listens to its type. Call it in the transaction of the change."""
    return add_many(type, [refs], at=at)


def add_many(type: str, refs: Sequence[Mapping[str, object]], *, at: datetime | None = None) -> int:
    """As `add`, in one statement; how many were written."""
    if not refs:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO core_outboxevent (type, at, refs)
            SELECT %s, %s, refs FROM unnest(%s::jsonb[]) WITH ORDINALITY AS sent (refs, place)
            WHERE EXISTS (SELECT 1 FROM core_outboxtopic WHERE type = %s)
            ORDER BY place
            """,
            [type, at or timezone.now(), [json.dumps(dict(one)) for one in refs], type],
        )
        written = int(cursor.rowcount)
    if written:
        transaction.on_commit(_wake)
    return written


def add_from(
    type: str, *, select: str, params: Sequence[int | str | list[int]], at: datetime | None = None
) -> int:
    """As `add_many`, with the refs made by a query of ours that answers one jsonb column, in its order."""
    if not is_heard(type):
        return 0
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO core_outboxevent (type, at, refs) SELECT %s, %s, found.refs FROM ({select}) AS found (refs)",
            [type, at or timezone.now(), *params],
        )
        written = int(cursor.rowcount)
    if written:
        transaction.on_commit(_wake)
    return written


def is_heard(type: str) -> bool:
    """Whether anybody listens to events of this type."""
    return OutboxTopic.objects.filter(type=type).exists()


@transaction.atomic
def listen(types: Iterable[str]) -> None:
    """Write down events of these types from now on, and no others."""
    wanted = set(types)
    OutboxTopic.objects.exclude(type__in=wanted).delete()
    OutboxTopic.objects.bulk_create([OutboxTopic(type=one) for one in sorted(wanted)], ignore_conflicts=True)


def _wake() -> None:
    global _woken
    if time.monotonic() - _woken < _WAKE_AT_MOST_EVERY:
        return
    _woken = time.monotonic()
    try:
        current_app.send_task(TELL)
    except OperationalError:
        log.warning("not_enqueued", task=TELL)
