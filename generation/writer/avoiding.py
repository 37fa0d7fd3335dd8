"""Where a text says what the brand avoids."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

_SIGNS = {"exclamation": re.compile(r"[!！]"), "emoji": re.compile(r"[\u2600-\u27bf\U0001f000-\U0001faff]")}


@lru_cache(maxsize=512)
def pattern(entry: str) -> re.Pattern[str] | None:
    """What finds an entry: the word, whole and in any case; "exclamation marks" and "emoji" mean the signs."""
    if not entry.strip():
        return None
    sign = next((p for word, p in _SIGNS.items() if entry.lower().startswith(word)), None)
    return sign or re.compile(rf"(?<!\w){re.escape(entry.strip())}(?!\w)", re.IGNORECASE)


def found(avoid: Sequence[str], text: str) -> Iterator[tuple[str, re.Match[str]]]:
    """(entry, match) for each place."""
    for entry in avoid:
        wanted = pattern(entry)
        if wanted is not None:
            for match in wanted.finditer(text):
                yield entry, match
