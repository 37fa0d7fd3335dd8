"""What a person may do to one piece, writing and delivery together. See generation.rights."""

from __future__ import annotations

from delivery import sending
from generation import rights
from generation.models import Status
from generation.rights import Action

SEND = "campaigns.send_campaign"

ACTIONS: tuple[Action, ...] = (
    *rights.ACTIONS,
    Action(
        "send_failed_again",
        "Send again what was refused",
        SEND,
        {Status.FAILED: Status.APPROVED},
        lambda piece, by: sending.send_failed_again(piece_id=piece.pk, by=by),
        "when its delivery failed",
    ),
    Action(
        "resolve_unknown",
        "Say what became of an uncertain delivery",
        SEND,
        {Status.UNKNOWN: Status.DELIVERED},
        lambda piece, by: sending.resolve_unknown(piece_id=piece.pk, by=by, verdict="delivered"),
        "or send it again, or let it be",
    ),
)
