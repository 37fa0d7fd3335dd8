"""The rows of a sample: written at the draw, closed at the decision."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence

from django.contrib.auth.models import AbstractBaseUser
from django.db.models import Exists, Max, OuterRef, QuerySet
from django.utils import timezone

from campaigns.models import Run
from generation.models import Piece, PieceEvent, SampleDraw, SamplePlan, SampleStratum, Status
from generation.review import sampling_plans
from generation.review.sample_groups import Groups
from generation.review.sample_standing import CRITICAL, Read, Standing
from generation.review.sampling_plans import Promise

BATCH = 5_000


def as_drawn(stratum: SampleStratum) -> QuerySet[Piece]:
    """Pieces of a group that are in review with the text that was drawn, and that nobody touched since."""
    same = SampleDraw.objects.filter(
        stratum=stratum,
        piece_id=OuterRef("pk"),
        revision=OuterRef("revision"),
        text_hash=OuterRef("text_hash"),
    )
    touched = PieceEvent.objects.filter(piece_id=OuterRef("pk"), pk__gt=stratum.plan.since_event)
    return Piece.objects.filter(
        Exists(same), ~Exists(touched), run=stratum.plan.run_id, status=Status.IN_REVIEW
    )


def store(run: Run, by: AbstractBaseUser, promise: Promise, taste_counts: bool, groups: Groups) -> SamplePlan:
    first = SamplePlan.objects.filter(run=run).order_by("pk").values_list("seed", flat=True).first()
    seed = first if first is not None else secrets.randbits(62)
    plan = SamplePlan.objects.create(
        run=run,
        confidence=promise.confidence,
        defect_rate=promise.defect_rate,
        critical_reasons=list(CRITICAL),
        taste_counts=taste_counts,
        seed=seed,
        covered=groups.covered,
        set_aside=groups.one_by_one,
        fingerprint=sampling_plans.fingerprint(m for group in groups.groups for m in group.members),
        since_event=PieceEvent.objects.aggregate(newest=Max("pk"))["newest"] or 0,
        drawn_at=timezone.now(),
        drawn_by_id=by.pk,
        drawn_by_name=by.get_username(),
    )
    for group in groups.groups:
        stratum = SampleStratum.objects.create(
            plan=plan,
            segment=group.segment,
            channel=group.channel,
            model_version_id=group.model_version_id,
            risk=group.risk,
            size=group.size,
            sample_size=group.sample_size(promise),
            fingerprint=sampling_plans.fingerprint(group.members),
        )
        texts = {pk: (revision, text) for pk, revision, text in group.members}
        order = sampling_plans.draw_order(seed, ((pk, text) for pk, (_, text) in texts.items()))
        SampleDraw.objects.bulk_create(
            (
                SampleDraw(
                    stratum=stratum, piece_id=pk, revision=texts[pk][0], text_hash=texts[pk][1], place=place
                )
                for place, pk in enumerate(order, start=1)
            ),
            batch_size=BATCH,
        )
    return plan


def locked(pieces: QuerySet[Piece]) -> Iterable[int]:
    """In one order everywhere: two deciders cannot lock each other out."""
    return pieces.select_for_update(of=("self",)).order_by("pk").values_list("pk", flat=True)


def keep(stratum: SampleStratum, reads: Sequence[Read]) -> None:
    rows = {row.place: row for row in SampleDraw.objects.filter(stratum=stratum, place__lte=len(reads))}
    for read in reads:
        row = rows[read.place]
        row.reading, row.reason = read.reading, read.reason
        row.read_at, row.read_by_id, row.read_by_name = read.at, read.by_id, read.by_name
    SampleDraw.objects.bulk_update(
        rows.values(), ["reading", "reason", "read_at", "read_by_id", "read_by_name"], batch_size=1000
    )


def left(stratum: SampleStratum, standing: Standing, moved: Sequence[int]) -> dict[int, str]:
    """Why each of the others was not approved: it was no longer what had been drawn."""
    known = {read.piece_id for read in standing.reads} | set(moved)
    rows = SampleDraw.objects.filter(stratum=stratum).values_list("piece_id", "text_hash")
    stayed = {pk: text for pk, text in rows if pk not in known}
    now = {
        pk: (Status(status), text)
        for ids in batches(sorted(stayed))
        for pk, status, text in Piece.objects.filter(pk__in=ids).values_list("pk", "status", "text_hash")
    }
    return {pk: _why_left(now.get(pk), text) for pk, text in stayed.items()}


def _why_left(now: tuple[Status, str] | None, text: str) -> str:
    if now is None:
        return "It is gone: its reader was erased."
    status, text_now = now
    if text_now != text:
        return "It has a new text since the draw."
    if status == Status.IN_REVIEW:
        return "Something was decided on it since the draw, and taken back."
    return f"It is {status.label.lower()} since the draw."


def batches(ids: Sequence[int]) -> Iterable[Sequence[int]]:
    for start in range(0, len(ids), BATCH):
        yield ids[start : start + BATCH]
