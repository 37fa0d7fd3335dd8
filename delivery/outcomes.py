"""What came back: recorded once however often it is reported, and acted on at once.

A complaint, an unsubscribe or a lasting bounce suppresses the address and takes back what is queued for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import structlog
from django.db import transaction
from django.utils import timezone

from campaigns.models import Channel, SuppressionReason
from delivery import stopping
from delivery.models import Delivery, DeliveryStatus, Outcome, OutcomeKind
from generation.models import Piece, Status
from generation.transitions import advance_many
from personalize.core.errors import InvalidInput

log = structlog.get_logger(__name__)

_STOPS = {
    OutcomeKind.BOUNCED: SuppressionReason.BOUNCED,
    OutcomeKind.COMPLAINED: SuppressionReason.COMPLAINED,
    OutcomeKind.UNSUBSCRIBED: SuppressionReason.UNSUBSCRIBED,
}
# A provider that reports one of these has the mail: an uncertain end is certain then.
_PROVE_ARRIVAL = frozenset(OutcomeKind) - {OutcomeKind.PURCHASED}


@dataclass(frozen=True, slots=True)
class OutcomeInput:
    """One report. It names its delivery by our Message-ID, the delivery's id or the piece's id: one of them.

    `event_id` is the reporter's own and makes a repeat harmless. `permanent` False: a bounce that may pass.
    `counted` False: a machine's doing; `detail` says why in our words.
    """

    kind: str
    event_id: str
    occurred_at: datetime
    message_id: str = ""
    delivery_id: int | None = None
    piece_id: int | None = None
    amount: Decimal | None = None
    permanent: bool = True
    counted: bool = True
    detail: str = ""


@dataclass(frozen=True, slots=True)
class OutcomeResult:
    created: int
    duplicates: int
    unknown: tuple[str, ...]  # event ids whose delivery is not ours
    repeated: tuple[str, ...] = ()  # event ids known already


@transaction.atomic
def record(*, items: Sequence[OutcomeInput]) -> OutcomeResult:
    """Store the reports and act on them. Raises InvalidInput for a kind that does not exist; then nothing is stored."""
    for row, item in enumerate(items):
        if item.kind not in OutcomeKind.values:
            raise InvalidInput(
                f"The kind must be one of: {', '.join(OutcomeKind.values)}.", field="kind", row=row
            )
        if not item.event_id or len(item.event_id) > 200:
            raise InvalidInput("The event id must have 1 to 200 characters.", field="event_id", row=row)
    deliveries = _deliveries(items)
    seen = set(
        Outcome.objects.filter(event_id__in=[item.event_id for item in items]).values_list(
            "event_id", flat=True
        )
    )
    rows: list[Outcome] = []
    acts: list[tuple[Delivery, OutcomeInput]] = []
    unknown: list[str] = []
    repeated: list[str] = []
    for item in items:
        delivery = deliveries.get(_key(item))
        if delivery is None:
            unknown.append(item.event_id)
        elif item.event_id in seen:
            repeated.append(item.event_id)
        else:
            seen.add(item.event_id)
            rows.append(
                Outcome(
                    delivery=delivery,
                    kind=item.kind,
                    event_id=item.event_id,
                    occurred_at=item.occurred_at,
                    amount=item.amount,
                    counted=item.counted and not _may_pass(item),
                    detail=(item.detail or ("may pass" if _may_pass(item) else ""))[:60],
                )
            )
            acts.append((delivery, item))
    # A report that another worker stores at this moment is left out by the unique constraint; acting twice is harmless.
    Outcome.objects.bulk_create(rows, ignore_conflicts=True, batch_size=1000)
    for delivery, item in acts:
        _act(delivery, item)
    if rows or unknown:
        log.info("outcomes_recorded", created=len(rows), unknown=len(unknown))
    return OutcomeResult(len(rows), len(repeated), tuple(unknown), tuple(repeated))


def prove_handed_over(delivery: Delivery) -> None:
    """An uncertain end is certain: somebody beyond us has the mail. Anything else is left as it is.

    Call it inside a transaction: the delivery and its piece move together.
    """
    if delivery.status != DeliveryStatus.UNKNOWN:
        return
    now = timezone.now()
    known = Delivery.objects.filter(pk=delivery.pk, status=DeliveryStatus.UNKNOWN)
    if known.update(status=DeliveryStatus.HANDED_OVER, finished_at=now):
        advance_many(
            Piece.objects.filter(pk=delivery.piece_id),
            Status.DELIVERED,
            was=Status.UNKNOWN,
            note="reported as arrived",
            delivered_at=now,
        )


def _act(delivery: Delivery, item: OutcomeInput) -> None:
    kind = OutcomeKind(item.kind)
    if kind in _PROVE_ARRIVAL:
        prove_handed_over(delivery)
    reason = _STOPS.get(kind)
    if reason is None or _may_pass(item):
        return
    profile = delivery.piece.profile
    if profile is not None:
        stopping.stop(
            profile=profile,
            channel=Channel(delivery.channel),
            reason=reason,
            source=f"reported: {kind.label.lower()}",
            at=item.occurred_at,
            address_hash=delivery.address_hash,
        )


def _may_pass(item: OutcomeInput) -> bool:
    return item.kind == OutcomeKind.BOUNCED and not item.permanent


def _key(item: OutcomeInput) -> tuple[str, str]:
    if item.message_id:
        return "message", item.message_id
    if item.delivery_id is not None:
        return "delivery", str(item.delivery_id)
    return "piece", str(item.piece_id)


def _deliveries(items: Sequence[OutcomeInput]) -> dict[tuple[str, str], Delivery]:
    rows = Delivery.objects.select_related("piece__profile")
    found: dict[tuple[str, str], Delivery] = {}
    for row in rows.filter(message_id__in=[item.message_id for item in items if item.message_id]):
        found["message", row.message_id] = row
    for row in rows.filter(pk__in=[item.delivery_id for item in items if item.delivery_id is not None]):
        found["delivery", str(row.pk)] = row
    for row in rows.filter(piece_id__in=[item.piece_id for item in items if item.piece_id is not None]):
        found["piece", str(row.piece_id)] = row
    return found
