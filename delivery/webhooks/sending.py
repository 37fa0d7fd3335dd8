"""Messages leave: one worker at a time sends to an endpoint, under a lease; each attempt is settled in Postgres.

At least once: whoever dies between the answer and writing it down has the message sent again, with the same id.
What does not arrive is tried again for about three days, then given up and kept for a person.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db.models import F, Q
from django.utils import timezone

from campaigns.models import Profile, Run
from delivery.webhooks import catalogue, endpoints, network, signing
from delivery.webhooks.models import MessageStatus, WebhookEndpoint, WebhookMessage
from personalize.core.errors import InvalidInput

log = structlog.get_logger(__name__)

# Seconds after the first, second, … failure; a fifth more or less, so that what failed together returns apart.
BACKOFF = (5, 60, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
LANES = 8  # posts to one endpoint at the same time, unless it wants its messages in order
LEASE = timedelta(seconds=120)  # above one round: WEBHOOK_TIMEOUT and a slow name server
BUDGET = 25.0  # seconds before a worker lets others have their turn
MOST_QUIET = 600  # seconds between rounds at an endpoint that answers nothing
MOST_RETRY_AFTER = 86_400
GIVE_UP_AFTER = timedelta(days=5)  # of failures alone: then the endpoint is disabled
_LOGGED = 12


@dataclass(frozen=True, slots=True)
class Drained:
    """What one turn at an endpoint came to. `more`: messages are due still."""

    delivered: int = 0
    failed: int = 0
    more: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """`error` is empty if it arrived."""

    message: WebhookMessage
    status: int | None
    error: str
    retry_after: int | None
    seconds: float


def drain(*, endpoint_id: int, budget: float = BUDGET) -> Drained:
    """Send what is due to an endpoint. Called twice at once, the second finds it taken and does nothing."""
    until = time.monotonic() + budget
    delivered = failed = 0
    more = False
    lease: datetime | None = None
    try:
        while (endpoint := _claim(endpoint_id, lease)) is not None:
            lease = endpoint.claimed_until
            if time.monotonic() >= until:
                more = bool(_due(endpoint))
                break
            batch = _due(endpoint)
            if not batch:
                break
            results = _post_all(endpoint, batch)
            arrived = sum(not result.error for result in results)
            delivered, failed = delivered + arrived, failed + len(results) - arrived
            if not _settle(endpoint, results):
                break
    finally:
        if lease:  # one that ran out may be another worker's by now, and is not ours to end
            WebhookEndpoint.objects.filter(pk=endpoint_id, claimed_until=lease).update(claimed_until=None)
    if delivered or failed:
        log.info("webhooks_sent", endpoint=endpoint_id, delivered=delivered, failed=failed)
    return Drained(delivered, failed, more)


def body_of(message: WebhookMessage, *, campaigns: dict[int, str], profiles: dict[int, str]) -> bytes:
    """What is posted. Ids of the CRM are looked up now; a person erased since is null."""
    refs: dict[str, Any] = dict(message.refs)
    data: dict[str, Any] = {}
    for field in catalogue.TYPES[message.type].fields:
        match field:
            case "campaign":
                data[field] = campaigns.get(refs.get("run", 0))
            case "profile":
                data[field] = profiles.get(refs.get("profile") or 0)
            case _:
                data[field] = refs.get(field)
    payload = {
        "type": message.type,
        "timestamp": message.occurred_at.isoformat().replace("+00:00", "Z"),
        "sequence": message.sequence,
        "data": data,
    }
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()


def preview(message: WebhookMessage) -> str:
    """What would be posted at this moment."""
    return _bodies([message])[0].decode()


def message_id(message: WebhookMessage) -> str:
    """The same in every attempt at it."""
    return f"msg_{message.uid.hex}"


def _claim(endpoint_id: int, held: datetime | None) -> WebhookEndpoint | None:
    """The endpoint under a new lease: a free one, or with `held` the one whose lease is still that. Or None."""
    now = timezone.now()
    mine = WebhookEndpoint.objects.filter(pk=endpoint_id, is_enabled=True)
    if held:
        mine = mine.filter(claimed_until=held)
    else:
        free = Q(claimed_until=None) | Q(claimed_until__lt=now)
        awake = Q(quiet_until=None) | Q(quiet_until__lte=now)
        mine = mine.filter(free, awake)
    lease = now + LEASE
    if not mine.update(claimed_until=lease):
        return None
    return WebhookEndpoint.objects.filter(pk=endpoint_id, claimed_until=lease).first()


def _due(endpoint: WebhookEndpoint) -> list[WebhookMessage]:
    now = timezone.now()
    waiting = WebhookMessage.objects.filter(endpoint=endpoint, status=MessageStatus.PENDING)
    if endpoint.in_order:
        first = waiting.order_by("sequence").first()
        return [first] if first is not None and first.next_at is not None and first.next_at <= now else []
    return list(waiting.filter(next_at__lte=now).order_by("next_at", "sequence")[:LANES])


def _post_all(endpoint: WebhookEndpoint, batch: Sequence[WebhookMessage]) -> list[Result]:
    """All at the same time. The threads touch no database."""
    bodies = _bodies(batch)
    if len(batch) == 1:
        return [_post(endpoint, batch[0], bodies[0])]
    with ThreadPoolExecutor(max_workers=len(batch)) as pool:
        return list(pool.map(lambda pair: _post(endpoint, *pair), zip(batch, bodies, strict=True)))


def _bodies(batch: Sequence[WebhookMessage]) -> list[bytes]:
    run_ids = {message.refs["run"] for message in batch if "run" in message.refs}
    profile_ids = {message.refs["profile"] for message in batch if message.refs.get("profile")}
    campaigns = dict(Run.objects.filter(pk__in=run_ids).values_list("pk", "campaign__slug"))
    profiles = dict(Profile.objects.filter(pk__in=profile_ids).values_list("pk", "external_id"))
    return [body_of(message, campaigns=campaigns, profiles=profiles) for message in batch]


def _post(endpoint: WebhookEndpoint, message: WebhookMessage, body: bytes) -> Result:
    started = time.monotonic()
    try:
        headers = signing.headers(endpoint, message_id=message_id(message), body=body, now=timezone.now())
        answer = network.post(
            network.parse(endpoint.url), body=body, headers=headers, timeout=settings.WEBHOOK_TIMEOUT
        )
    except (network.NotSent, InvalidInput) as error:
        return Result(message, None, str(error), None, time.monotonic() - started)
    error_text = "" if 200 <= answer.status < 300 else f"It answered {answer.status}."
    return Result(message, answer.status, error_text, answer.retry_after, answer.seconds)


def _settle(endpoint: WebhookEndpoint, results: Iterable[Result]) -> bool:
    """Write down what became of a round; whether another one at once makes sense."""
    now = timezone.now()
    results = list(results)
    for result in results:
        _settle_one(result, now)
    if any(result.status == 410 for result in results):
        endpoints.disable(endpoint_id=endpoint.pk, because="It answered 410 Gone.")
        return False
    mine = WebhookEndpoint.objects.filter(pk=endpoint.pk)
    failures = [result for result in results if result.error]
    if len(failures) < len(results):
        mine.update(delivered_at=now, failing_since=None, failed_rounds=0, quiet_until=None)
        return not (endpoint.in_order and failures)
    since = endpoint.failing_since or now
    asked = min(max(result.retry_after or 0 for result in failures), MOST_QUIET)
    pause = max(min(5 * 2 ** min(endpoint.failed_rounds, 10), MOST_QUIET) * _jitter(), asked)
    mine.update(
        failing_since=since,
        failed_rounds=F("failed_rounds") + 1,
        # Of one that wants them in order the first message's own pause decides.
        quiet_until=None if endpoint.in_order else now + timedelta(seconds=pause),
    )
    if now - since > GIVE_UP_AFTER:
        endpoints.disable(
            endpoint_id=endpoint.pk, because=f"Nothing has arrived for {GIVE_UP_AFTER.days} days."
        )
    return False


def _settle_one(result: Result, now: datetime) -> None:
    message = result.message
    attempt = {
        "at": now.isoformat(timespec="seconds"),
        "status": result.status,
        "error": result.error,
        "ms": round(result.seconds * 1000),
    }
    changes: dict[str, Any] = {"attempts": message.attempts + 1, "log": [*message.log, attempt][-_LOGGED:]}
    if not result.error:
        changes |= {"status": MessageStatus.DELIVERED, "finished_at": now, "next_at": None, "error": ""}
    elif message.attempts >= len(BACKOFF):
        changes |= {
            "status": MessageStatus.DEAD,
            "finished_at": now,
            "next_at": None,
            "error": result.error[:200],
        }
    else:
        pause = max(BACKOFF[message.attempts] * _jitter(), min(result.retry_after or 0, MOST_RETRY_AFTER))
        changes |= {"next_at": now + timedelta(seconds=pause), "error": result.error[:200]}
    # Compared with what was read: a worker that had lost its lease changes nothing.
    WebhookMessage.objects.filter(
        pk=message.pk, status=MessageStatus.PENDING, attempts=message.attempts
    ).update(**changes)


def _jitter() -> float:
    return random.uniform(0.8, 1.2)
