"""Purchases from the CRM's events, put down to the message they followed.

The rule. A conversion belongs to one message: the last one to that person in which they clicked a link before it, of
those that left at most ATTRIBUTION_DAYS before it; without a click, to the last one that left in that time. What was
decided stays, also when a click is reported later. Following a message is not being caused by it: what a campaign
gained is measured against readers who got nothing.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import connection
from django.utils import timezone

from delivery.models import DeliveryStatus, OutcomeKind

log = structlog.get_logger(__name__)

# Events come in late and are committed out of order: each is looked at again for so long.
LOOK_BACK = timedelta(days=2)
AFTER_CLICK, AFTER_MESSAGE = "after a click", "after the message"


def attribute(*, since: datetime | None = None, now: datetime | None = None) -> int:
    """Put the conversions received since then (default: of late) down to their messages; how many were new.

    Safe to run at any time and twice at once: each event makes one outcome at most.
    """
    now = now or timezone.now()
    values: dict[str, Any] = {
        "kind": str(OutcomeKind.PURCHASED),
        "handed_over": str(DeliveryStatus.HANDED_OVER),
        "clicked": str(OutcomeKind.CLICKED),
        "after_click": AFTER_CLICK,
        "after_message": AFTER_MESSAGE,
        "names": settings.ATTRIBUTION_EVENTS,
        "window": timedelta(days=settings.ATTRIBUTION_DAYS),
        "since": since or now - LOOK_BACK,
        "now": now,
    }
    with connection.cursor() as cursor:
        cursor.execute(_ATTRIBUTE, values)
        made = int(cursor.rowcount)
    if made:
        log.info("conversions_attributed", created=made)
    return made


_ATTRIBUTE = """
INSERT INTO delivery_outcome (delivery_id, kind, event_id, occurred_at, amount, counted, detail, received_at)
SELECT message.id, %(kind)s, 'event:' || event.message_id, event.occurred_at, event.amount, true,
    CASE WHEN message.was_clicked THEN %(after_click)s ELSE %(after_message)s END, %(now)s
FROM campaigns_event AS event
CROSS JOIN LATERAL (
    SELECT delivery.id, delivery.finished_at, EXISTS (
        SELECT FROM delivery_outcome AS click
        WHERE click.delivery_id = delivery.id AND click.kind = %(clicked)s AND click.counted
            AND click.occurred_at <= event.occurred_at
    ) AS was_clicked
    FROM generation_piece AS piece JOIN delivery_delivery AS delivery ON delivery.piece_id = piece.id
    WHERE piece.profile_id = event.profile_id AND delivery.status = %(handed_over)s
        AND delivery.finished_at <= event.occurred_at
        AND delivery.finished_at >= event.occurred_at - %(window)s
    ORDER BY was_clicked DESC, delivery.finished_at DESC, delivery.id DESC
    LIMIT 1
) AS message
WHERE event.received_at >= %(since)s AND event.name = ANY(%(names)s)
    AND (event.amount IS NULL OR event.amount >= 0) AND (event.quantity IS NULL OR event.quantity > 0)
    AND NOT EXISTS (SELECT FROM delivery_outcome AS known WHERE known.event_id = 'event:' || event.message_id)
ORDER BY event.message_id
ON CONFLICT (event_id) DO NOTHING
"""
