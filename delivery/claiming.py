"""Claiming approved pieces for delivery: the last look before anything leaves.

One transaction locks the pieces, looks again at everything that may have changed since a person approved them,
and moves those that are still true to 'delivering', with their Delivery rows. What went stale goes back to review,
what may no longer be sent is withdrawn, each with its reason.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Generic, Protocol, TypeVar

import structlog
from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from campaigns import consent, timing
from campaigns.models import CampaignStatus, Channel, Run, RunStatus
from delivery import rechecking, rendering
from delivery.models import Delivery, DeliveryStatus, ExportFile, Hold, Transport
from delivery.rechecking import Facts, Timing, Wait
from generation.models import Piece, Status
from generation.transitions import advance_many

log = structlog.get_logger(__name__)

STOPPED = (CampaignStatus.PAUSED, CampaignStatus.ARCHIVED)


class Prepared(Protocol):
    """What leaves, made ready inside the claim, so that what cannot be made goes back to review."""

    @property
    def hash(self) -> str: ...


Content = TypeVar("Content", bound=Prepared)


@dataclass(frozen=True, slots=True)
class Ready(Generic[Content]):
    """One piece that this worker holds. `attempt` is its fence: settling asks for it."""

    piece_id: int
    delivery_id: int
    attempt: int
    message_id: str
    address: str  # '' for an ad
    content: Content


@dataclass(slots=True)
class Claimed(Generic[Content]):
    ready: list[Ready[Content]] = field(default_factory=list)
    returned: dict[int, str] = field(default_factory=dict)  # piece id -> why it went back to review
    withdrawn: dict[int, str] = field(default_factory=dict)  # piece id -> why it may not be sent
    held: dict[int, Wait] = field(default_factory=dict)  # piece id -> why it may leave only later

    def __bool__(self) -> bool:
        return bool(self.ready or self.returned or self.withdrawn or self.held)


def open_runs() -> Any:
    """Runs whose approved pieces may leave now: open, released by a person, the campaign not stopped."""
    return Run.objects.filter(status=RunStatus.OPEN, released_at__isnull=False).exclude(
        campaign__status__in=STOPPED
    )


def due(*, now: datetime, channels: Iterable[str]) -> Any:
    """Approved pieces of those channels with no delivery under way, no later time to try again and no hold.

    A hold lasts until its time, or until somebody changes the campaign or the sending rules.
    """
    theirs = Delivery.objects.filter(piece=OuterRef("pk"))
    under_way = theirs.filter(
        status__in=(DeliveryStatus.CLAIMED, DeliveryStatus.HANDED_OVER, DeliveryStatus.UNKNOWN)
    )
    waiting = theirs.filter(status=DeliveryStatus.RETRY, retry_after__gt=now)
    held = Hold.objects.filter(
        piece=OuterRef("pk"), until__gt=now, made_at__gt=OuterRef("run__campaign__updated_at")
    )
    if changed := timing.changed_at(timezone.now()):
        held = held.filter(made_at__gt=changed)
    return Piece.objects.filter(
        ~Exists(under_way), ~Exists(waiting), ~Exists(held), status=Status.APPROVED, channel__in=channels
    )


def lease() -> datetime:
    return timezone.now() + timedelta(seconds=settings.DELIVERY_LEASE_SECONDS)


def content_hash(content: object) -> str:
    """sha256 of the canonical JSON, as `Piece.text_hash` is."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


@transaction.atomic
def claim(
    *,
    run_id: int,
    channel: Channel,
    prepare: Callable[[Piece, str], Content],
    transport: Transport,
    limit: int,
    now: datetime,
    only: int | None = None,
    export_file: ExportFile | None = None,
) -> Claimed[Content]:
    """Claim up to `limit` due pieces of a run and channel; of racing workers each piece has one winner.

    `prepare(piece, message_id)` renders; its RenderError sends the piece back to review. `only` names one piece.
    """
    result: Claimed[Content] = Claimed()
    run = open_runs().select_related("campaign__brand").filter(pk=run_id).first()
    if run is None:
        return result
    wanted = due(now=now, channels=[channel]).filter(run_id=run_id)
    if only is not None:
        wanted = wanted.filter(pk=only)
    # Locked rows are another worker's; of=self leaves the profile to whoever imports people meanwhile.
    pieces: list[Piece] = list(
        wanted.select_related("profile")
        .select_for_update(skip_locked=True, of=("self",))
        .order_by("id")[:limit]
    )
    if not pieces:
        return result
    times = Timing(run, channel, transport, now)
    pieces = times.lock(pieces)
    known = Delivery.objects.in_bulk([piece.pk for piece in pieces], field_name="piece_id")
    allowed = rechecking.may_receive(pieces, channel)
    facts = Facts(run)
    prepared: list[tuple[Piece, str, Content]] = []
    for piece in pieces:
        piece.run = run
        message_id = known[piece.pk].message_id if piece.pk in known else _new_message_id()
        if why := rechecking.why_not_sent(piece, channel, allowed):
            result.withdrawn[piece.pk] = why
        elif why := facts.why_stale(piece, now):
            result.returned[piece.pk] = why
        elif wait := times.wait(piece):
            if why := facts.why_stale(piece, wait.until):
                result.returned[piece.pk] = (
                    f"{why} It could not leave before {wait.until:%d %B %Y, %H:%M} UTC."
                )
            else:
                result.held[piece.pk] = wait
        else:
            try:
                prepared.append((piece, message_id, prepare(piece, message_id)))
            except rendering.RenderError as error:
                result.returned[piece.pk] = str(error)
            except DatabaseError:
                raise
            except Exception as error:  # one piece must not stop the mail of all others, whatever it is
                name = type(error).__name__  # the message could hold an address
                log.warning("not_rendered", piece_id=piece.pk, error=name)
                result.returned[piece.pk] = f"This text could not be made into a message ({name})."
    rechecking.return_to_review(result.returned)
    rechecking.withdraw(result.withdrawn)
    rechecking.store_waits(result.held, times.read_at)
    result.ready = _take(prepared, known, channel, transport, export_file)
    return result


def _take(
    prepared: Sequence[tuple[Piece, str, Content]],
    held: dict[int, Delivery],
    channel: Channel,
    transport: Transport,
    export_file: ExportFile | None,
) -> list[Ready[Content]]:
    moved = set(
        advance_many(
            Piece.objects.filter(pk__in=[piece.pk for piece, _, _ in prepared]),
            Status.DELIVERING,
            was=Status.APPROVED,
        )
    )
    until = lease()
    again, new = [], []
    for piece, message_id, content in prepared:
        if piece.pk not in moved:
            continue
        delivery = held.get(piece.pk)
        if delivery is None:
            delivery = Delivery(piece=piece, message_id=message_id, attempts=1)
            new.append(delivery)
        else:
            delivery.attempts += 1
            again.append(delivery)
        delivery.channel, delivery.transport, delivery.status = channel, transport, DeliveryStatus.CLAIMED
        delivery.lease_until, delivery.begun_at, delivery.retry_after = until, None, None
        delivery.rendered_hash, delivery.response, delivery.finished_at = content.hash, "", None
        delivery.export_file = export_file
        delivery.address_hash = _address_hash(piece, channel)
    Hold.objects.filter(piece__in=moved).delete()
    Delivery.objects.bulk_create(new, batch_size=1000)
    if again:
        Delivery.objects.bulk_update(again, _CLAIM_FIELDS, batch_size=500)
    by_piece = {delivery.piece_id: delivery for delivery in (*new, *again)}
    return [
        Ready(
            piece_id=piece.pk,
            delivery_id=by_piece[piece.pk].pk,
            attempt=by_piece[piece.pk].attempts,
            message_id=message_id,
            address=consent.address_of(piece.profile, channel) if piece.profile else "",
            content=content,
        )
        for piece, message_id, content in prepared
        if piece.pk in by_piece
    ]


_CLAIM_FIELDS = (
    "channel", "transport", "status", "attempts", "lease_until", "begun_at", "retry_after",
    "rendered_hash", "response", "finished_at", "export_file", "address_hash",
)  # fmt: skip


def _address_hash(piece: Piece, channel: Channel) -> str:
    address = consent.address_of(piece.profile, channel) if piece.profile else ""
    return consent.address_hash(consent.normalise_address(channel, address)) if address else ""


def _new_message_id() -> str:
    return f"<{uuid.uuid4()}@{rendering.host()}>"


@transaction.atomic
def settle(
    *,
    ready: Sequence[Ready[Any]],
    status: DeliveryStatus,
    response: str = "",
    retry_after: datetime | None = None,
) -> list[int]:
    """Write what became of claimed pieces, and move them on with it; the ids of those this claim still held.

    A claim that a sweeper has called uncertain meanwhile may still report that its mail left; anything else
    of a lost claim is dropped, since the piece is no longer its own.
    """
    moves = {
        DeliveryStatus.HANDED_OVER: Status.DELIVERED,
        DeliveryStatus.RETRY: Status.APPROVED,
        DeliveryStatus.FAILED: Status.FAILED,
        DeliveryStatus.UNKNOWN: Status.UNKNOWN,
    }
    now = timezone.now()
    changes = {
        "status": status,
        "response": response[:300],
        "retry_after": retry_after,
        "lease_until": None,
        "finished_at": now if status in (DeliveryStatus.HANDED_OVER, DeliveryStatus.FAILED) else None,
    }
    extra: dict[str, Any] = {}
    if status == DeliveryStatus.HANDED_OVER:
        extra["delivered_at"] = now
    if status == DeliveryStatus.FAILED:
        extra["error"] = response[:300]
    settled: list[int] = []
    froms = [(DeliveryStatus.CLAIMED, Status.DELIVERING)]
    if status == DeliveryStatus.HANDED_OVER:
        froms.append((DeliveryStatus.UNKNOWN, Status.UNKNOWN))
    by_attempt: dict[int, list[int]] = defaultdict(list)
    for one in ready:
        by_attempt[one.attempt].append(one.delivery_id)
    for was_delivery, was_piece in froms:
        mine: list[int] = []
        for attempt, ids in by_attempt.items():
            rows = Delivery.objects.filter(pk__in=ids, attempts=attempt, status=was_delivery)
            if len(ready) == 1:  # each mail by itself: one statement does
                mine += _settle_one(ready[0], was_delivery, changes)
                continue
            mine += rows.select_for_update().values_list("piece_id", flat=True)
            rows.update(**changes)
        if mine:
            settled += advance_many(
                Piece.objects.filter(pk__in=mine),
                moves[status],
                was=was_piece,
                note=response[:300],
                **extra,
            )
        if len(settled) == len(ready):
            break
    if status == DeliveryStatus.RETRY and settled:
        _withdraw_cancelled(settled)
    return settled


def _withdraw_cancelled(piece_ids: Sequence[int]) -> None:
    """What comes back from a claim while its run was cancelled goes where the rest of the run went."""
    note = "the run was cancelled"
    mine = Piece.objects.filter(pk__in=piece_ids, run__status=RunStatus.CANCELLED)
    if ids := list(mine.values_list("pk", flat=True)):
        moved = advance_many(
            Piece.objects.filter(pk__in=ids), Status.WITHDRAWN, was=Status.APPROVED, note=note
        )
        Delivery.objects.filter(piece__in=moved, status=DeliveryStatus.RETRY).update(
            status=DeliveryStatus.FAILED, response=note, retry_after=None, finished_at=timezone.now()
        )


def _settle_one(ready: Ready[Any], was: DeliveryStatus, changes: dict[str, Any]) -> list[int]:
    """The piece's id if this claim still held it. SQL as it stands: it runs once for every mail."""
    assignments = ", ".join(f"{column} = %s" for column in changes)  # our own column names
    values = [value.value if isinstance(value, DeliveryStatus) else value for value in changes.values()]
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE delivery_delivery SET {assignments} WHERE id = %s AND attempts = %s AND status = %s",
            [*values, ready.delivery_id, ready.attempt, was.value],
        )
        return [ready.piece_id] * cursor.rowcount
