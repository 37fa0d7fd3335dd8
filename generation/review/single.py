"""One decision on one text."""

from __future__ import annotations

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.utils import timezone

from generation import planting, transitions
from generation.models import Outcome, Piece, RejectReason, Status
from generation.review import reading, rules
from personalize.core.errors import InvalidInput


@transaction.atomic
def approve(
    *, piece_id: int, revision: int, by: AbstractBaseUser, note: str = "", seconds: int | None = None
) -> Piece:
    """Approve exactly the text of this revision. A planted piece is not approved: it is withdrawn, as a miss.

    `seconds` is how long the person had it open, where that was measured.

    Raises NotAllowed, StalePiece, NotInReview, Blocked or OwnEdit; then nothing changed.
    """
    rules.check_may(by, rules.REVIEW, "approve pieces")
    piece = rules.seen(piece_id, revision, by=by)
    if obstacle := rules.obstacle_of(piece, by):
        raise obstacle
    hasty = reading.is_hasty(piece.fields, seconds)
    if piece.planted:
        planting.decide(piece, Outcome.MISSED, by=by, note=note, seconds=seconds, is_hasty=hasty)
        return piece
    transitions.advance(
        piece,
        Status.APPROVED,
        actor=by,
        note=note,
        seconds=seconds,
        is_hasty=hasty,
        approved_hash=piece.text_hash,
        reviewed_by=by,
        reviewed_at=timezone.now(),
        reject_reason="",
    )
    return piece


@transaction.atomic
def reject(
    *,
    piece_id: int,
    revision: int,
    by: AbstractBaseUser,
    reason: str,
    note: str = "",
    seconds: int | None = None,
) -> Piece:
    """Reject the text of this revision, with a reason of RejectReason. A planted piece is withdrawn, as caught.

    Raises NotAllowed, InvalidInput, StalePiece or NotInReview; then nothing changed.
    """
    rules.check_may(by, rules.REVIEW, "reject pieces")
    check_reason(reason)
    piece = rules.seen(piece_id, revision, by=by)
    if piece.status != Status.IN_REVIEW:
        label = Status(piece.status).label.lower()
        raise rules.NotInReview(f"This piece is {label}: only pieces in review can be rejected.")
    hasty = reading.is_hasty(piece.fields, seconds)
    if piece.planted:
        planting.decide(piece, Outcome.CAUGHT, by=by, note=note, seconds=seconds, is_hasty=hasty)
        return piece
    transitions.advance(
        piece,
        Status.REJECTED,
        actor=by,
        reason=reason,
        note=note,
        seconds=seconds,
        is_hasty=hasty,
        reviewed_by=by,
        reviewed_at=timezone.now(),
        reject_reason=reason,
    )
    return piece


def check_reason(reason: str) -> None:
    if reason not in RejectReason.values:
        raise InvalidInput(
            f"Give a reason for the rejection: {', '.join(RejectReason.values)}.", field="reason"
        )
