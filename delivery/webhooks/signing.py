"""Signatures as in Standard Webhooks 1.0: HMAC-SHA256 over id, time and body.

A secret is derived from HASH_KEY, the endpoint's uid and the number of the secret. So none is stored: a copy of the
database signs nothing, and a lost secret is replaced by counting on.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.conf import settings

from delivery.webhooks.models import WebhookEndpoint

OLD_SECRET_FOR = timedelta(hours=24)
_PREFIX = "whsec_"


def secret(endpoint: WebhookEndpoint, *, number: int | None = None) -> str:
    """The endpoint's present secret, or that of `number`; in the form that the libraries of receivers take."""
    return _PREFIX + base64.b64encode(_key(endpoint, number or endpoint.secret_number)).decode()


def headers(endpoint: WebhookEndpoint, *, message_id: str, body: bytes, now: datetime) -> dict[str, str]:
    """The three headers. While an old secret still holds there are two signatures, the new one's first."""
    numbers = [endpoint.secret_number]
    if endpoint.secret_number > 1 and endpoint.old_secret_until and endpoint.old_secret_until > now:
        numbers.append(endpoint.secret_number - 1)
    stamp = str(int(now.timestamp()))
    return {
        "webhook-id": message_id,
        "webhook-timestamp": stamp,
        "webhook-signature": " ".join(
            _signatures(endpoint, numbers, f"{message_id}.{stamp}.".encode() + body)
        ),
    }


def _signatures(endpoint: WebhookEndpoint, numbers: Sequence[int], content: bytes) -> list[str]:
    return [
        "v1," + base64.b64encode(hmac.new(_key(endpoint, number), content, hashlib.sha256).digest()).decode()
        for number in numbers
    ]


def _key(endpoint: WebhookEndpoint, number: int) -> bytes:
    text = f"webhook-secret\x00{endpoint.uid.hex}\x00{number}"
    return hmac.new(settings.HASH_KEY.encode(), text.encode(), hashlib.sha256).digest()
