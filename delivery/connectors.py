"""Text and push messages handed to a service of the operator's own, one request each, with the same ledger as mail.

Without MESSAGES_URL they leave as files (see `exports`). The service is what speaks to an SMS or push provider; what it
gets and must answer is in docs/messages.md. It may be asked twice only after it said so itself: an answer that never
came, or one that says nothing, is `unknown`, and a person settles it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx2
import structlog
from django.conf import settings
from django.db.models import Exists, OuterRef
from django.utils import timezone

from campaigns import timing
from campaigns.models import Channel
from delivery import claiming, rendering, sending, throttle
from delivery.models import DeliveryStatus, Transport
from delivery.transports import Kind, Verdict
from generation.models import Piece

log = structlog.get_logger(__name__)

CHANNELS = (Channel.SMS, Channel.PUSH)
BATCH = 25
_LATER = frozenset({425, 429, 503})  # not taken, and may be taken later
_OURS = frozenset(
    {301, 302, 307, 308, 401, 403, 404, 405}
)  # the address or the secret is wrong: for every message


@dataclass(frozen=True, slots=True)
class Message:
    """What the service gets, but for the address. `hash` is of the words."""

    words: Mapping[str, str]
    hash: str


def is_connected() -> bool:
    return bool(settings.MESSAGES_URL)


def deliver_due(*, now: datetime | None = None, limit: int = 2_000) -> sending.Summary:
    """Hand over due text and push messages, up to `limit`, a batch of each run in turn, on any number of workers."""
    now, summary, begun = now or timezone.now(), sending.Summary(), time.monotonic()
    if not is_connected():
        return summary
    mine = claiming.due(now=now, channels=CHANNELS).filter(run=OuterRef("pk"))
    runs = list(claiming.open_runs().filter(Exists(mine)).select_related("campaign").order_by("id"))
    waiting = [(run.pk, channel, timing.limits_of(run.campaign)) for run in runs for channel in CHANNELS]
    with httpx2.Client(timeout=settings.MESSAGES_TIMEOUT, follow_redirects=False) as client:
        while waiting and limit > 0 and not summary.trouble:
            for turn in list(waiting):
                run_id, channel, limits = turn
                granted = throttle.take(limits, min(BATCH, limit))
                # A slow service makes a round long: it must not go on into somebody's quiet hours.
                moment = now + timedelta(seconds=time.monotonic() - begun)
                claimed = _claim(run_id, channel, granted, moment) if granted else None
                throttle.give_back(limits, granted - len(claimed.ready) if claimed else granted)
                if not claimed:
                    waiting.remove(turn)
                    continue
                summary.returned += len(claimed.returned)
                summary.withdrawn += len(claimed.withdrawn)
                summary.held += len(claimed.held)
                limit -= sum(map(len, (claimed.ready, claimed.returned, claimed.withdrawn, claimed.held)))
                _hand_over(client, channel, claimed.ready, summary)
                if limit <= 0 or summary.trouble:
                    break
    if summary.left or summary.trouble or summary.returned or summary.withdrawn:
        log.info(
            "message_round", handed_over=summary.handed_over, retry=summary.retry, unknown=summary.unknown
        )
    return summary


def _claim(run_id: int, channel: Channel, limit: int, now: datetime) -> claiming.Claimed[Message]:
    return claiming.claim(
        run_id=run_id,
        channel=channel,
        prepare=lambda piece, _: message(piece),
        transport=Transport.WEBHOOK,
        limit=limit,
        now=now,
    )


def message(piece: Piece) -> Message:
    """The words of a text or push message, values in. Raises RenderError."""
    filled = rendering.fill(piece)
    names = ("text",) if piece.channel == Channel.SMS else ("title", "body")
    words = {name: str(filled[name]) for name in names}
    if piece.channel == Channel.PUSH:
        words["link"] = rendering.link(piece)
    return Message(words, claiming.content_hash(words))


def signature(*, message_id: str, timestamp: str, body: bytes) -> str:
    """As in Standard Webhooks 1.0: HMAC-SHA256 over id, time and body, under the bytes of MESSAGES_SECRET."""
    content = f"{message_id}.{timestamp}.".encode() + body
    digest = hmac.new(settings.MESSAGES_SECRET.encode(), content, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def _hand_over(
    client: httpx2.Client, channel: Channel, batch: list[claiming.Ready[Message]], summary: sending.Summary
) -> None:
    """One by one; a fault that would meet every message gives the rest back untouched. As for mail."""
    for position, ready in enumerate(batch):
        if not sending.begin(ready):  # paused meanwhile, or the claim is another's by now
            claiming.settle(ready=[ready], status=DeliveryStatus.RETRY)
            continue
        verdict = _post(client, channel, ready)
        sending.settle(ready, verdict, summary)
        if verdict.ours:
            summary.trouble = verdict.response
            rest = batch[position + 1 :]
            claiming.settle(
                ready=rest, status=DeliveryStatus.RETRY, retry_after=timezone.now() + sending.FIRST_WAIT
            )
            summary.retry += len(rest)
            return


def _post(client: httpx2.Client, channel: Channel, ready: claiming.Ready[Message]) -> Verdict:
    body = json.dumps(
        {"id": ready.message_id, "channel": channel.value, "to": ready.address, **ready.content.words},
        ensure_ascii=False,
    ).encode()
    timestamp, message_id = str(int(time.time())), ready.message_id.strip("<>")
    headers = {
        "Content-Type": "application/json",
        "Idempotency-Key": message_id,
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": signature(message_id=message_id, timestamp=timestamp, body=body),
    }
    try:
        answer: Any = client.post(settings.MESSAGES_URL, content=body, headers=headers)
    except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout):
        return Verdict(Kind.LATER, f"{_host()} cannot be reached", ours=True)
    except httpx2.HTTPError as error:
        return Verdict(Kind.UNKNOWN, f"no answer from {_host()}: {type(error).__name__}")
    return _verdict(answer.status_code)


def _verdict(status: int) -> Verdict:
    """What an answer means. Its body is not kept: it could hold the address."""
    said = f"{_host()} answered {status}"
    if 200 <= status < 300:
        return Verdict(Kind.SENT, said)
    if status in _LATER:
        return Verdict(Kind.LATER, said)
    if status in _OURS:
        return Verdict(Kind.LATER, f"{said}: check MESSAGES_URL and MESSAGES_SECRET", ours=True)
    if status == 410:
        return Verdict(Kind.REFUSED, said, bad_address=True)
    if 400 <= status < 500:
        return Verdict(Kind.REFUSED, said)
    return Verdict(Kind.UNKNOWN, said)


def _host() -> str:
    return urlsplit(settings.MESSAGES_URL).hostname or "the message service"
