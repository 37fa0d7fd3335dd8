"""Which texts a person was shown before deciding on many together, as one signed form field.

What is decided is what stood on the page, however long the person looked at it and whatever came, went or changed
meanwhile. Half a million pieces take about a megabyte.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterator, Mapping

from django.contrib.auth.models import AbstractBaseUser
from django.core import signing

MOST = 500_000  # pieces in one decision
MAX_AGE_SECONDS = 12 * 3600
_SALT = "shown for a decision"


def packed(revisions: Mapping[int, int], by: AbstractBaseUser, *, question: str) -> str:
    """Piece id -> revision, for this person and the question that the page asks, alone."""
    raw = bytearray()
    last = 0
    for pk in sorted(revisions):
        _write(raw, pk - last)
        last = pk
    for pk in sorted(revisions):
        _write(raw, revisions[pk])
    text = base64.urlsafe_b64encode(zlib.compress(bytes(raw), 6)).decode()
    return _signer(question).sign(f"{by.pk}.{len(revisions)}.{text}")


def unpacked(given: str, by: AbstractBaseUser, *, question: str) -> dict[int, int] | None:
    """What `packed` was given; None when it is another's, of another question, too old or no such field."""
    try:
        whole = _signer(question).unsign(given, max_age=MAX_AGE_SECONDS)
    except signing.BadSignature:
        return None
    owner, count, text = whole.split(".", 2)
    if owner != str(by.pk):
        return None
    numbers = _read(zlib.decompress(base64.urlsafe_b64decode(text)))
    ids, last = [], 0
    for _ in range(int(count)):
        last += next(numbers)
        ids.append(last)
    return dict(zip(ids, numbers, strict=True))


def _signer(question: str) -> signing.TimestampSigner:
    return signing.TimestampSigner(salt=f"{_SALT}: {question}")


def _write(raw: bytearray, number: int) -> None:
    """Seven bits a byte, the lowest first; the eighth says that more follow."""
    while number > 0x7F:
        raw.append(number & 0x7F | 0x80)
        number >>= 7
    raw.append(number)


def _read(raw: bytes) -> Iterator[int]:
    number = shift = 0
    for byte in raw:
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            yield number
            number = shift = 0
