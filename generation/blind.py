"""Comparing two versions of the writer without knowing which is which: the pairs, the votes, and what they show."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import comb
from typing import Any

from django.contrib.auth.models import AbstractBaseUser, PermissionsMixin
from django.db.models import Count

from generation.models import BlindVote, ModelVersion, Preference
from generation.reviewers import wilson
from personalize.core.errors import InvalidInput, NotAllowed

VOTE = "generation.review_piece"


@dataclass(frozen=True, slots=True)
class Pair:
    """What each version wrote for one brief and reader."""

    key: str
    first: Mapping[str, Any]
    second: Mapping[str, Any]

    def sides(self, by: AbstractBaseUser) -> tuple[Preference, Preference]:
        """Which version stands left and which right: always the same for one person, and by chance over all."""
        sides = (Preference.FIRST, Preference.SECOND)
        swapped = hashlib.sha256(f"{self.key}:{by.pk}".encode()).digest()[0] % 2 == 1
        return sides[::-1] if swapped else sides

    def text(self, version: Preference) -> Mapping[str, Any]:
        return self.first if version == Preference.FIRST else self.second


@dataclass(frozen=True, slots=True)
class Tally:
    first: int
    second: int
    neither: int
    people: int

    @property
    def decided(self) -> int:
        return self.first + self.second

    @property
    def interval(self) -> tuple[float, float] | None:
        """Of how many decided pairs the first version is preferred, with 95 % confidence."""
        return wilson(self.first, self.decided) if self.decided else None

    @property
    def chance(self) -> float:
        """How often so lopsided a result would come of versions that are equally good (two-sided sign test)."""
        if not self.decided:
            return 1.0
        few = min(self.first, self.second)
        tail: float = sum(comb(self.decided, k) for k in range(few + 1)) / 2**self.decided
        return min(1.0, 2 * tail)


def ordered(one: ModelVersion, other: ModelVersion) -> tuple[ModelVersion, ModelVersion]:
    return (one, other) if one.pk < other.pk else (other, one)


def pairs(first: ModelVersion, second: ModelVersion) -> list[Pair]:
    """What both wrote in their evaluation for the same brand, channel and reader, in a fixed order."""
    theirs: dict[str, list[Mapping[str, Any]]] = {}
    for piece in pieces(second.metrics):
        theirs.setdefault(asked_of(piece), []).append(piece)
    found = []
    for piece in pieces(first.metrics):
        asked = asked_of(piece)
        if not theirs.get(asked):
            continue
        other = theirs[asked].pop(0)
        if piece.get("fields") == other.get("fields"):
            continue  # the same text: nothing to prefer
        texts = json.dumps([asked, piece.get("fields"), other.get("fields")], sort_keys=True)
        found.append(Pair(hashlib.sha256(texts.encode()).hexdigest(), piece, other))
    return sorted(found, key=lambda pair: pair.key)


def open_for(
    by: AbstractBaseUser, first: ModelVersion, second: ModelVersion, of: Iterable[Pair]
) -> list[Pair]:
    """Those of the pairs of these versions that this person has not judged yet."""
    done = set(BlindVote.objects.filter(first=first, second=second, by=by.pk).values_list("pair", flat=True))
    return [pair for pair in of if pair.key not in done]


def vote(*, one: ModelVersion, other: ModelVersion, pair: str, side: str, by: AbstractBaseUser) -> BlindVote:
    """Keep what a person preferred: `side` is left, right or neither, as it was shown to them.

    A second vote on one pair changes nothing. Raises NotAllowed or InvalidInput.
    """
    if not (isinstance(by, PermissionsMixin) and by.has_perm(VOTE)):
        raise NotAllowed("You may not judge texts. Ask somebody who may review.")
    first, second = ordered(one, other)
    shown = next((p for p in pairs(first, second) if p.key == pair), None)
    if shown is None:
        raise InvalidInput(
            "This pair is not there any more: one of the versions was evaluated anew.", field="pair"
        )
    left, right = shown.sides(by)
    sides = {"left": left, "right": right, "neither": Preference.NEITHER}
    if side not in sides:
        raise InvalidInput("Choose the left one, the right one, or neither.", field="side")
    kept, _ = BlindVote.objects.get_or_create(
        first=first, second=second, pair=pair, by_id=by.pk, defaults={"preference": sides[side]}
    )
    return kept


def tally(first: ModelVersion, second: ModelVersion) -> Tally:
    """Over everybody's votes on pairs that still are what they were."""
    keys = [pair.key for pair in pairs(first, second)]
    votes = BlindVote.objects.filter(first=first, second=second, pair__in=keys)
    counts = dict(votes.values_list("preference").annotate(n=Count("pk")).order_by())
    return Tally(
        counts.get(Preference.FIRST, 0),
        counts.get(Preference.SECOND, 0),
        counts.get(Preference.NEITHER, 0),
        votes.values("by").distinct().count(),
    )


def pieces(metrics: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What a version wrote in its evaluation; nothing where the record is of another form."""
    found = metrics.get("pieces")
    return [p for p in found if isinstance(p, Mapping)] if isinstance(found, list) else []


def asked_of(piece: Mapping[str, Any]) -> str:
    """The brand, channel and reader that a piece was written for, as one string to compare."""
    asked = [
        piece.get("brand"),
        piece.get("channel"),
        piece.get("lifecycle"),
        list(piece.get("traits") or ()),
    ]
    return json.dumps(asked, sort_keys=True)
