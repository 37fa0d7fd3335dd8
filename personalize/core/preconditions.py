"""Conditional requests (RFC 9110, section 13): who changes a thing says which version they saw.

The tag is a hash of the representation that GET answers, so it changes exactly when the client would see a change.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from django.conf import settings
from rest_framework.utils.encoders import JSONEncoder

from personalize.core.errors import DomainError, InvalidInput

_TAG = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
_LIST = re.compile(rf"\s*(?:{_TAG.pattern}\s*(?:,\s*|$))+")


class PreconditionFailed(DomainError):
    """It is not in the version that If-Match or If-None-Match names."""

    status = 412
    code = "precondition_failed"

    def __init__(self, message: str, *, current: str | None = None) -> None:
        super().__init__(message)
        self.headers = {"ETag": current} if current else {}


class PreconditionRequired(DomainError):
    """This system wants changes to name the version that was seen."""

    status = 428
    code = "precondition_required"


def etag(representation: Any) -> str:
    """The strong entity tag of what GET answers."""
    text = json.dumps(representation, cls=JSONEncoder, sort_keys=True, separators=(",", ":"))
    return f'"{hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]}"'


def names_none(headers: Mapping[str, str], tag: str) -> bool:
    """Whether If-None-Match names this version: a GET answers 304 then."""
    sent = headers.get("If-None-Match")
    return sent is not None and _matches(sent, "If-None-Match", tag, weak=True)


def check(
    headers: Mapping[str, str], current: Callable[[], Any | None], *, may_be_required: bool = False
) -> bool:
    """Raise unless the request's preconditions hold; True if it had any.

    `current` makes the present representation, or None if there is no such thing yet. Lock the row first: only
    then is what was compared still true when it is changed.
    """
    if_match, if_none = headers.get("If-Match"), headers.get("If-None-Match")
    if if_match is None and if_none is None:
        if may_be_required and settings.API_REQUIRE_IF_MATCH:
            raise PreconditionRequired(
                "Send If-Match with the ETag of the version you saw, so that nobody's change is lost."
            )
        return False
    found = current()
    tag = None if found is None else etag(found)
    if if_match is not None and not (tag and _matches(if_match, "If-Match", tag, weak=False)):
        raise PreconditionFailed(
            "It changed since you read it, or is not there. Read it again, then repeat the change on what it is now.",
            current=tag,
        )
    if if_none is not None and tag and _matches(if_none, "If-None-Match", tag, weak=True):
        raise PreconditionFailed(
            "It is there already, in a version that If-None-Match rules out.", current=tag
        )
    return True


def _matches(header: str, name: str, tag: str, *, weak: bool) -> bool:
    if header.strip() == "*":
        return True
    if len(header) > 4_000 or not _LIST.fullmatch(header):
        raise InvalidInput(
            f'{name} must be * or entity tags in quotes, as ETag has them: "3f2a…".', field=name
        )
    return any(f'"{text}"' == tag and (weak or not is_weak) for is_weak, text in _TAG.findall(header))
