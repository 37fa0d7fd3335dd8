"""Texts by likeness: groups with the one that stands for each and those least like it. No Django.

A text is the hashed vector of its words and pairs of words, weighed by how rare they are among the texts compared; the
groups are those of a spherical k-means that begins with the most unlike texts. No model is loaded, so a web process
can do it for what is in review at this moment. The same texts give the same groups.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

WIDTH = 512
ROUNDS = 12
MOST_GROUPS = 10
LEAST_GROUP = 8  # texts there are for each group, on average, at least
ALIKE = 0.98  # a text this near to all centres begins no group of its own

_WORD = re.compile(r"\{\{\w+\}\}|\w+(?:['’]\w+)*")
Matrix = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Kind:
    """One group: places in the given texts, the nearest to the centre first. `likeness` is of each to the centre."""

    members: tuple[int, ...]
    likeness: tuple[float, ...]

    @property
    def exemplar(self) -> int:
        return self.members[0]

    def outliers(self, most: int = 3) -> tuple[int, ...]:
        """Those least like the group, the farthest first; none of a group whose members are all alike."""
        far = [
            m
            for m, near in zip(self.members[1:], self.likeness[1:], strict=True)
            if near < self.likeness[0] - 0.05
        ]
        return tuple(reversed(far[-most:]))


def vectors(texts: Sequence[str]) -> Matrix:
    """One unit vector for each text; the zero vector for one without words."""
    counted = [_features(text) for text in texts]
    spread = Counter(feature for features in counted for feature in features)
    found = np.zeros((len(texts), WIDTH), dtype=np.float32)
    for row, features in zip(found, counted, strict=True):
        for feature, count in features.items():
            rare = float(np.log((1 + len(texts)) / (1 + spread[feature]))) + 0.1
            row[abs(feature) % WIDTH] += (1.0 if feature > 0 else -1.0) * (1 + np.log(count)) * rare
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    scaled: Matrix = np.divide(found, lengths, out=np.zeros_like(found), where=lengths > 0)
    return scaled


def kinds(texts: Sequence[str], *, most: int = MOST_GROUPS) -> list[Kind]:
    """The groups of these texts, the largest first; one for few or for texts that are all alike."""
    if not texts:
        return []
    points = vectors(texts)
    count = max(1, min(most, len(texts) // LEAST_GROUP))
    # Twice as many beginnings as groups: the odd ones begin first, and stay alone. Only the largest are kept, and the
    # odd ones come to the group they are least unlike, as its outliers.
    centres, owner = _settled(points, _first(points, 2 * count))
    sizes = np.bincount(owner, minlength=len(centres))
    kept = sorted(np.argsort(-sizes, kind="stable")[:count].tolist())
    kept = [number for number in kept if sizes[number] >= LEAST_GROUP // 2] or [int(sizes.argmax())]
    centres, owner = _settled(points, centres[kept])
    found = []
    for number in range(len(centres)):
        near = points @ centres[number]
        members = sorted(np.flatnonzero(owner == number).tolist(), key=lambda m: (-float(near[m]), m))
        if members:
            found.append(Kind(tuple(members), tuple(float(near[m]) for m in members)))
    return sorted(found, key=lambda kind: (-len(kind.members), kind.exemplar))


def _settled(points: Matrix, centres: Matrix) -> tuple[Matrix, NDArray[np.int64]]:
    """The centres after moving each into the middle of what is nearest to it, and whose each text is."""
    owner = np.full(len(points), -1, dtype=np.int64)
    for _ in range(ROUNDS):
        now = (points @ centres.T).argmax(axis=1)
        if (now == owner).all():
            break
        owner = now
        for number in range(len(centres)):
            middle = points[owner == number].sum(axis=0)
            if length := float(np.linalg.norm(middle)):
                centres[number] = middle / length
    return centres, owner


def _first(points: Matrix, count: int) -> Matrix:
    """The text nearest to all, then again and again the one least like those chosen."""
    middle = points.sum(axis=0)
    chosen = [int((points @ middle).argmax())]
    near = points @ points[chosen[0]]
    while len(chosen) < count:
        farthest = int(near.argmin())
        if near[farthest] > ALIKE:
            break
        chosen.append(farthest)
        near = np.maximum(near, points @ points[farthest])
    return points[chosen].copy()


def _features(text: str) -> Counter[int]:
    words = [word.casefold() for word in _WORD.findall(text)]
    pairs = [f"{a} {b}" for a, b in pairwise(words)]
    return Counter(_hashed(token) for token in (*words, *pairs))


def _hashed(token: str) -> int:
    number = zlib.crc32(token.encode())
    return (number >> 1) + 1 if number & 1 else -(number >> 1) - 1
