"""A write that a client repeats with the same Idempotency-Key happens once (draft-ietf-httpapi-idempotency-key).

A row made before the work, under a unique constraint, stops two retries at once from both working. The answer is
stored in the transaction of the work itself where that is one: after a crash either both are there or neither.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q, TextField
from django.db.models.functions import Cast
from django.utils import timezone

from personalize.core.errors import DomainError, InvalidInput
from personalize.core.keyed_hash import keyed_hash
from personalize.core.models import ApiKey, IdempotencyRecord

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
STALE_AFTER = timedelta(minutes=5)  # far above the web server's time limit for one request
KEEP_FOR = timedelta(hours=24)
_KEPT_HEADERS = ("Location", "ETag", "Preference-Applied")
_KEY = re.compile(r"[\x21-\x7e]{1,255}")


class KeyReused(DomainError):
    """The Idempotency-Key was used for another request."""

    status = 422
    code = "idempotency_key_reused"


class InProgress(DomainError):
    """The first request with this Idempotency-Key is still at work."""

    code = "idempotency_in_progress"
    headers = {"Retry-After": "2"}


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to do the work of one key, until `claimed_at` of the row changes."""

    record_id: int
    claimed_at: datetime


def read_key(header: str) -> str:
    """The key of a header value, bare or as the draft's quoted string; raises InvalidInput."""
    key = header.strip()
    if len(key) >= 2 and key[0] == key[-1] == '"':
        key = key[1:-1]
    if not _KEY.fullmatch(key):
        raise InvalidInput(
            f"{HEADER} must be 1 to 255 printable characters without spaces; a UUID is a good choice.",
            field=HEADER,
        )
    return key


def hash_request(*, method: str, path: str, data: Any) -> str:
    """What 'the same request' means: method, address with its query, and the JSON whatever its spacing and order."""
    canonical = json.dumps(data, sort_keys=True, separators=(",", ":"), default=str)
    return keyed_hash(purpose="idempotency", text=f"{method} {path}\n{canonical}")


def begin(
    *, api_key: ApiKey, key: str, request_hash: str, now: datetime | None = None
) -> Claim | IdempotencyRecord:
    """Claim the key, or return the stored answer. Raises KeyReused or InProgress."""
    now = now or timezone.now()
    record, created = IdempotencyRecord.objects.get_or_create(
        api_key=api_key, key=key, defaults={"request_hash": request_hash, "claimed_at": now}
    )
    if created:
        return Claim(record.pk, now)
    if record.request_hash != request_hash:
        raise KeyReused(f"This {HEADER} was used for another request. Make a new key for a new request.")
    if record.status_code is not None:
        return record
    if record.claimed_at < now - STALE_AFTER and _still_mine(Claim(record.pk, record.claimed_at)).update(
        claimed_at=now
    ):
        return Claim(record.pk, now)
    raise InProgress(f"The first request with this {HEADER} is still at work. Try again in a moment.")


def store(claim: Claim, *, status_code: int, body: Any, headers: dict[str, str]) -> None:
    """Keep the answer for replays. Raises InProgress if another request took the key over meanwhile.

    Called inside the transaction of the work, that rolls the work back: it is the other request's now.
    """
    kept = {name: headers[name] for name in _KEPT_HEADERS if name in headers}
    if not _still_mine(claim).update(status_code=status_code, body=body, headers=kept):
        raise InProgress("Another request took this work over. Try again in a moment.")


def release(claim: Claim) -> None:
    """Forget the key: the work failed in a way that a retry may not."""
    _still_mine(claim).delete()


def purge(*, now: datetime, older_than: timedelta = KEEP_FOR) -> int:
    """Delete answers older than a day (or `older_than`); returns how many."""
    return IdempotencyRecord.objects.filter(created_at__lt=now - older_than).delete()[0]


def forget(*, texts: Sequence[str]) -> int:
    """Delete every stored answer that mentions one of the texts: part of erasing a person."""
    wanted = Q()
    for text in filter(None, texts):
        # As JSON writes it, so that quotes and backslashes in an id are found too.
        wanted |= Q(body_text__contains=json.dumps(text, ensure_ascii=False)[1:-1])
        wanted |= Q(headers_text__contains=json.dumps(text, ensure_ascii=False)[1:-1])
    if not wanted:
        return 0
    rows = IdempotencyRecord.objects.annotate(
        body_text=Cast("body", TextField()), headers_text=Cast("headers", TextField())
    )
    return rows.filter(wanted).delete()[0]


def _still_mine(claim: Claim) -> Any:
    return IdempotencyRecord.objects.filter(
        pk=claim.record_id, claimed_at=claim.claimed_at, status_code__isnull=True
    )
