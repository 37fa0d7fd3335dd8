"""The one transition table, and the only functions that write a piece's status.

A transition is a conditional UPDATE (compare-and-set on status and revision) together with its audit row, in one
transaction: either both happened or neither, and of any number of racing callers exactly one wins.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.utils import timezone

from generation.models import Piece, PieceEvent, Status
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
    **changes: Any,
) -> None:
    """Move one piece along TRANSITIONS with its audit row, or raise; `changes` are written in the same UPDATE.

    Raises InvalidTransition if the table has no such arrow and StalePiece if status, revision or (for a claimed
    piece) the claim is no longer what `piece` holds. On success `piece` is fresh from the database.
    """
    was = Status(piece.status)
    if to not in TRANSITIONS[was]:
        raise InvalidTransition(f"A piece that is '{was.label}' cannot become '{to.label}'.")
    seen = Piece.objects.filter(pk=piece.pk, status=was, revision=piece.revision, claim=piece.claim)
    if seen.update(status=to, updated_at=timezone.now(), **changes) != 1:
        raise StalePiece(
            f"Piece {piece.pk} changed since it was read. Open it again and decide on the new text."
        )
    piece.refresh_from_db()
    record(piece, was=was, actor=actor, reason=reason, note=note)


def record(
    piece: Piece,
    *,
    was: Status,
    actor: AbstractBaseUser | None = None,
    reason: str = "",
    note: str = "",
) -> None:
    """Write the audit row for what `piece` now is. Call inside the transaction that changed it."""
    PieceEvent.objects.create(**_event(piece, was=was, actor=actor, reason=reason, note=note))


def record_many(
    pieces: Iterable[Piece],
    *,
    was: Status,
    actor: AbstractBaseUser | None = None,
    reason: str = "",
    note: str = "",
) -> None:
    """As `record`, for pieces moved by one bulk UPDATE in the same transaction."""
    PieceEvent.objects.bulk_create(
        [PieceEvent(**_event(piece, was=was, actor=actor, reason=reason, note=note)) for piece in pieces],
        batch_size=1000,
    )


def _event(
    piece: Piece, *, was: Status, actor: AbstractBaseUser | None, reason: str, note: str
) -> dict[str, Any]:
    return {
        "piece_id": piece.pk,
        "run_id": piece.run_id,
        "actor_id": actor.pk if actor else None,
        "actor_name": actor.get_username() if actor else "",
        "from_status": was,
        "to_status": piece.status,
        "revision": piece.revision,
        "text_hash": piece.text_hash,
        "reason": reason,
        "note": note[:500],
    }
