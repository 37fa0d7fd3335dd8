"""Planted pieces: known to be bad, mixed into the queue, never sent; how reviewers did on them.

A planted piece is a row of its own beside the real ones. `Piece.objects` leaves it out, so nothing counts, lists,
exports or sends it; `transitions` and a constraint of the database let it become nothing but withdrawn.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass

import structlog
from django.contrib.auth.models import AbstractBaseUser, PermissionsMixin
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from campaigns.models import Campaign, Run, RunStatus
from generation import checking, faults, texts, transitions
from generation.models import Fault, How, Outcome, Piece, Plant, PlantingRate, Status
from generation.models.planting import MOST_PERCENT
from personalize.core.errors import InvalidInput, NotAllowed

log = structlog.get_logger(__name__)

PLANT = "generation.plant_piece"
MOST_AT_ONCE = 200  # planted in one round of a run
_SOURCES = 4  # texts tried for each planted piece

# The statuses a text to be spoilt is taken from, the best first: decided ones lie no longer in the queue.
_SOURCE_STATUSES = (Status.APPROVED, Status.DELIVERED, Status.IN_REVIEW)
_COPIED = (
    "run_id", "profile_id", "channel", "reader", "candidates", "model_version_id", "prompt_version", "score",
    "seed", "written_with", "written_at", "revision", "attempts",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Told:
    """What a reviewer is told of a planted piece once it is decided."""

    fault: str
    field: str
    words: str  # the words at fault, as they stand in the template form
    caught: bool


def check_may(by: AbstractBaseUser) -> None:
    if not (isinstance(by, PermissionsMixin) and by.has_perm(PLANT)):
        raise NotAllowed("You may not plant pieces. Ask somebody who has that permission.")


# -- planting ----------------------------------------------------------------------------------------


@transaction.atomic
def set_rate(*, campaign: Campaign, percent: int, by: AbstractBaseUser) -> None:
    """So many planted pieces for a hundred real ones, from the next round on; 0 plants no more.

    Raises NotAllowed or InvalidInput.
    """
    check_may(by)
    if not 0 <= percent <= MOST_PERCENT:
        raise InvalidInput(f"Choose from 0 to {MOST_PERCENT} of a hundred.", field="percent")
    PlantingRate.objects.update_or_create(
        campaign=campaign, defaults={"percent": percent, "set_by_id": by.pk}
    )
    log.info("planting_rate_set", campaign_id=campaign.pk, percent=percent, by=by.pk)


def sweep() -> int:
    """Top up the planted pieces of open runs, and take back those of runs where nothing is left to review."""
    planted = 0
    in_review = Piece.objects.filter(run=OuterRef("pk"), status=Status.IN_REVIEW)
    due = (
        Run.objects.filter(Exists(in_review), status=RunStatus.OPEN, campaign__planting__percent__gt=0)
        .select_related("campaign__planting__set_by")
        .order_by("pk")
    )
    for run in due:
        rate = run.campaign.planting
        written = Piece.objects.filter(run=run).exclude(status__in=(Status.DRAFT, Status.GENERATING)).count()
        wanted = written * rate.percent // 100 - Plant.objects.filter(run=run).count()
        if wanted > 0:
            planted += len(plant(run=run, count=min(wanted, MOST_AT_ONCE), by=rate.set_by))
    retire()
    return planted


@transaction.atomic
def plant(*, run: Run, count: int, by: AbstractBaseUser, seed: int | None = None) -> list[Piece]:
    """Plant up to `count` pieces in a run that is being reviewed; those that were made, maybe fewer.

    Each is a good text of the run with one fault that no check blocks. Raises NotAllowed.
    """
    check_may(by)
    rng = random.Random(seed)
    made: list[Piece] = []
    for source in _sources(run, count * _SOURCES, rng):
        if len(made) >= count:
            break
        if piece := _spoil(source, by, rng):
            made.append(piece)
    log.info("planted", run_id=run.pk, wanted=count, planted=len(made), by=by.pk)
    return made


def _sources(run: Run, limit: int, rng: random.Random) -> list[Piece]:
    """Clean texts of the run, each at most once, in a drawn order, those already decided first."""
    found: list[Piece] = []
    for status in _SOURCE_STATUSES:
        ids = list(
            Piece.objects.filter(run=run, status=status, blocking=0, edited_by=None)
            .exclude(fields={})
            .values_list("pk", flat=True)[:5_000]
        )
        chosen = rng.sample(ids, min(len(ids), limit - len(found)))
        by_id = Piece.objects.select_related("run").in_bulk(chosen)
        found += [by_id[pk] for pk in chosen if pk in by_id]
        if len(found) >= limit:
            break
    return found


def _spoil(source: Piece, by: AbstractBaseUser, rng: random.Random) -> Piece | None:
    other = _other(source, rng)
    for planted in faults.attempts(source.fields, other=other.fields if other else None, rng=rng):
        written = other if planted.fault == Fault.READER and other else source
        said = texts.all_text(planted.fields)
        ledger = [row for row in written.ledger if row["text"] in said]
        found = checking.findings_for(
            fields=planted.fields,
            brief=source.run.brief,
            channel=source.channel,
            reader=source.reader,
            ledger=ledger,
        )
        weights = checking.weigh(found)
        if weights.blocking:  # the checks would decide it: it would try nobody's reading
            continue
        piece = Piece.everything.create(
            **{name: getattr(source, name) for name in _COPIED},
            planted=True,
            status=Status.IN_REVIEW,
            fields=planted.fields,
            text_hash=texts.text_hash(planted.fields),
            ledger=ledger,
            blocking=0,
            warnings=weights.warnings,
        )
        checking.store(piece, found)
        Plant.objects.create(
            piece_id=piece.pk,
            run_id=piece.run_id,
            fault=planted.fault,
            field=planted.field,
            index=planted.index,
            start=planted.start,
            end=planted.end,
            planted_by_id=by.pk,
        )
        transitions.record(piece, was=None, actor=by, reason="planted")
        return piece
    return None


def _other(source: Piece, rng: random.Random) -> Piece | None:
    """A text of the run for a reader of whom other things are known."""
    if source.profile_id is None or not source.reader.get("traits"):
        return None
    like = Piece.objects.filter(run_id=source.run_id, channel=source.channel, blocking=0).exclude(fields={})
    near = list(like.filter(pk__gt=source.pk).order_by("pk")[:20]) or list(like.order_by("pk")[:20])
    rng.shuffle(near)
    known = set(source.reader["traits"])
    return next((p for p in near if p.reader.get("traits") and not known & set(p.reader["traits"])), None)


# -- deciding ----------------------------------------------------------------------------------------


def decide(
    piece: Piece,
    outcome: Outcome,
    *,
    by: AbstractBaseUser | None,
    how: How = How.READ,
    note: str = "",
    seconds: int | None = None,
    is_hasty: bool = False,
) -> None:
    """Close a planted piece: it leaves the queue and is counted. Call inside the transaction of the decision."""
    decided = by is not None and outcome in (Outcome.CAUGHT, Outcome.MISSED)
    transitions.advance(
        piece,
        Status.WITHDRAWN,
        actor=by,
        reason=f"plant_{outcome}"[:12],
        note=note,
        seconds=seconds,
        is_hasty=is_hasty,
        reviewed_by=by if decided else None,
        reviewed_at=timezone.now() if decided else None,
    )
    Plant.objects.filter(piece_id=piece.pk, outcome=Outcome.OPEN).update(
        outcome=outcome,
        how=how if decided else "",
        decided_by=by if decided else None,
        decided_at=timezone.now() if decided else None,
    )
    log.info("plant_decided", piece_id=piece.pk, outcome=str(outcome), how=str(how), by=by.pk if by else None)


def still_faulty(piece: Piece, fields: dict[str, str | list[str]]) -> bool:
    """Whether an edited text still says what is wrong; where it does, the place of the fault moves with it."""
    row = Plant.objects.get(piece_id=piece.pk)
    if (
        row.fault == Fault.READER
    ):  # the whole text is at fault: what a person made of it needs another to judge
        name, index, text = faults.longest(fields)
        place: tuple[str, int, int, int] | None = (name, index, 0, len(text))
    else:
        place = faults.locate(fields, _fragment(piece, row))
    if place is None:
        return False
    row.field, row.index, row.start, row.end = place
    row.save(update_fields=["field", "index", "start", "end"])
    return True


def told(piece: Piece) -> Told | None:
    """What was wrong with it, once somebody decided; None for a real piece and an open one."""
    if not piece.planted:
        return None
    row = Plant.objects.filter(piece_id=piece.pk).exclude(outcome=Outcome.OPEN).first()
    if row is None:
        return None
    return Told(
        fault=row.get_fault_display(),
        field=row.field,
        words="" if row.fault == Fault.READER else _fragment(piece, row),
        caught=row.outcome == Outcome.CAUGHT,
    )


def _fragment(piece: Piece, row: Plant) -> str:
    return faults.fragment(piece.fields, field=row.field, index=row.index, start=row.start, end=row.end)


@transaction.atomic
def retire() -> int:
    """Take back undecided planted pieces of runs that are closed or have nothing else left to review."""
    real = Piece.objects.filter(
        run=OuterRef("run"), status__in=(Status.DRAFT, Status.GENERATING, Status.IN_REVIEW)
    )
    left = Piece.everything.filter(planted=True, status=Status.IN_REVIEW).filter(~Exists(real))
    moved = transitions.advance_many(
        left, Status.WITHDRAWN, was=Status.IN_REVIEW, reason="plant_void", note="nothing left to review"
    )
    void(Plant.objects.exclude(piece_id__in=_waiting().values("pk")))
    return len(moved)


def void(plants: QuerySet[Plant]) -> int:
    """Count none of these that are open: their pieces were withdrawn, or went with their readers."""
    return plants.filter(outcome=Outcome.OPEN).update(outcome=Outcome.VOID)


def _waiting() -> QuerySet[Piece]:
    return Piece.everything.filter(planted=True, status=Status.IN_REVIEW)


def among(ids: Iterable[int]) -> set[int]:
    """Those of these pieces that were planted."""
    return set(Piece.everything.filter(pk__in=list(ids), planted=True).values_list("pk", flat=True))
