"""What beat looks after: claims whose worker was lost, drafts that nobody was woken for, campaigns that are due."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import structlog
from django.db import transaction
from django.db.models import Exists, OuterRef

from campaigns import schedules
from campaigns.models import Campaign, Run, RunStatus, RunTrigger, ScheduleKind
from generation.drafting import entering, launching, leases, queueing
from generation.models import Piece
from personalize.core.errors import DomainError

log = structlog.get_logger(__name__)

MOST_RUNS = 20  # woken by one sweep


@dataclass(frozen=True, slots=True)
class Swept:
    returned: int  # claims taken back
    failed: int  # pieces whose writers were lost too often
    woken: tuple[int, ...]  # runs enqueued anew


def sweep(*, now: datetime) -> Swept:
    """Take back lost claims, and wake a writer for each run that has drafts and nobody at them.

    Safe to run at any time and any number of times: a message too many finds nothing to claim. A run behind a
    long queue is not woken again and again.
    """
    schedules.mend(now=now)
    returned, failed = leases.return_expired(now=now)
    woken = _idle_runs(now) if queueing.queue_length() < queueing.MANY_MESSAGES else []
    for run_id in woken:
        queueing.enqueue(run_id=run_id)
    if returned or failed or woken:
        log.info("swept", returned=returned, failed=failed, woken=woken)
    return Swept(returned, failed, tuple(woken))


def _idle_runs(now: datetime) -> list[int]:
    drafts = leases.waiting(now=now).filter(run_id=OuterRef("pk"))
    at_work = Piece.objects.filter(run_id=OuterRef("pk"), lease_until__gte=now)
    runs = Run.objects.filter(Exists(drafts), ~Exists(at_work), status=RunStatus.OPEN).order_by("pk")
    return list(runs.values_list("pk", flat=True)[:MOST_RUNS])


def start_due_runs(*, now: datetime) -> list[Run]:
    """Launch every campaign whose time has come, each in a transaction of its own; the runs that were opened.

    A campaign that cannot be launched is put on hold with the reason, since trying again every minute would not
    mend it. One whose launch fails unexpectedly stays due; the others start, then the first such error is raised.
    """
    started: list[Run] = []
    failed: dict[int, Exception] = {}
    while True:
        campaign_id = 0
        try:
            with transaction.atomic():
                due = schedules.claim_due(now=now, limit=1, skip=failed)
                if not due:
                    break
                campaign, when = due[0]
                campaign_id = campaign.pk
                run = _launch_or_hold(campaign, when, now) if when else None
        except Exception as error:
            if not campaign_id:
                raise
            failed[campaign_id] = error
            log.warning("launch_failed", campaign_id=campaign_id, error=type(error).__name__)
        else:
            started += [run] if run else []
    if failed:
        raise next(iter(failed.values()))
    return started


def _launch_or_hold(campaign: Campaign, when: datetime, now: datetime) -> Run | None:
    try:
        # A savepoint: what the launch stored goes, the claim of the time stays.
        with transaction.atomic():
            if campaign.schedule == ScheduleKind.ALWAYS_ON:
                return entering.look(campaign=campaign, when=when, now=now)
            return launching.launch(
                campaign=campaign, by=None, trigger=RunTrigger.SCHEDULE, scheduled_for=when
            )
    except DomainError as error:
        schedules.hold(campaign=campaign, reason=str(error))
        log.warning("launch_impossible", campaign_id=campaign.pk, error=error.code)
        return None
