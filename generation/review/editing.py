"""Changing a text, or taking a decision back."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from campaigns import briefs
from campaigns.models import RunStatus
from generation import checking, drafting, planting, texts, transitions
from generation.drafting import queueing
from generation.models import Outcome, Piece, Status
from generation.review import rules
from generation.writer.types import Fields
from generation.writer.types import Finding as Found
from personalize.core.errors import InvalidInput

MOST_STEER = 200

# What a decision wrote, undone.
_UNDECIDED: Mapping[str, Any] = {
    "approved_hash": "",
    "reviewed_by": None,
    "reviewed_at": None,
    "reject_reason": "",
}


@transaction.atomic
def edit(
    *, piece_id: int, revision: int, fields: Mapping[str, object], by: AbstractBaseUser, note: str = ""
) -> Piece:
    """Replace the text of this revision, check it again, and keep it as the next revision.

    An approved piece goes back to review: changed text needs a new decision, and not by who changed it. A text
    that is the same changes nothing. Raises NotAllowed, InvalidInput (a field missing, unknown or beyond all
    measure), StalePiece, NotInReview or RunCancelled.
    """
    rules.check_may(by, rules.EDIT, "edit texts")
    piece = rules.seen(piece_id, revision, by=by)
    if piece.run.status == RunStatus.CANCELLED:
        raise rules.RunCancelled("The run of this piece was cancelled.")
    if piece.status not in (Status.IN_REVIEW, Status.APPROVED):
        label = Status(piece.status).label.lower()
        raise rules.NotInReview(f"This piece is {label}: its text cannot be changed. Reopen it first.")
    new = texts.shaped(channel=piece.channel, fields=fields)
    digest = texts.text_hash(new)
    if digest == piece.text_hash:
        return piece
    if piece.planted and not planting.still_faulty(piece, new):
        planting.decide(piece, Outcome.CAUGHT, by=by, note=note or "the fault was edited out")
        return piece
    ledger, found = _checked(piece, new)
    weights = checking.weigh(found)
    changes: dict[str, Any] = {
        "fields": new,
        "text_hash": digest,
        "ledger": ledger,
        "edited_by": by,
        "blocking": weights.blocking,
        "warnings": weights.warnings,
    }
    if piece.edited_by_id is None:
        changes["written_fields"] = piece.fields
    if piece.status == Status.APPROVED:
        transitions.advance(
            piece,
            Status.IN_REVIEW,
            actor=by,
            note=note or "text changed after approval",
            revision=piece.revision + 1,
            **changes,
            **_UNDECIDED,
        )
    else:
        transitions.amend(piece, actor=by, note=note or "text changed", **changes)
    checking.store(piece, found)
    return piece


def check(*, piece: Piece, fields: Mapping[str, object], by: AbstractBaseUser) -> tuple[Fields, list[Found]]:
    """What `edit` would keep and what it would find, without storing anything. Raises NotAllowed or InvalidInput."""
    rules.check_may(by, rules.EDIT, "edit texts")
    new = texts.shaped(channel=piece.channel, fields=fields)
    return new, _checked(piece, new)[1]


def _checked(piece: Piece, new: Fields) -> tuple[list[dict[str, Any]], list[Found]]:
    """(the ledger of the units that still stand, what every rule finds in the new text)."""
    said = texts.all_text(new)
    ledger = [row for row in piece.ledger if row["text"] in said]
    found = checking.findings_for(
        fields=new, brief=piece.run.brief, channel=piece.channel, reader=piece.reader, ledger=ledger
    )
    return ledger, found


@transaction.atomic
def write_again(
    *, piece_id: int, revision: int, by: AbstractBaseUser, steer: str = "", queue: bool = True
) -> Piece:
    """Have the writer write another text for this piece, with another seed and, if given, a hint to it.

    The present text stays until the new one replaces it. Raises NotAllowed, InvalidInput, StalePiece,
    NotInReview or RunCancelled.
    """
    rules.check_may(by, rules.REVIEW, "have pieces written again")
    steer = " ".join(steer.split())
    if len(steer) > MOST_STEER:
        raise InvalidInput(f"The hint is longer than {MOST_STEER} characters.", field="steer")
    piece = rules.seen(piece_id, revision, by=by)
    _check_steer(steer, piece)
    if piece.run.status == RunStatus.CANCELLED:
        raise rules.RunCancelled("The run of this piece was cancelled.")
    if piece.status not in (Status.IN_REVIEW, Status.REJECTED):
        label = Status(piece.status).label.lower()
        raise rules.NotInReview(f"This piece is {label}: it cannot be written again. Reopen it first.")
    if piece.planted:
        planting.decide(piece, Outcome.CAUGHT, by=by, note="sent back to be written again")
        return piece
    transitions.advance(
        piece,
        Status.DRAFT,
        actor=by,
        note="to be written again, with a hint" if steer else "to be written again",
        steer=steer,
        seed=_next_seed(piece),
        attempts=0,
        retry_after=None,
        **_UNDECIDED,
    )
    if queue:
        queueing.enqueue_piece(piece_id=piece.pk)
    return piece


@transaction.atomic
def reopen(*, piece_id: int, by: AbstractBaseUser, revision: int | None = None, note: str = "") -> Piece:
    """Take a decision back: an approved piece that is not on its way, or a rejected one, is in review again."""
    rules.check_may(by, rules.REVIEW, "take decisions back")
    piece = rules.seen(piece_id, revision, by=by)
    if piece.status not in (Status.APPROVED, Status.REJECTED):
        label = Status(piece.status).label.lower()
        raise rules.NotInReview(f"This piece is {label}: there is no decision on it to take back.")
    transitions.advance(piece, Status.IN_REVIEW, actor=by, note=note or "decision taken back", **_UNDECIDED)
    return piece


@transaction.atomic
def withdraw(*, piece_id: int, by: AbstractBaseUser, note: str = "") -> Piece:
    """Take a piece out for good. One that is on its way or delivered raises InvalidTransition."""
    rules.check_may(by, rules.REVIEW, "withdraw pieces")
    piece = rules.seen(piece_id, by=by)
    if piece.planted:
        planting.decide(piece, Outcome.VOID, by=by, note=note)
        return piece
    transitions.advance(piece, Status.WITHDRAWN, actor=by, note=note, claim=None, lease_until=None)
    return piece


@transaction.atomic
def retry(*, piece_id: int, by: AbstractBaseUser, queue: bool = True) -> Piece:
    """Give a piece whose writing failed back to the writer. One whose delivery failed is delivery's to retry."""
    rules.check_may(by, rules.LAUNCH, "have failed pieces written again")
    piece = rules.seen(piece_id, by=by)
    if piece.status != Status.FAILED or piece.approved_hash:
        raise rules.NotInReview("Only pieces whose writing failed can be given back to the writer.")
    transitions.advance(
        piece,
        Status.DRAFT,
        actor=by,
        note="to be tried again",
        attempts=0,
        error="",
        retry_after=None,
        seed=_next_seed(piece),
    )
    if queue:
        drafting.enqueue(run_id=piece.run_id)
    return piece


def _next_seed(piece: Piece) -> int:
    """Another seed, the same on any machine for the same past of the piece."""
    text = f"{piece.seed}:{piece.revision}:{piece.attempts}"
    return int(hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()[:15], 16)


def _check_steer(steer: str, piece: Piece) -> None:
    """Keep out of the prompt what may never stand in one: numbers, addresses, and who the reader is."""
    if bare := briefs.bare_number(steer):
        raise InvalidInput(
            f"The hint holds '{bare}'. Say in words what to do better; numbers and links are values.",
            field="steer",
        )
    if piece.profile is None:
        return
    said = set(re.findall(r"\w+", steer.casefold()))
    profile = piece.profile
    names = f"{profile.first_name} {profile.last_name} {profile.email.partition('@')[0]}"
    if any(len(name) > 1 and name in said for name in re.findall(r"\w+", names.casefold())):
        raise InvalidInput(
            "The hint names the reader. The writer never learns who somebody is: leave the name out.",
            field="steer",
        )
