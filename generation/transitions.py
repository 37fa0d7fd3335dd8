"""The one transition table, and the only functions that write a piece's status.

A transition is a conditional UPDATE (compare-and-set on status and revision) together with its audit row, in one
transaction: either both happened or neither, and of any number of racing callers exactly one wins.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import EmptyResultSet
from django.db import connection, transaction
from django.db.models import QuerySet, Subquery
from django.db.models.sql import UpdateQuery
from django.utils import timezone

from campaigns.models import Run
from generation.models import Piece, PieceEvent, Status
from personalize.core import outbox
from personalize.core.errors import DomainError

TRANSITIONS: Mapping[Status, frozenset[Status]] = {
    Status.DRAFT: frozenset({Status.GENERATING, Status.WITHDRAWN}),
    Status.GENERATING: frozenset({Status.IN_REVIEW, Status.DRAFT, Status.FAILED, Status.WITHDRAWN}),
    Status.IN_REVIEW: frozenset({Status.APPROVED, Status.REJECTED, Status.DRAFT, Status.WITHDRAWN}),
    Status.APPROVED: frozenset({Status.IN_REVIEW, Status.DELIVERING, Status.WITHDRAWN}),
    Status.DELIVERING: frozenset({Status.DELIVERED, Status.APPROVED, Status.FAILED, Status.UNKNOWN}),
    Status.DELIVERED: frozenset(),
    Status.REJECTED: frozenset({Status.IN_REVIEW, Status.DRAFT}),
    Status.FAILED: frozenset({Status.DRAFT, Status.APPROVED, Status.WITHDRAWN}),
    Status.UNKNOWN: frozenset({Status.DELIVERED, Status.APPROVED, Status.WITHDRAWN}),
    Status.WITHDRAWN: frozenset(),
}

# What is known to be bad and was planted among the rest goes nowhere but out. The database holds it to that too.
PLANTED_TRANSITIONS: Mapping[Status, frozenset[Status]] = {Status.IN_REVIEW: frozenset({Status.WITHDRAWN})}

# Who moves a piece on from each status: every status has an owner, or a reason to have none.
OWNERS: Mapping[Status, str] = {
    Status.DRAFT: "writer",
    Status.GENERATING: "writer",
    Status.IN_REVIEW: "reviewer",
    Status.APPROVED: "delivery",
    Status.DELIVERING: "delivery",
    Status.DELIVERED: "nobody: it has left",
    Status.REJECTED: "reviewer",
    Status.FAILED: "operator",
    Status.UNKNOWN: "operator",
    Status.WITHDRAWN: "nobody: it was taken back",
}


# What others may listen to (docs/webhooks.md); of each status by itself, or only when it comes from another.
_TOLD: Mapping[Status, str] = {
    Status.REJECTED: "piece.rejected",
    Status.WITHDRAWN: "piece.withdrawn",
    Status.DELIVERED: "piece.delivered",
    Status.UNKNOWN: "delivery.unknown",
}
_TOLD_FROM: Mapping[tuple[Status, Status], str] = {
    (Status.GENERATING, Status.IN_REVIEW): "piece.written",
    (Status.GENERATING, Status.FAILED): "piece.failed",
    (Status.IN_REVIEW, Status.APPROVED): "piece.approved",
    (Status.APPROVED, Status.IN_REVIEW): "piece.reopened",
    (Status.REJECTED, Status.IN_REVIEW): "piece.reopened",
    (Status.DELIVERING, Status.FAILED): "delivery.failed",
}
# Planted pieces are not told: they would be known for what they are.
_REFS = """
SELECT jsonb_build_object('piece', id, 'run', run_id, 'channel', channel, 'profile', profile_id, 'revision', revision)
FROM generation_piece WHERE id = ANY(%s) AND NOT planted ORDER BY id
"""


class InvalidTransition(DomainError):
    """The table has no such arrow."""

    code = "invalid_transition"


class StalePiece(DomainError):
    """The piece changed since the caller read it."""

    code = "stale_piece"


@transaction.atomic
def advance(
    piece: Piece,
    to: Status,
    *,
    actor: AbstractBaseUser | None = None,
    reason: str = "",
    note: str = "",
    seconds: int | None = None,
    is_hasty: bool = False,
    **changes: Any,
) -> None:
    """Move one piece along TRANSITIONS with its audit row, or raise; `changes` are written in the same UPDATE.

    `seconds` is how long a person had the text open. A planted piece has its own table, PLANTED_TRANSITIONS.

    Raises InvalidTransition if the table has no such arrow and StalePiece if status, revision or (for a claimed
    piece) the claim is no longer what `piece` holds. On success `piece` is fresh from the database.
    """
    was = Status(piece.status)
    if to not in TRANSITIONS[was]:
        raise InvalidTransition(f"A piece that is '{was.label}' cannot become '{to.label}'.")
    if piece.planted and to not in PLANTED_TRANSITIONS.get(was, ()):
        raise InvalidTransition(f"A planted piece cannot become '{to.label}': it is known to be bad.")
    seen = _seen(piece)
    if seen.update(status=to, updated_at=timezone.now(), **changes) != 1:
        raise StalePiece(
            f"Piece {piece.pk} changed since it was read. Open it again and decide on the new text."
        )
    piece.refresh_from_db()
    record(piece, was=was, actor=actor, reason=reason, note=note, seconds=seconds, is_hasty=is_hasty)
    _tell([piece.pk], was=was, to=to)


def record(
    piece: Piece,
    *,
    was: Status | None,
    actor: AbstractBaseUser | None = None,
    reason: str = "",
    note: str = "",
    seconds: int | None = None,
    is_hasty: bool = False,
) -> None:
    """Write the audit row for what `piece` now is. Call inside the transaction that changed it."""
    actor_id, actor_name = _actor(actor)
    PieceEvent.objects.create(
        piece_id=piece.pk,
        run_id=piece.run_id,
        campaign=_slug(piece.run_id),
        channel=piece.channel,
        actor_id=actor_id,
        actor_name=actor_name,
        from_status=was or "",
        to_status=piece.status,
        revision=piece.revision,
        text_hash=piece.text_hash,
        reason=reason,
        note=note[:500],
        seconds=seconds,
        is_hasty=is_hasty,
    )


def _slug(run_id: int) -> Subquery:
    """The campaign's label, copied in the INSERT itself: the row outlives campaign and run."""
    return Subquery(Run.objects.filter(pk=run_id).values("campaign__slug"))


@transaction.atomic
def amend(piece: Piece, *, actor: AbstractBaseUser | None = None, note: str = "", **changes: Any) -> None:
    """Change what a piece says without moving it: revision + 1 and an audit row from its status to itself.

    Raises StalePiece under the same conditions as `advance`.
    """
    was = Status(piece.status)
    seen = _seen(piece)
    if seen.update(revision=piece.revision + 1, updated_at=timezone.now(), **changes) != 1:
        raise StalePiece(f"Piece {piece.pk} changed since it was read. Open it again and edit the new text.")
    piece.refresh_from_db()
    record(piece, was=was, actor=actor, note=note)


def _seen(piece: Piece) -> QuerySet[Piece]:
    """The row, if it still is what `piece` holds: the compare of compare-and-set."""
    return Piece.everything.filter(
        pk=piece.pk,
        status=piece.status,
        revision=piece.revision,
        claim=piece.claim,
        planted=piece.planted,
    )


# Values come last, so that the UPDATE's own parameters stand first.
_MOVE_AND_RECORD = """
WITH moved AS ({update} RETURNING "generation_piece"."id", "generation_piece"."run_id",
                                  "generation_piece"."channel", "generation_piece"."revision",
                                  "generation_piece"."text_hash")
INSERT INTO generation_pieceevent (piece_id, run_id, campaign, channel, revision, text_hash, at, actor_id,
                                   actor_name, from_status, to_status, reason, note)
SELECT moved.id, run_id, slug, channel, revision, text_hash, %s, %s, %s, %s, %s, %s, %s
FROM moved JOIN campaigns_run ON campaigns_run.id = run_id
    JOIN campaigns_campaign ON campaigns_campaign.id = campaign_id
RETURNING piece_id
"""


@transaction.atomic
def advance_many(
    pieces: QuerySet[Piece],
    to: Status,
    *,
    was: Status,
    actor: AbstractBaseUser | None = None,
    reason: str = "",
    note: str = "",
    **changes: Any,
) -> list[int]:
    """Move all of `pieces` that are `was`, with an audit row each, in one statement; the ids of those moved.

    The queryset's conditions are the compare: what no longer meets them stays as it is and is not in the answer.
    `changes` are as for `QuerySet.update`, F expressions included. Thousands of rows take well under a second.
    Planted pieces stay where they are unless PLANTED_TRANSITIONS has the arrow.
    """
    if to not in TRANSITIONS[was]:
        raise InvalidTransition(f"Pieces that are '{was.label}' cannot become '{to.label}'.")
    if to not in PLANTED_TRANSITIONS.get(was, ()):
        pieces = pieces.filter(planted=False)
    now = timezone.now()
    query = cast(UpdateQuery, pieces.filter(status=was).order_by().query.chain(UpdateQuery))
    query.add_update_values({"status": to, "updated_at": now, **changes})
    query.annotations = {}  # as QuerySet.update does: an annotation is no column of the UPDATE
    try:
        update, params = query.get_compiler(connection=connection).as_sql()
    except EmptyResultSet:
        return []
    actor_id, actor_name = _actor(actor)
    values = (now, actor_id, actor_name, was.value, to.value, reason, note[:500])
    with connection.cursor() as cursor:
        cursor.execute(_MOVE_AND_RECORD.format(update=update), (*params, *values))
        moved = [row[0] for row in cursor.fetchall()]
    _tell(moved, was=was, to=to)
    return moved


def _tell(piece_ids: list[int], *, was: Status, to: Status) -> None:
    """Write down for those who listen what became of these pieces, in the transaction of the change."""
    kind = _TOLD_FROM.get((was, to)) or _TOLD.get(to)
    if kind and piece_ids:
        outbox.add_from(kind, select=_REFS, params=[piece_ids])


def _actor(actor: AbstractBaseUser | None) -> tuple[int | None, str]:
    return (actor.pk, actor.get_username()) if actor else (None, "")
