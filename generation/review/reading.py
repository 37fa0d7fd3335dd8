"""How long a text needs to be read, and whether a decision came faster than that. A warning, never a block."""

from __future__ import annotations

from collections.abc import Mapping

from django.conf import settings

from generation import faults


def least_seconds(fields: Mapping[str, object]) -> float:
    """The least time that reading takes, at REVIEW_WORDS_PER_SECOND words a second; 0 switches the warning off."""
    pace = settings.REVIEW_WORDS_PER_SECOND
    return faults.word_count(fields) / pace if pace > 0 else 0.0


def is_hasty(fields: Mapping[str, object], seconds: int | None) -> bool:
    """Whether a person decided faster than they can have read. Unmeasured is not hasty."""
    return seconds is not None and seconds < int(least_seconds(fields))
