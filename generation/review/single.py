"""One decision on one text."""

from __future__ import annotations

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.utils import timezone

from generation import transitions
from generation.models import Piece, RejectReason, Status
from generation.review import rules
from personalize.core.errors import InvalidInput


@transaction.atomic
def approve(*, piece_id: int, revision: int, by: AbstractBaseUser, note: str = "") -> Piece:
    """Approve exactly the text of this revision.

    Raises NotAllowed, StalePiece, NotInReview, Blocked or OwnEdit; then nothing changed.
    """
    rules.check_may(by, rules.REVIEW, "approve pieces")
    piece = rules.seen(piece_id, revision)
    if obstacle := rules.obstacle_of(piece, by):
        raise obstacle
    transitions.advance(
        piece,
        Status.APPROVED,
        actor=by,
        note=note,
        approved_hash=piece.text_hash,
        reviewed_by=by,
        reviewed_at=timezone.now(),
        reject_reason="",
    )
    return piece


@transaction.atomic
def reject(*, piece_id: int, revision: int, by: AbstractBaseUser, reason: str, note: str = "") -> Piece:
    """Reject the text of this revision, with a reason of RejectReason.

    Raises NotAllowed, InvalidInput, StalePiece or NotInReview; then nothing changed.
    """
    rules.check_may(by, rules.REVIEW, "reject pieces")
    check_reason(reason)
    piece = rules.seen(piece_id, revision)
    if piece.status != Status.IN_REVIEW:
        label = Status(piece.status).label.lower()
        raise rules.NotInReview(f"This piece is {label}: only pieces in review can be rejected.")
    transitions.advance(
        piece,
        Status.REJECTED,
        actor=by,
        reason=reason,
        note=note,
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
