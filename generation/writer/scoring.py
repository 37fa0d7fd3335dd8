"""Which candidate of a unit stays: how likely it is, whether it says its plan line, what went wrong in writing it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from generation.writer import values

COVERAGE = 1.5  # what saying the whole plan line is worth, in units of mean log-probability
ADDED = 1.0  # what it costs when every content word of the text is new
FORCED = 0.8  # for each value that had to be put in
BROKEN = 0.7  # for a text that had to be cut
REPEATED = 2.0  # for saying what was said before

_STOP_WORDS = (
    "a an the and or but of to for from with by at in on as if it its is are was were be been this that these those "
    "you your we our us i my he she they them their so not no do does did has have had can will would may just "
    "who which what when where how all any each every some more most very too also only one reader"
)
_STOP = frozenset(_STOP_WORDS.split())


@dataclass(frozen=True, slots=True)
class Attempt:
    """A candidate's text as it would stand, and how it came about."""

    text: str
    mean_logprob: float
    forced: int
    broken: bool


def content(text: str) -> set[str]:
    """Content words, roughly stemmed, values among them."""
    words = values.names(text)
    words += re.findall(r"[^\W\d_]+", values.REFERENCE.sub(" ", text).lower())
    return {_stem(w) for w in words if w not in _STOP and len(w) > 1}


def _stem(word: str) -> str:
    for ending in ("ing", "ed", "es", "s", "ly", "e"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word


def score(attempt: Attempt, plan: Sequence[str], said: Sequence[str]) -> float:
    """Higher is better. `plan` are the unit's sources in words, `said` the texts written before it."""
    told = content(attempt.text)
    wanted = content(" ".join(re.sub(r"\([^()]*\)", "", line) for line in plan))
    covered = len(told & wanted) / max(min(len(wanted), 6), 1)
    added = len(told - wanted) / max(len(told), 1)
    value = attempt.mean_logprob + COVERAGE * min(covered, 1.0) - ADDED * added
    value -= FORCED * attempt.forced + BROKEN * attempt.broken
    for earlier in said:
        other = content(earlier)
        if told and len(told & other) / len(told | other) > 0.7:
            value -= REPEATED
            break
    return value
