"""Segment's HTTP tracking API as its SDKs call it: their addresses, their answers, not those of /api/v1."""

from __future__ import annotations

import base64
import binascii
import json
import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog
from django.db import Error as DatabaseError
from django.http import HttpRequest, JsonResponse, UnreadablePostError
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from campaigns import people
from campaigns.models import TrackedKind
from campaigns.tracking import messages, storing
from personalize.core import api_keys, ratelimits
from personalize.core.models import ApiKey, Scope

log = structlog.get_logger(__name__)

MOST_OF_A_BATCH = 500 * 1024  # bytes, unpacked
_MOST_TOLD = 20  # refused messages named in the answer
_BATCHES = frozenset({"batch", "import"})
# The short names are those that Segment's SDKs for apps and browsers use.
CALLS: Mapping[str, str] = {
    **{kind: kind for kind in TrackedKind.values},
    **{"i": "identify", "t": "track", "p": "page", "s": "screen", "g": "group", "a": "alias"},
    **{"batch": "batch", "b": "batch", "import": "import"},
}


@dataclass(frozen=True, slots=True)
class Refusal(Exception):
    """An answer that is not 200. SDKs give up on 4xx and try again on 429 and 5xx."""

    status: int
    code: str
    message: str
    headers: Mapping[str, str] = field(default_factory=dict)


@csrf_exempt
def call(request: HttpRequest, name: str) -> JsonResponse:
    """One call or a batch. 200 means: each message is stored, waits for its person, or is refused with its reason."""
    received_at = timezone.now()
    try:
        return JsonResponse(_take_in(request, name.rstrip("/"), received_at))
    except Refusal as error:
        answer = _refusal(error)
    except UnreadablePostError:
        answer = _refusal(Refusal(400, "unreadable", "The body broke off. Send it again."))
    except DatabaseError:
        # Without Retry-After on purpose: the Python SDK then keeps the batch and tries ten times; with it, it puts
        # the messages back into its queue, and drops them if that is full.
        log.exception("tracking_unavailable")
        answer = _refusal(Refusal(503, "unavailable", "The database cannot be reached. Send it again later."))
    except Exception:
        log.exception("tracking_failed")
        answer = _refusal(
            Refusal(503, "unavailable", "The server failed. Send it again; nothing is stored twice.")
        )
    return answer


def _refusal(error: Refusal) -> JsonResponse:
    body = {"success": False, "code": error.code, "message": error.message}
    answer = JsonResponse(body, status=error.status, headers=error.headers)
    if error.status == 401:
        answer["WWW-Authenticate"] = 'Basic realm="tracking", charset="UTF-8"'
    if error.status == 405:
        answer["Allow"] = "POST"
    return answer


def _take_in(request: HttpRequest, name: str, received_at: datetime) -> dict[str, Any]:
    if name not in CALLS:
        known = ", ".join(sorted(set(CALLS.values())))
        raise Refusal(404, "not_found", f"There is no such call. There are, below /v1/: {known}.")
    if request.method != "POST":
        raise Refusal(405, "method_not_allowed", "Tracking calls are sent by POST.")
    kind = CALLS[name]
    plain = _key_in_header(request)
    key = _admitted(plain) if plain else None
    limit = MOST_OF_A_BATCH if kind in _BATCHES else messages.MOST_BYTES
    data = _json(_unpacked(_body(request, limit), request.headers.get("Content-Encoding", ""), limit))
    if key is None:
        # SDKs for apps and browsers send it in the body alone.
        key = _admitted(data["writeKey"] if isinstance(data.get("writeKey"), str) else "")
    if kind in _BATCHES:
        calls = data.get("batch")
        if not isinstance(calls, list):
            raise Refusal(400, "invalid_batch", "A batch has its calls in the list 'batch'.")
        kind = ""
    else:
        data.pop("writeKey", None)
        calls = [data]
    defined = people.definitions()
    read = [_read(each, defined, received_at, data.get("sentAt"), kind) for each in calls]
    taken = storing.take_in(key=key, messages=read, received_at=received_at)
    log.info(
        "tracking_taken_in",
        api_key=key.pk,
        stored=taken.stored,
        waiting=taken.waiting,
        duplicates=taken.duplicates,
        refused=len(taken.refused),
    )
    answer: dict[str, Any] = {"success": True}
    if taken.refused:  # more than Segment says; SDKs look at the status only, people trying it out at this
        answer["refused"] = [
            {"index": place, "field": problem.field, "message": f"{problem.field} {problem.message}."}
            for place, problem in taken.refused[:_MOST_TOLD]
        ]
    return answer


def _read(
    raw: object, defined: Mapping[str, str], received_at: datetime, sent_at: object, kind: str
) -> messages.Message:
    try:
        return messages.read(raw, defined=defined, received_at=received_at, sent_at=sent_at, kind=kind)
    except Exception:  # nested a thousand deep, say: whatever it is, the other messages of the batch go in
        log.exception("tracked_message_unreadable")
        return messages.unreadable()


# -- who calls ---------------------------------------------------------------------------------------


def _key_in_header(request: HttpRequest) -> str:
    """The user name of HTTP Basic (RFC 7617), as Segment has it; the password is empty or anything."""
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if not scheme:
        return ""
    if scheme.lower() != "basic":
        raise Refusal(401, "invalid_auth", "Send the write key by HTTP Basic, as the user name.")
    try:
        text = base64.b64decode(given.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        raise Refusal(401, "invalid_auth", "The Basic credentials are not readable.") from None
    return text.partition(":")[0].strip() or "-"


def _admitted(plain: str) -> ApiKey:
    """The key, once it is known, may track, and this request is counted against its limit."""
    try:
        key = api_keys.verify(plain=plain)
    except api_keys.KeyRefused:
        raise Refusal(
            401, "invalid_auth", "The write key is missing, not known, revoked or expired. Ask for a new one."
        ) from None
    if Scope.TRACK not in key.scopes:
        raise Refusal(403, "not_allowed", "This key is no write key: it lacks the scope 'track'.")
    lacking = [name for name in api_keys.PERMISSIONS[Scope.TRACK] if not key.acts_as.has_perm(name)]
    if lacking:
        words = ", ".join(lacking)
        raise Refusal(403, "not_allowed", f"The person this write key acts as lacks the permission {words}.")
    try:
        ratelimits.charge(key=key, policies=ratelimits.policies_of(key, (ratelimits.REQUESTS,)))
    except ratelimits.TooManyRequests as error:
        raise Refusal(error.status, error.code, str(error), error.headers) from None
    return key


# -- what they send ----------------------------------------------------------------------------------


def _body(request: HttpRequest, limit: int) -> bytes:
    environ = request.META
    if (
        environ.get("wsgi.input_terminated")
        and "chunked" in request.headers.get("Transfer-Encoding", "").lower()
    ):
        raw: bytes = environ["wsgi.input"].read(limit + 1)  # Django reads no body without a Content-Length
    else:
        raw = request.read(limit + 1)
    if len(raw) > limit:
        raise _too_large(limit)
    return raw


def _unpacked(raw: bytes, encoding: str, limit: int) -> bytes:
    """gzip (RFC 1952), known by its first bytes too. Never unpacks more than the limit."""
    coding = encoding.strip().lower()
    if coding not in ("", "identity", "gzip", "x-gzip"):
        raise Refusal(400, "unsupported_encoding", "The body may be packed with gzip, or not at all.")
    if not raw.startswith(b"\x1f\x8b"):
        return raw
    unpacker = zlib.decompressobj(wbits=31)
    try:
        text = unpacker.decompress(raw, limit + 1)
    except zlib.error:
        raise Refusal(400, "invalid_gzip", "The body is not readable gzip.") from None
    if len(text) > limit:
        raise _too_large(limit)
    if not unpacker.eof:
        raise Refusal(400, "invalid_gzip", "The gzip body broke off.")
    return text


def _too_large(limit: int) -> Refusal:
    what = "A batch" if limit == MOST_OF_A_BATCH else "A call"
    return Refusal(400, "too_large", f"{what} may have {limit // 1024} KB. Send less at once.")


def _json(raw: bytes) -> dict[str, Any]:
    """The body's object. What JSON knows and a database does not costs its own value: one call must not lose others."""
    try:
        data = json.loads(
            raw.decode("utf-8"), parse_constant=lambda _: None, parse_int=_integer, parse_float=_float
        )
        # Half surrogates and U+0000 can only come in written as \uXXXX.
        data = _storable(data) if b"\\u" in raw else data
    except (ValueError, RecursionError):
        raise Refusal(400, "invalid_json", "The body is not JSON in UTF-8.") from None
    if not isinstance(data, dict):
        raise Refusal(400, "invalid_json", "The body is not a JSON object.")
    return data


def _integer(digits: str) -> int | str:
    return int(digits) if len(digits) <= 18 else digits


def _float(digits: str) -> float | None:
    value = float(digits)
    return value if math.isfinite(value) else None


def _storable(value: Any) -> Any:
    match value:
        case str():
            return value.replace("\x00", "").encode("utf-8", "replace").decode()
        case dict():
            return {_storable(key): _storable(inner) for key, inner in value.items()}
        case list():
            return [_storable(inner) for inner in value]
    return value
