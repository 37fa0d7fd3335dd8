"""From one piece of the queue to the next and the one before, whatever was decided or came meanwhile.

The place of a piece is where it stands in the order, not a number in a list. One OR over all that comes behind would
make the database read the index from its beginning to that place; each stretch of the order by itself is one step
into the index.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import F, IntegerField, Q, QuerySet, Value

from generation.admin.queue import in_review
from generation.models import Piece

_UP = ("-blocking", "-warnings", "score", "id")
_DOWN = ("blocking", "warnings", F("score").desc(nulls_first=True), "-id")
_Stretch = tuple[Q, tuple[Any, ...]]


def following(queue: QuerySet[Piece], piece: Piece, chosen: Mapping[str, Any]) -> int | None:
    """The id of the piece behind this one; a missing score stands last."""
    if not in_review(chosen):
        return _nearest(queue, [(Q(pk__lt=piece.pk), ("-id",))])
    same = Q(blocking=piece.blocking, warnings=piece.warnings)
    tail: list[_Stretch]
    if piece.score is None:
        tail = [(same & Q(score__isnull=True, pk__gt=piece.pk), _UP)]
    else:
        tail = [
            (same & Q(score=piece.score, pk__gt=piece.pk), _UP),
            (same & Q(score__gt=piece.score), _UP),
            (same & Q(score__isnull=True), _UP),
        ]
    return _nearest(
        queue,
        [
            *tail,
            (Q(blocking=piece.blocking, warnings__lt=piece.warnings), _UP),
            (Q(blocking__lt=piece.blocking), _UP),
        ],
    )


def previous(queue: QuerySet[Piece], piece: Piece, chosen: Mapping[str, Any]) -> int | None:
    if not in_review(chosen):
        return _nearest(queue, [(Q(pk__gt=piece.pk), ("id",))])
    same = Q(blocking=piece.blocking, warnings=piece.warnings)
    tail: list[_Stretch]
    if piece.score is None:
        tail = [
            (same & Q(score__isnull=True, pk__lt=piece.pk), _DOWN),
            (same & Q(score__isnull=False), _DOWN),
        ]
    else:
        tail = [
            (same & Q(score=piece.score, pk__lt=piece.pk), _DOWN),
            (same & Q(score__lt=piece.score), _DOWN),
        ]
    return _nearest(
        queue,
        [
            *tail,
            (Q(blocking=piece.blocking, warnings__gt=piece.warnings), _DOWN),
            (Q(blocking__gt=piece.blocking), _DOWN),
        ],
    )


def _nearest(queue: QuerySet[Piece], stretches: list[_Stretch]) -> int | None:
    """The first piece of the first stretch that has one, in one query."""
    bare = queue.order_by().select_related(None).prefetch_related(None)
    first, *others = (
        bare.filter(where)
        .order_by(*order)
        .annotate(place=Value(place, output_field=IntegerField()))
        .values_list("place", "pk")[:1]
        for place, (where, order) in enumerate(stretches)
    )
    found = sorted(first.union(*others, all=True) if others else first)
    return found[0][1] if found else None
