"""Who may decide on which text. Each rule raises with the reason, and has a question form for templates."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, PermissionsMixin

from campaigns import brand_access
from campaigns.models import RunStatus
from generation import transitions
from generation.models import Piece, Status
from personalize.core.errors import DomainError, NotAllowed

REVIEW = "generation.review_piece"
EDIT = "generation.edit_piece"
LAUNCH = "campaigns.launch_campaign"


class NotInReview(DomainError):
    """The piece's status does not allow this decision."""

    code = "not_in_review"


class Blocked(DomainError):
    """The text has findings that stop an approval."""

    code = "blocked"


class OwnEdit(NotAllowed):
    """Who changed a text may not approve it."""

    code = "own_edit"


class RunCancelled(DomainError):
    """The piece's run was cancelled."""

    code = "run_cancelled"


def check_may(by: AbstractBaseUser, permission: str, what: str) -> None:
    if not (isinstance(by, PermissionsMixin) and by.has_perm(permission)):
        raise NotAllowed(f"You may not {what}. Ask somebody who has that permission.")


def approval_obstacle(
    *, status: str, blocking: int, edited_by_id: int | None, run_status: str, by: AbstractBaseUser
) -> DomainError | None:
    """What keeps `by` from approving a piece with these columns, or None. The one list of reasons there is."""
    if status != Status.IN_REVIEW:
        label = Status(status).label.lower()
        return NotInReview(f"This piece is {label}: only pieces in review can be approved.")
    if run_status == RunStatus.CANCELLED:
        return RunCancelled("The run of this piece was cancelled.")
    if blocking:
        findings = "a finding that blocks" if blocking == 1 else f"{blocking} findings that block"
        return Blocked(f"This piece has {findings} approval. Edit it or have it written again.")
    if edited_by_id == by.pk and not settings.ALLOW_SELF_APPROVAL:
        return OwnEdit("You changed this text, so somebody else must approve it.")
    return None


def obstacle_of(piece: Piece, by: AbstractBaseUser) -> DomainError | None:
    return approval_obstacle(
        status=piece.status,
        blocking=piece.blocking,
        edited_by_id=piece.edited_by_id,
        run_status=piece.run.status,
        by=by,
    )


def can_approve(piece: Piece, by: AbstractBaseUser) -> bool:
    """Whether `approve` would accept this person on this text."""
    return isinstance(by, PermissionsMixin) and by.has_perm(REVIEW) and obstacle_of(piece, by) is None


def can_edit(piece: Piece, by: AbstractBaseUser) -> bool:
    """Whether `edit` would accept this person on this text."""
    return (
        isinstance(by, PermissionsMixin)
        and by.has_perm(EDIT)
        and piece.status in (Status.IN_REVIEW, Status.APPROVED)
        and piece.run.status != RunStatus.CANCELLED
    )


def seen(piece_id: int, revision: int | None = None, *, by: AbstractBaseUser) -> Piece:
    """The piece as the person saw it. StalePiece if it is gone or, given a revision, has another text by now.

    NotYourBrand if its brand is kept to others.
    """
    piece = Piece.everything.select_related("run__campaign").filter(pk=piece_id).first()
    if piece is None:
        raise transitions.StalePiece("This piece is gone: its reader was erased.")
    brand_access.check(by, piece.run.campaign.brand_id)
    if revision is not None and piece.revision != revision:
        raise transitions.StalePiece(
            f"Piece {piece_id} has a new text since you opened it. Read the new text, then decide."
        )
    return piece
