"""Every type of event that can be listened to. A type's data only ever gains fields; docs/webhooks.md shows each."""

from __future__ import annotations

from dataclasses import dataclass

PIECE = ("piece", "run", "campaign", "channel", "profile", "revision")
RUN = ("run", "campaign")
PROFILE = ("profile", "channel", "reason")


@dataclass(frozen=True, slots=True)
class EventType:
    """`fields` are those of `data`, in this order."""

    name: str
    meaning: str
    fields: tuple[str, ...]


TYPES: dict[str, EventType] = {
    one.name: one
    for one in (
        EventType("piece.written", "A text was written and waits for review", PIECE),
        EventType("piece.approved", "A person decided that a text may leave", PIECE),
        EventType("piece.rejected", "A person rejected a text", PIECE),
        EventType("piece.reopened", "A decision was taken back: the text is in review again", PIECE),
        EventType(
            "piece.delivered", "A text was handed over: to the mail server, or written into a file", PIECE
        ),
        EventType("piece.failed", "No text could be written", PIECE),
        EventType("piece.withdrawn", "A text was taken back before it left", PIECE),
        EventType("delivery.failed", "A text was refused for good when it was handed over", PIECE),
        EventType("delivery.unknown", "It is uncertain whether a text left: a person must settle it", PIECE),
        EventType("run.written", "All pieces of a run are written or failed", RUN),
        EventType("run.finished", "No piece of a run is left to write, review or deliver", RUN),
        EventType("profile.unsubscribed", "A person left a channel or complained", PROFILE),
        EventType("profile.resubscribed", "A person took leaving back", PROFILE),
        EventType("profile.bounced", "An address does not exist any more", PROFILE),
        EventType("webhook.test", "Somebody asked for a test message", ()),
    )
}
TEST = "webhook.test"
CHOICES = [(one.name, one.meaning) for one in TYPES.values() if one.name != TEST]
