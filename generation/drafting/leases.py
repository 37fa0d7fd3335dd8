"""Claims: which worker is at which drafts, for how long, and what becomes of a claim whose worker was lost."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from campaigns.models import CampaignStatus, RunStatus
from generation import transitions
from generation.models import Piece, Status

log = structlog.get_logger(__name__)

MOST_ATTEMPTS = 5  # claims a draft may use up before a person has to look
ALONE_AFTER = (
    2  # claims after which a draft is written alone: if it kills its worker, it takes no others along
)
MOST_EXTENSIONS = 9  # of a third of a lease each: a writer that hangs loses its claim after four leases


@dataclass(frozen=True, slots=True)
class Claim:
    """Drafts that are this worker's until the lease ends. All of one run."""

    id: uuid.UUID
    pieces: tuple[Piece, ...]


def waiting(*, now: datetime) -> QuerySet[Piece]:
    """Drafts that may be written now: their run is open, their campaign neither paused nor archived."""
    return (
        Piece.objects.filter(status=Status.DRAFT, run__status=RunStatus.OPEN)
        .exclude(run__campaign__status__in=(CampaignStatus.PAUSED, CampaignStatus.ARCHIVED))
        .exclude(retry_after__gt=now)
    )


@transaction.atomic
def claim(
    *, now: datetime, limit: int, run_id: int | None = None, piece_id: int | None = None
) -> Claim | None:
    """Claim up to `limit` drafts of one run, or one named draft; None when there is nothing to claim.

    Drafts another worker is claiming at this moment are skipped, so any number of workers share a run without
    waiting for each other. Channels are mixed: the rows of a batch advance independently, and each pass over
    the weights serves them all, so a batch of everything costs the passes of its longest piece. The transaction
    ends here: nothing is locked while the writer works.
    """
    drafts = waiting(now=now)
    drafts = chosen_of(drafts, run_id=run_id, piece_id=piece_id)
    found = list(
        drafts.select_for_update(skip_locked=True, of=("self",)).order_by("attempts", "channel", "id")[:limit]
    )
    if not found:
        return None
    chosen = _batch(found)
    token, lease_until = uuid.uuid4(), now + timedelta(seconds=settings.WRITER_LEASE_SECONDS)
    transitions.advance_many(
        Piece.objects.filter(pk__in=[piece.pk for piece in chosen]),
        Status.GENERATING,
        was=Status.DRAFT,
        claim=token,
        lease_until=lease_until,
        retry_after=None,
        attempts=F("attempts") + 1,
    )
    for piece in chosen:  # the rows are locked: what the UPDATE wrote is known without reading them again
        piece.status, piece.claim, piece.lease_until = Status.GENERATING, token, lease_until
        piece.retry_after, piece.attempts = None, piece.attempts + 1
    return Claim(token, tuple(chosen))


def chosen_of(drafts: QuerySet[Piece], *, run_id: int | None, piece_id: int | None) -> QuerySet[Piece]:
    """Those of one run, or the one that is named."""
    if piece_id is not None:
        return drafts.filter(pk=piece_id)
    if run_id is None:
        raise ValueError("name a run or a piece")
    return drafts.filter(run_id=run_id)


def _batch(found: list[Piece]) -> list[Piece]:
    if found[0].attempts >= ALONE_AFTER:
        return found[:1]
    return [piece for piece in found if piece.attempts < ALONE_AFTER]


@contextmanager
def held(claim: Claim) -> Iterator[None]:
    """Extend the lease of the claim for as long as the block runs, from a thread with a connection of its own."""
    stop = threading.Event()
    seconds = settings.WRITER_LEASE_SECONDS
    ids = [piece.pk for piece in claim.pieces]

    def extend() -> None:
        try:
            for _ in range(MOST_EXTENSIONS):
                if stop.wait(seconds / 3):
                    return
                try:
                    Piece.objects.filter(pk__in=ids, claim=claim.id, status=Status.GENERATING).update(
                        lease_until=timezone.now() + timedelta(seconds=seconds)
                    )
                except DatabaseError as error:
                    log.warning("lease_not_extended", claim=str(claim.id), error=type(error).__name__)
        finally:
            connection.close()

    thread = threading.Thread(target=extend, name=f"lease-{claim.id}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=10)


def give_back(
    claim: Claim, *, piece_ids: Sequence[int], note: str, retry_after: datetime | None = None
) -> list[int]:
    """Make claimed pieces drafts again, those this claim still holds; the ids of them."""
    return transitions.advance_many(
        Piece.objects.filter(pk__in=piece_ids, claim=claim.id),
        Status.DRAFT,
        was=Status.GENERATING,
        note=note,
        claim=None,
        lease_until=None,
        retry_after=retry_after,
    )


@transaction.atomic
def return_expired(*, now: datetime) -> tuple[int, int]:
    """Take pieces back from workers that were lost: how many are drafts again, how many failed for good.

    A worker that was only slow finds its claim gone when it stores, and its text is dropped: the piece is written
    once either way.
    """
    stale = Piece.objects.filter(status=Status.GENERATING, lease_until__lt=now)
    locked = stale.select_for_update(skip_locked=True).order_by("pk").values_list("pk", flat=True)
    expired = Piece.objects.filter(pk__in=list(locked))
    failed = transitions.advance_many(
        expired.filter(attempts__gte=MOST_ATTEMPTS),
        Status.FAILED,
        was=Status.GENERATING,
        note="its writer was lost again and again",
        error=f"Its writer was lost {MOST_ATTEMPTS} times. Look at the writer's memory and its log.",
        claim=None,
        lease_until=None,
    )
    returned = transitions.advance_many(
        expired,
        Status.DRAFT,
        was=Status.GENERATING,
        note="its writer was lost",
        claim=None,
        lease_until=None,
    )
    return len(returned), len(failed)
