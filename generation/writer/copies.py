"""Near-copies inside a batch: pieces that share most of their phrases, values and names left aside."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping

from generation.writer import channels, values
from generation.writer.types import Fields

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
