"""Near-copies inside a run: pieces that share most of their phrases, values and names left aside."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from generation.writer import channels, values
from generation.writer.types import Fields, Finding, Severity

SHINGLE = 5  # words
COMMON = 400  # a phrase in more pieces than this is the brief's own and says nothing about copying


def text_of(fields: Fields) -> str:
    """All words of a piece, the button left out."""
    return "\n".join(t for name, v in fields.items() if name != "cta" for t in channels.items(v))


def _shingles(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", values.REFERENCE.sub(" ", text).lower())
    return {tuple(words[i : i + SHINGLE]) for i in range(max(len(words) - SHINGLE + 1, 0))}


def near_copies(texts: Mapping[str, str], threshold: float = 0.6) -> list[tuple[str, str, float]]:
    """Pairs of keys whose phrase overlap (Jaccard, five words) reaches `threshold`, highest first."""
    shingles = {key: _shingles(text) for key, text in texts.items()}
    holders: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for key, grams in shingles.items():
        for gram in grams:
            holders[gram].append(key)
    shared: Counter[tuple[str, str]] = Counter()
    for keys in holders.values():
        if 1 < len(keys) <= COMMON:
            for i, one in enumerate(keys):
                for other in keys[i + 1 :]:
                    shared[(one, other)] += 1
    found = []
    for (one, other), count in shared.items():
        overlap = count / (len(shingles[one]) + len(shingles[other]) - count)
        if overlap >= threshold:
            found.append((one, other, overlap))
    return sorted(found, key=lambda pair: -pair[2])


ENOUGH = 0.6  # share of common phrases from which two pieces are nearly the same
LEAST = 12  # phrases of a piece worth comparing: a short text is made of the offer's own words
MAIN_FIELDS = ("body", "primary_text", "intro", "text", "descriptions")  # where the finding is shown


class Shelf:
    """The pieces of one run and channel written so far. Two readers told alike may be written to alike."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[set[tuple[str, ...]], frozenset[str]]] = {}

    def put(self, key: str, fields: Fields, traits: Iterable[str]) -> None:
        self._held[key] = (_shingles(text_of(fields)), frozenset(traits))

    def warning(self, key: str, fields: Fields, traits: Iterable[str]) -> Finding | None:
        """A warning that names the piece which this one nearly repeats though its reader's traits are others."""
        own, told = _shingles(text_of(fields)), frozenset(traits)
        if len(own) < LEAST:
            return None
        best, share = "", 0.0
        for other, (grams, heard) in self._held.items():
            if other == key or heard == told:
                continue
            common = len(own & grams)
            overlap = common / (len(own) + len(grams) - common)
            if overlap > share:
                best, share = other, overlap
        if share < ENOUGH:
            return None
        name = next((n for n in MAIN_FIELDS if n in fields), next(iter(fields)))
        message = f"nearly the same as piece {best} ({share:.0%} of the phrases), though the readers differ"
        return Finding(
            "repetition.copy", Severity.WARNING, message, name, 0, 0, len(channels.items(fields[name])[0])
        )
