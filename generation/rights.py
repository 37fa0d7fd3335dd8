"""What a person may do to one piece: which permission it asks for, and in which states there is anything to do.

The rules themselves stand in `review`; this is the list that the documentation is drawn from and that a test holds
every role, action and state to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from generation import review
from generation.models import Piece, RejectReason, Status
from generation.review import rules
from generation.transitions import TRANSITIONS


@dataclass(frozen=True, slots=True)
class Action:
    """`to` is what the piece then is, by the state it was in. `do(piece, by)` does it as the pages do."""

    name: str
    words: str
    permission: str
    to: dict[Status, Status]
    do: Callable[[Piece, Any], object]
    remark: str = ""


def _all_to(to: Status, *states: Status) -> dict[Status, Status]:
    return dict.fromkeys(states, to)


def _edited(piece: Piece) -> dict[str, object]:
    """The text with one word more: what an edit posts."""
    fields: dict[str, object] = dict(piece.fields)
    if not fields:
        return {}
    name = max(fields, key=lambda key: len(str(fields[key])))
    fields[name] = f"{fields[name]} Goodbye."
    return fields


ACTIONS: tuple[Action, ...] = (
    Action(
        "approve",
        "Approve the text that was seen",
        rules.REVIEW,
        _all_to(Status.APPROVED, Status.IN_REVIEW),
        lambda piece, by: review.approve(piece_id=piece.pk, revision=piece.revision, by=by),
        "not with a blocking finding, not one's own edit, not of a cancelled run",
    ),
    Action(
        "reject",
        "Reject it, with a reason",
        rules.REVIEW,
        _all_to(Status.REJECTED, Status.IN_REVIEW),
        lambda piece, by: review.reject(
            piece_id=piece.pk, revision=piece.revision, by=by, reason=RejectReason.DULL
        ),
    ),
    Action(
        "edit",
        "Change the text",
        rules.EDIT,
        _all_to(Status.IN_REVIEW, Status.IN_REVIEW, Status.APPROVED),
        lambda piece, by: review.edit(
            piece_id=piece.pk, revision=piece.revision, fields=_edited(piece), by=by
        ),
        "it needs a new decision then, by somebody else",
    ),
    Action(
        "write_again",
        "Have it written again",
        rules.REVIEW,
        _all_to(Status.DRAFT, Status.IN_REVIEW, Status.REJECTED),
        lambda piece, by: review.write_again(piece_id=piece.pk, revision=piece.revision, by=by, queue=False),
    ),
    Action(
        "reopen",
        "Take a decision back",
        rules.REVIEW,
        _all_to(Status.IN_REVIEW, Status.APPROVED, Status.REJECTED),
        lambda piece, by: review.reopen(piece_id=piece.pk, by=by),
    ),
    Action(
        "withdraw",
        "Take it out for good",
        rules.REVIEW,
        _all_to(Status.WITHDRAWN, *(s for s in Status if Status.WITHDRAWN in TRANSITIONS[s])),
        lambda piece, by: review.withdraw(piece_id=piece.pk, by=by),
    ),
    Action(
        "retry",
        "Give it back to the writer after a failure",
        rules.LAUNCH,
        _all_to(Status.DRAFT, Status.FAILED),
        lambda piece, by: review.retry(piece_id=piece.pk, by=by, queue=False),
        "when its writing failed",
    ),
)
