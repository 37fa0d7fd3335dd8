"""What mail providers report, made into outcomes of our deliveries: the one place where their words meet ours.

A report names its delivery by the ids that went with the mail, or by the provider's own id of it. Repeats change
nothing; what is about no mail of ours, or of no interest, is counted and otherwise left alone.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import structlog
from anymail.signals import EventType, RejectReason
from django.db import connection, transaction
from django.utils import timezone

from delivery import machines, outcomes
from delivery.models import Delivery, DeliveryStatus, OutcomeKind, ReportVerdict
from delivery.outcomes import OutcomeInput
from delivery.transports import is_bad_address

log = structlog.get_logger(__name__)


class Event(Protocol):
    """The part of anymail.signals.AnymailTrackingEvent that is read."""

    event_type: str
    timestamp: Any
    event_id: str | None
    message_id: str | None
    metadata: Mapping[str, Any] | None
    reject_reason: str | None
    mta_response: str | None
    user_agent: str | None
    click_url: str | None
    esp_event: Any


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an event says of a mail. `kind` None: nothing that is kept."""

    kind: OutcomeKind | None
    permanent: bool = True
    counted: bool = True
    detail: str = ""


_NOTHING = Meaning(None)
_REFUSALS = {EventType.BOUNCED, EventType.REJECTED, EventType.FAILED}


def meaning(event: Event, provider: str) -> Meaning:
    """What an event of `provider` (its key in `providers.PROVIDERS`) says. Reads ids and codes, never a text."""
    match event.event_type:
        case EventType.DELIVERED:
            return Meaning(OutcomeKind.DELIVERED)
        case EventType.OPENED:
            why = machines.why_open(event.user_agent) if event.user_agent else ""
            return Meaning(OutcomeKind.OPENED, counted=not why, detail=why)
        case EventType.CLICKED:
            why = machines.why_agent(event.user_agent) if event.user_agent else ""
            return Meaning(OutcomeKind.CLICKED, counted=not why, detail=why)
        case EventType.COMPLAINED:
            return Meaning(OutcomeKind.COMPLAINED)
        case EventType.UNSUBSCRIBED:
            return Meaning(OutcomeKind.UNSUBSCRIBED)
        case kind if kind in _REFUSALS:
            return _refusal(event, provider)
    return _NOTHING


def _refusal(event: Event, provider: str) -> Meaning:
    """Not delivered: for good and because of the address, or for a reason that may be gone tomorrow.

    In doubt it may pass: a blocked sender must not cost the marketer every address of a list.
    """
    raw = event.esp_event if isinstance(event.esp_event, Mapping) else {}
    if event.event_type == EventType.REJECTED:
        if event.reject_reason == RejectReason.UNSUBSCRIBED:
            return Meaning(OutcomeKind.UNSUBSCRIBED, detail="on the provider's list")
        if provider == "sendgrid" and "spam report" in str(raw.get("reason", "")).lower():
            return Meaning(OutcomeKind.COMPLAINED, detail="on the provider's list")
    says = _PERMANENT.get(provider)
    permanent = says(raw) if says else None
    if permanent is None:
        permanent = event.reject_reason in (RejectReason.INVALID, RejectReason.BOUNCED)
    permanent = permanent or is_bad_address(str(event.mta_response or ""))
    if event.reject_reason == RejectReason.UNSUBSCRIBED:
        return Meaning(OutcomeKind.UNSUBSCRIBED, detail="on the provider's list")
    detail = "" if permanent else f"{event.event_type}: {event.reject_reason or 'no reason'}"
    return Meaning(OutcomeKind.BOUNCED, permanent=permanent, detail=detail)


def _in(raw: Any, *path: str) -> Any:
    for step in path:
        raw = raw.get(step) if isinstance(raw, Mapping) else None
    return raw


def _spark_class(raw: Mapping[str, Any]) -> bool | None:
    found = next((body for body in (raw.get("msys") or {}).values() if isinstance(body, Mapping)), {})
    bounce = found.get("bounce_class")
    return None if bounce is None else str(bounce) in {"10", "30"}  # invalid recipient; no recipient


# django-anymail calls hard and soft bounces alike of these providers 'bounced': their own field tells which. None: it
# does not say.
_PERMANENT: Mapping[str, Callable[[Mapping[str, Any]], bool | None]] = {
    "amazon_ses": lambda raw: _in(raw, "bounce", "bounceType") == "Permanent",
    "brevo": lambda raw: raw.get("event") in ("hard_bounce", "invalid_email"),
    "mailersend": lambda raw: _in(raw, "data", "type") == "hard_bounced",
    "mailjet": lambda raw: bool(raw.get("hard_bounce")),
    "mandrill": lambda raw: raw.get("event") == "hard_bounce",
    "postmark": lambda raw: (
        raw.get("Type") in ("HardBounce", "BadEmailAddress") or raw.get("SuppressionReason") == "HardBounce"
    ),
    "resend": lambda raw: (
        (kind == "Permanent")
        if (kind := _in(raw, "data", "bounce", "type"))
        else "hard bounce" in str(_in(raw, "data", "bounce", "message")).lower()
    ),
    # 'bounce' with the type 'blocked' is a refusal of the sender, not of the address.
    "sendgrid": lambda raw: raw.get("type", "bounce") == "bounce" if raw.get("event") == "bounce" else None,
    "sparkpost": _spark_class,
    "unisender_go": lambda raw: (
        _in(raw, "delivery_info", "delivery_status")
        in ("err_user_unknown", "err_user_inactive", "err_domain_inactive", "err_mailbox_discarded")
    ),
}


@transaction.atomic
def record(*, events: Sequence[Event], provider: str) -> Counter[ReportVerdict]:
    """Store what the events say of our deliveries and act on it; how many were stored, known, unknown, ignored."""
    now = timezone.now()
    deliveries = _deliveries(events)
    verdicts: list[tuple[str, ReportVerdict]] = []
    items: list[OutcomeInput] = []
    told: dict[str, str] = {}  # event id -> type of the event
    for event, delivery in zip(events, deliveries, strict=True):
        kind = str(event.event_type or EventType.UNKNOWN)[:20]
        if delivery is None:
            verdicts.append((kind, ReportVerdict.UNKNOWN))
            continue
        outcomes.prove_handed_over(delivery)  # whatever it says, the provider has the mail
        says = meaning(event, provider)
        if says.kind is None:
            verdicts.append((kind, ReportVerdict.IGNORED))
            continue
        item = OutcomeInput(
            kind=says.kind,
            event_id=_event_id(event, provider, delivery),
            occurred_at=min(event.timestamp or now, now),
            delivery_id=delivery.pk,
            permanent=says.permanent,
            counted=says.counted,
            detail=says.detail,
        )
        if item.event_id in told:
            verdicts.append((kind, ReportVerdict.REPEATED))
            continue
        told[item.event_id] = kind
        items.append(item)
    stored = outcomes.record(items=items)
    repeated = set(stored.repeated)
    verdicts += [
        (kind, ReportVerdict.REPEATED if event_id in repeated else ReportVerdict.STORED)
        for event_id, kind in told.items()
    ]
    _tally(provider, verdicts)
    counts = Counter(verdict for _, verdict in verdicts)
    log.info("provider_reports", provider=provider, **{str(verdict): n for verdict, n in counts.items()})
    return counts


def _event_id(event: Event, provider: str, delivery: Delivery) -> str:
    """The provider's id with its name; without one, what makes two reports the same."""
    if event.event_id:
        own = f"{provider}:{event.event_type}:{event.event_id}"
        if len(own) <= 150:
            return own
    parts = (event.event_id, event.timestamp, event.click_url, event.reject_reason)
    digest = hashlib.sha256(repr(parts).encode()).hexdigest()[:32]
    return f"{provider}:{event.event_type}:{delivery.pk}:{digest}"


def _deliveries(events: Sequence[Event]) -> list[Delivery | None]:
    """The delivery of each event. Our number counts only with the mail's id beside it: accounts are shared."""
    numbers = {number for event in events if (number := _number(event)) is not None}
    ids = {text for event in events if (text := str(event.message_id or "")) and len(text) <= 200}
    by_number = Delivery.objects.in_bulk(numbers)
    bracketed = {f"<{text.strip('<>')}>": text for text in ids}
    by_message = {
        bracketed[row.message_id]: row for row in Delivery.objects.filter(message_id__in=list(bracketed))
    }
    handed_over = Delivery.objects.filter(
        status=DeliveryStatus.HANDED_OVER, response__in=ids - set(by_message)
    )
    by_provider = {row.response: row for row in handed_over.exclude(response="")}
    found: list[Delivery | None] = []
    for event in events:
        text, number = str(event.message_id or ""), _number(event)
        row = by_number.get(number) if number is not None else None
        if row is not None and row.message_id.strip("<>").partition("@")[0] != _mail(event):
            row = None
        found.append(row or by_message.get(text) or by_provider.get(text))
    return found


def _number(event: Event) -> int | None:
    text = str((event.metadata or {}).get("delivery", ""))
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None


def _mail(event: Event) -> str:
    return str((event.metadata or {}).get("mail", ""))


def _tally(provider: str, verdicts: Sequence[tuple[str, ReportVerdict]]) -> None:
    now = timezone.now()
    rows = sorted(Counter((kind, str(verdict)) for kind, verdict in verdicts).items())  # locks in one order
    with connection.cursor() as cursor:
        for (kind, verdict), count in rows:
            cursor.execute(
                """
                INSERT INTO delivery_reporttally AS known (provider, day, event, verdict, count, last_at)
                VALUES (%s, %s, %s, %s, %s, %s)
                ON CONFLICT (provider, day, event, verdict)
                DO UPDATE SET count = known.count + EXCLUDED.count, last_at = EXCLUDED.last_at
                """,
                (provider, now.date(), kind, verdict, count, now),
            )
