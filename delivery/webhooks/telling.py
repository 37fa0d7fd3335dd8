"""From what happened to messages: each event of the outbox becomes one message for each endpoint that wants it."""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog
from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone
from kombu.exceptions import OperationalError

from campaigns.models import Run, RunTrigger
from delivery.webhooks.models import MessageStatus, RunMilestone, WebhookEndpoint, WebhookMessage
from generation.models import Piece, Status
from personalize.core import outbox
from personalize.core.models import OutboxEvent

log = structlog.get_logger(__name__)

BATCH = 2_000
KEEP_DELIVERED = timedelta(days=14)
KEEP_DEAD = timedelta(days=90)
_LOCK = 7_224_410_001  # advisory: one at a time gives events their numbers
_UNWRITTEN = (Status.DRAFT, Status.GENERATING)
_OPEN = (*_UNWRITTEN, Status.IN_REVIEW, Status.APPROVED, Status.DELIVERING)
_MILESTONES = (("run.written", _UNWRITTEN), ("run.finished", _OPEN))
_LOOK_BACK = timedelta(days=60)  # older runs reach nothing more


def fan_out() -> int:
    """Turn the outbox into messages and wake a sender for each endpoint that has some due; how many were made.

    Two at once: the second leaves the numbering to the first.
    """
    made = 0
    while (taken := _number_batch()) is not None:
        made += taken[1]
        if taken[0] < BATCH:
            break
    for endpoint_id in due_endpoints(now=timezone.now()):
        _wake(endpoint_id)
    return made


def due_endpoints(*, now: datetime) -> list[int]:
    """Enabled endpoints with messages to be sent now, that nobody sends to."""
    due = WebhookMessage.objects.filter(
        endpoint=OuterRef("pk"), status=MessageStatus.PENDING, next_at__lte=now
    )
    free = Q(claimed_until=None) | Q(claimed_until__lt=now)
    awake = Q(quiet_until=None) | Q(quiet_until__lte=now)
    found = WebhookEndpoint.objects.filter(free, awake, Exists(due), is_enabled=True)
    return list(found.values_list("pk", flat=True))


def mark_milestones(*, now: datetime) -> int:
    """Note the runs that have been written or finished since the last look, each once; how many."""
    count = 0
    for kind, open_statuses in _MILESTONES:
        if not outbox.is_heard(kind):
            continue
        mine = Piece.objects.filter(run=OuterRef("pk"))
        reached = (
            Run.objects.filter(created_at__gt=now - _LOOK_BACK)
            .exclude(trigger=RunTrigger.COMPOSE)  # its pieces come one by one: it is never finished
            .filter(Exists(mine), ~Exists(mine.filter(status__in=open_statuses)))
            .exclude(Exists(RunMilestone.objects.filter(run=OuterRef("pk"), type=kind)))
        )
        for run_id in reached.values_list("pk", flat=True):
            with transaction.atomic():
                _, new = RunMilestone.objects.get_or_create(run_id=run_id, type=kind, defaults={"at": now})
                if new:
                    outbox.add(kind, {"run": run_id}, at=now)
                    count += 1
    return count


def purge(*, now: datetime) -> int:
    """Delete messages that arrived two weeks ago, or were given up three months ago; how many."""
    old = Q(status=MessageStatus.DELIVERED, finished_at__lt=now - KEEP_DELIVERED)
    older = Q(status=MessageStatus.DEAD, finished_at__lt=now - KEEP_DEAD)
    return WebhookMessage.objects.filter(old | older).delete()[0]


@transaction.atomic
def _number_batch() -> tuple[int, int] | None:
    """(events taken, messages made), or None if somebody else is at it or there is nothing."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK])
        if cursor.fetchone() != (True,):
            return None
    events = list(OutboxEvent.objects.order_by("pk")[:BATCH])
    if not events:
        return None
    now = timezone.now()
    messages: list[WebhookMessage] = []
    for endpoint in WebhookEndpoint.objects.select_for_update().filter(is_enabled=True).order_by("pk"):
        wanted = set(endpoint.types)
        mine = [event for event in events if event.type in wanted]
        messages += [
            WebhookMessage(
                endpoint=endpoint,
                sequence=endpoint.last_sequence + place,
                type=event.type,
                refs=event.refs,
                occurred_at=event.at,
                next_at=now,
            )
            for place, event in enumerate(mine, start=1)
        ]
        if mine:
            WebhookEndpoint.objects.filter(pk=endpoint.pk).update(
                last_sequence=endpoint.last_sequence + len(mine)
            )
    WebhookMessage.objects.bulk_create(messages, batch_size=1_000)
    OutboxEvent.objects.filter(pk__in=[event.pk for event in events]).delete()
    return len(events), len(messages)


def _wake(endpoint_id: int) -> None:
    from delivery import tasks

    try:
        tasks.send_webhooks.delay(endpoint_id=endpoint_id)
    except OperationalError:
        log.warning("not_enqueued", task="webhooks.send", endpoint=endpoint_id)
