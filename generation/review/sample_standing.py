"""How far the reading of a sample has come: worked out from the drawn pieces and their audit trail.

Nothing needs to be told when a piece is decided: whatever road a decision took, desk, API or command, its audit row
says so. A rejection counts from then on, also when somebody puts the piece back into review; only who rejected it by
mistake may take it back, for a few minutes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from generation.models import (
    Piece,
    PieceEvent,
    Reading,
    RejectReason,
    SampleDraw,
    SamplePlan,
    SampleStratum,
    Status,
)

UNDO = timedelta(minutes=10)  # in which the person who rejected a drawn piece may take it back
TASTE = frozenset({RejectReason.VOICE, RejectReason.DULL})
CRITICAL = tuple(str(reason) for reason in RejectReason if reason not in TASTE)

# Reasons beside those of a rejection: the text was not good as it was drawn.
CHANGED, AGAIN, TAKEN_OUT = "changed", "again", "taken_out"
WORDS = {
    CHANGED: "its text was changed",
    AGAIN: "it was sent back to be written again",
    TAKEN_OUT: "it was taken out by a person",
}


@dataclass(frozen=True, slots=True)
class Read:
    """What became of one drawn piece. `by_id` and `at` are of the decision, where there was one."""

    piece_id: int
    place: int
    reading: str
    reason: str = ""
    by_id: int | None = None
    by_name: str = ""
    at: datetime | None = None

    @property
    def reason_in_words(self) -> str:
        return WORDS.get(self.reason) or (
            f"rejected: {RejectReason(self.reason).label.lower()}"
            if self.reason in RejectReason.values
            else ""
        )


@dataclass(frozen=True, slots=True)
class Standing:
    """`reads` are the drawn pieces in order, the gone ones among them; the others of the group are not in it."""

    reads: tuple[Read, ...]

    def of(self, reading: str) -> list[Read]:
        return [read for read in self.reads if read.reading == reading]

    @property
    def unread(self) -> list[Read]:
        return self.of(Reading.UNREAD)

    @property
    def bad(self) -> list[Read]:
        return self.of(Reading.BAD)

    @property
    def taste(self) -> list[Read]:
        return self.of(Reading.TASTE)

    @property
    def good(self) -> list[Read]:
        return self.of(Reading.GOOD)

    @property
    def done(self) -> int:
        return len(self.good) + len(self.taste) + len(self.bad)

    @property
    def size(self) -> int:
        """How many are to be read: smaller than planned only when the group has no more to draw."""
        return len(self.reads) - len(self.of(Reading.GONE))

    @property
    def is_broken(self) -> bool:
        return bool(self.bad)

    @property
    def is_ready(self) -> bool:
        return not self.bad and not self.unread

    @property
    def next_id(self) -> int | None:
        return next((read.piece_id for read in self.unread), None)

    @property
    def why_broken(self) -> str:
        return "; ".join(
            f"piece {read.piece_id}: {read.reason_in_words}{f', by {read.by_name}' if read.by_name else ''}"
            for read in self.bad
        )


def standings(plan: SamplePlan, strata: Iterable[SampleStratum]) -> dict[int, Standing]:
    """The standing of these groups of the plan, by their ids, in a constant number of queries while nothing is gone."""
    wanted = {stratum.pk: stratum.sample_size for stratum in strata}
    found: dict[int, Standing] = {}
    limits = dict(wanted)
    while limits:
        again: dict[int, int] = {}
        drawn = _drawn(limits)
        judged = _judge(plan, [draw for draws in drawn.values() for draw in draws])
        for pk, draws in drawn.items():
            reads = tuple(judged[draw.pk] for draw in draws)
            gone = sum(read.reading == Reading.GONE for read in reads)
            short = wanted[pk] - (len(reads) - gone)
            if short > 0 and len(reads) == limits[pk]:
                again[pk] = limits[pk] + short  # the next of the order step in
            else:
                found[pk] = Standing(reads)
        limits = again
    return found


def _drawn(limits: Mapping[int, int]) -> dict[int, list[SampleDraw]]:
    drawn: dict[int, list[SampleDraw]] = {pk: [] for pk in limits}
    highest = max(limits.values())
    for draw in SampleDraw.objects.filter(stratum__in=list(limits), place__lte=highest).order_by("place"):
        if draw.place <= limits[draw.stratum_id]:
            drawn[draw.stratum_id].append(draw)
    return drawn


def _judge(plan: SamplePlan, draws: Sequence[SampleDraw]) -> dict[int, Read]:
    ids = [draw.piece_id for draw in draws]
    present = dict(Piece.objects.filter(pk__in=ids).values_list("pk", "text_hash"))
    events: dict[int, list[PieceEvent]] = {}
    for event in PieceEvent.objects.filter(piece_id__in=ids, pk__gt=plan.since_event).order_by("pk"):
        events.setdefault(event.piece_id, []).append(event)
    return {
        draw.pk: judge(draw, events.get(draw.piece_id, []), present.get(draw.piece_id), plan)
        for draw in draws
    }


def judge(draw: SampleDraw, events: Sequence[PieceEvent], text_hash: str | None, plan: SamplePlan) -> Read:
    """What became of a drawn piece, by its audit rows since the draw. `text_hash` is None when it is gone."""

    def read(reading: str, event: PieceEvent | None = None, reason: str = "") -> Read:
        return Read(
            draw.piece_id,
            draw.place,
            reading,
            reason,
            event.actor_id if event else None,
            event.actor_name if event else "",
            event.at if event else None,
        )

    now = read(Reading.UNREAD)
    for number, event in enumerate(events, start=1):
        to = event.to_status
        if to == Status.WITHDRAWN:
            if event.actor_id is not None:
                return read(Reading.BAD, event, TAKEN_OUT)
            if now.reading == Reading.UNREAD:
                now = read(Reading.GONE, event)
        elif event.text_hash != draw.text_hash:
            return read(Reading.BAD, event, CHANGED)
        elif to == Status.REJECTED:
            if _taken_back(event, events[number : number + 1]):
                continue
            if event.reason in plan.critical_reasons or plan.taste_counts:
                return read(Reading.BAD, event, event.reason)
            now = read(Reading.TASTE, event, event.reason)
        elif to == Status.DRAFT:
            return now if now.reading == Reading.TASTE else read(Reading.BAD, event, AGAIN)
        elif to == Status.APPROVED and event.from_status == Status.IN_REVIEW:
            now = read(Reading.GOOD, event)
        elif to == Status.IN_REVIEW and event.from_status in (Status.APPROVED, Status.REJECTED):
            now = read(Reading.UNREAD)
    if now.reading == Reading.UNREAD and text_hash is None:
        return read(Reading.GONE)
    return now


def _taken_back(event: PieceEvent, following: Sequence[PieceEvent]) -> bool:
    """Whether the next thing that happened was that the same person took it back at once."""
    return any(
        after.to_status == Status.IN_REVIEW
        and after.actor_id == event.actor_id
        and after.at - event.at <= UNDO
        for after in following
    )
