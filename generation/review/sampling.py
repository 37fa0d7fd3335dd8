"""Approval by sample: draw, then pass or fail each group by what its sample showed.

A drawn piece is read and decided like any other, by `approve` and `reject`. Passing a group approves the rest of it,
each piece only if it still is exactly what was drawn. The arithmetic is in `sampling_plans`, the groups in
`sample_groups`, the state of the reading in `sample_standing`.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from decimal import Decimal

import structlog
from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from campaigns import brand_access
from campaigns.models import ReviewPolicy, Run, RunStatus
from generation import drafting, transitions
from generation.models import (
    Piece,
    Reading,
    SampleDraw,
    SamplePlan,
    SampleStratum,
    Status,
    StratumState,
)
from generation.review import rules, sample_records, sampling_plans
from generation.review.bulk import PolicyForbids
from generation.review.sample_groups import groups_of
from generation.review.sample_standing import Standing, standings
from generation.review.sampling_plans import Promise
from personalize.core.errors import DomainError, InvalidInput

log = structlog.get_logger(__name__)

CONFIDENCE, DEFECT_RATE = Decimal("0.95"), Decimal("0.05")  # what a page proposes
MOST_LEFT = 10  # a group of which more than one in so many changed since the draw is drawn again


class PlanOpen(DomainError):
    """A sample of this run is still being read."""

    code = "plan_open"


class NothingToDraw(DomainError):
    """No piece in review is clean."""

    code = "nothing_to_draw"


class AlreadyDecided(DomainError):
    """Somebody passed, failed or dropped this group before."""

    code = "already_decided"


class NotRead(DomainError):
    """Drawn pieces have not been read yet."""

    code = "not_read"


class SampleBroken(DomainError):
    """A drawn piece was bad."""

    code = "sample_broken"


class GroupChanged(DomainError):
    """Too much of the group is no longer what the sample was drawn from."""

    code = "group_changed"


@dataclass(frozen=True, slots=True)
class Passed:
    """How a pass went. `left` are the pieces that were no longer as drawn, with the reason; they stayed."""

    approved: int
    left: dict[int, str]
    statement: str


def promise_of(plan: SamplePlan) -> Promise:
    return Promise(plan.confidence, plan.defect_rate)


def promised(confidence: Decimal, defect_rate: Decimal) -> Promise:
    """Raises InvalidInput where these make no plan."""
    try:
        return Promise(confidence, defect_rate)
    except ValueError as error:
        raise InvalidInput(str(error), field="promise") from error


def open_plan(run: Run) -> SamplePlan | None:
    return SamplePlan.objects.filter(run=run, closed_at__isnull=True).first()


def sample_ids(stratum: SampleStratum) -> list[int]:
    """The pieces of this group that are to be read, in the order of the draw."""
    reads = standings(stratum.plan, [stratum])[stratum.pk].reads
    return [read.piece_id for read in reads if read.reading != Reading.GONE]


def drawn_in(piece: Piece) -> SampleStratum | None:
    """The group being read for whose sample this text was drawn: whoever changes the text fails that group."""
    draws = SampleDraw.objects.filter(
        piece_id=piece.pk,
        revision=piece.revision,
        stratum__state=StratumState.OPEN,
        place__lte=F("stratum__sample_size"),
    )
    found = draws.select_related("stratum").order_by("-pk").first()
    return found.stratum if found else None


def as_drawn_count(stratum: SampleStratum) -> int:
    """How many pieces passing this group would approve at this moment."""
    return _whole(stratum).count()


def draw(*, run: Run, by: AbstractBaseUser, promise: Promise, taste_counts: bool = False) -> SamplePlan:
    """Draw a sample of each group of what is clean and in review of this run.

    The seed is drawn once for a run, so drawing again goes on in the same order and gets nobody rid of a piece. Raises
    NotAllowed, PolicyForbids (the campaign's review policy is another), RunCancelled, PlanOpen or NothingToDraw.
    """
    rules.check_may(by, rules.REVIEW, "draw a sample to approve by")
    with transaction.atomic():
        run = Run.objects.select_for_update(of=("self",)).select_related("campaign__segment").get(pk=run.pk)
        brand_access.check(by, run.campaign.brand_id)
        _check_run(run)
        if open_plan(run):
            raise PlanOpen(
                "A sample of this run is still being read. Decide it, or drop it, before you draw another."
            )
        # Whoever decides on one of these now waits, and their audit row comes after `since_event`.
        list(sample_records.locked(Piece.objects.filter(run=run, status=Status.IN_REVIEW)))
        groups = groups_of(run)
        if not groups.groups:
            raise NothingToDraw(
                "No piece of this run can be approved by sample: what is in review is to be read one by one."
                if groups.one_by_one
                else "No piece of this run is in review."
            )
        plan = sample_records.store(run, by, promise, taste_counts, groups)
    log.info("sample_drawn", plan=plan.pk, run=run.pk, by=by.pk, covered=plan.covered)
    return plan


def pass_group(*, stratum_id: int, by: AbstractBaseUser, note: str = "") -> Passed:
    """Approve the rest of a group whose sample was read and good, each piece only if it is still as drawn.

    Raises NotAllowed, AlreadyDecided, PolicyForbids, RunCancelled, SampleBroken, NotRead, or GroupChanged when more
    than a tenth of the rest changed since the draw; then nothing happened.
    """
    rules.check_may(by, rules.REVIEW, "approve pieces")
    with transaction.atomic():
        stratum, standing = _undecided(stratum_id, by)
        plan = stratum.plan
        _check_run(plan.run)
        if standing.is_broken:
            raise SampleBroken(
                f"The sample of this group has a bad piece, so the rest cannot pass: {standing.why_broken}."
            )
        if standing.unread:
            count = len(standing.unread)
            raise NotRead(
                f"{count:,} drawn piece{'' if count == 1 else 's'} of this group must be read first."
            )
        rest = stratum.size - len(standing.reads)
        whole = _whole(stratum)
        if (rest - whole.count()) * MOST_LEFT > rest:
            raise GroupChanged(
                "More than a tenth of this group changed since the sample was drawn, so the sample no longer "
                "speaks for it. Drop the plan and draw again."
            )
        moved = transitions.advance_many(
            whole,
            Status.APPROVED,
            was=Status.IN_REVIEW,
            actor=by,
            note=_audit_note(stratum, standing, note),
            approved_hash=F("text_hash"),
            reviewed_by=by,
            reviewed_at=timezone.now(),
            reject_reason="",
        )
        left = sample_records.left(stratum, standing, moved)
        statement = sampling_plans.risk_in_words(
            batch=standing.size + rest, sample=standing.size, promise=promise_of(plan), approved=len(moved)
        )
        if standing.taste:
            statement += " " + _taste_in_words(stratum, standing)
        _decide(
            stratum,
            standing,
            StratumState.PASSED,
            by,
            statement=statement,
            note=note,
            approved=len(moved),
            left=len(left),
        )
        others = SampleDraw.objects.filter(stratum=stratum, reading=Reading.UNREAD)
        for ids in sample_records.batches(moved):
            others.filter(piece_id__in=ids).update(reading=Reading.COVERED)
        others.update(reading=Reading.LEFT)
    log.info("sample_passed", plan=plan.pk, stratum=stratum.pk, by=by.pk, approved=len(moved), left=len(left))
    return Passed(len(moved), left, statement)


def fail_group(*, stratum_id: int, by: AbstractBaseUser, note: str = "", write_again: bool = False) -> int:
    """Close a group as failed. What is left of it is read one by one or, with `write_again`, goes back to the writer.

    No later sample may cover these texts. Without a bad piece in the sample a note must say why. Returns how many
    went back. Raises NotAllowed, InvalidInput, AlreadyDecided or RunCancelled; then nothing happened.
    """
    rules.check_may(by, rules.REVIEW, "fail a group")
    with transaction.atomic():
        stratum, standing = _undecided(stratum_id, by)
        run = stratum.plan.run
        if not standing.is_broken and not note.strip():
            raise InvalidInput("No drawn piece was bad: say in the note why this group fails.", field="note")
        moved: list[int] = []
        if write_again:
            if run.status == RunStatus.CANCELLED:
                raise rules.RunCancelled("The run of these pieces was cancelled.")
            moved = transitions.advance_many(
                sample_records.as_drawn(stratum),
                Status.DRAFT,
                was=Status.IN_REVIEW,
                actor=by,
                note=f"to be written again: group {stratum.pk} of plan {stratum.plan_id} failed",
                seed=F("seed") / 2 + secrets.randbits(60),  # another text than the one that failed
                attempts=0,
                retry_after=None,
                steer="",
            )
            transaction.on_commit(lambda: drafting.enqueue(run_id=run.pk))
        why = f"Failed, {standing.why_broken}." if standing.is_broken else "Failed by a person's word."
        _decide(stratum, standing, StratumState.FAILED, by, statement=why, note=note, rewritten=len(moved))
    log.info("sample_failed", plan=stratum.plan_id, stratum=stratum.pk, by=by.pk, rewritten=len(moved))
    return len(moved)


def drop(*, plan_id: int, by: AbstractBaseUser, note: str = "") -> int:
    """Give an open plan up, to draw by other numbers. A group that has a bad piece already fails; how many did."""
    rules.check_may(by, rules.REVIEW, "drop a sample")
    failed = 0
    with transaction.atomic():
        ids = SampleStratum.objects.filter(plan=plan_id, state=StratumState.OPEN).order_by("pk")
        found = list(ids.values_list("pk", flat=True))
        if not found:
            raise AlreadyDecided(
                "This plan is closed: every group of it was decided, or it was dropped before."
            )
        for pk in found:
            stratum, standing = _undecided(pk, by)
            if standing.is_broken:
                failed += 1
                why = f"Failed, {standing.why_broken}."
                _decide(stratum, standing, StratumState.FAILED, by, statement=why, note=note)
            else:
                _decide(
                    stratum, standing, StratumState.DROPPED, by, statement="Dropped undecided.", note=note
                )
    log.info("sample_dropped", plan=plan_id, by=by.pk, failed=failed)
    return failed


# -- the parts -----------------------------------------------------------------------------------------


def _whole(stratum: SampleStratum) -> QuerySet[Piece]:
    return sample_records.as_drawn(stratum).filter(blocking=0, warnings=0, edited_by__isnull=True)


def _check_run(run: Run) -> None:
    if run.campaign.review_policy != ReviewPolicy.BY_SAMPLE:
        raise PolicyForbids(
            "This campaign's review policy is not approval by sample. Change it in the campaign to decide so."
        )
    if run.status == RunStatus.CANCELLED:
        raise rules.RunCancelled("This run was cancelled.")


def _undecided(stratum_id: int, by: AbstractBaseUser) -> tuple[SampleStratum, Standing]:
    """The group, locked with all its pieces, and its standing as it cannot change any more before the commit."""
    stratum = (
        SampleStratum.objects.select_for_update(of=("self",))
        .select_related("plan__run__campaign")
        .filter(pk=stratum_id)
        .first()
    )
    if stratum is None:
        raise AlreadyDecided("There is no such group.")
    brand_access.check(by, stratum.plan.run.campaign.brand_id)
    if stratum.state != StratumState.OPEN:
        label = StratumState(stratum.state).label.lower()
        raise AlreadyDecided(f"This group was decided before: {label}, by {stratum.decided_by_name}.")
    drawn = SampleDraw.objects.filter(stratum=stratum)
    list(sample_records.locked(Piece.objects.filter(pk__in=drawn.values("piece_id"))))
    return stratum, standings(stratum.plan, [stratum])[stratum.pk]


def _decide(
    stratum: SampleStratum,
    standing: Standing,
    state: StratumState,
    by: AbstractBaseUser,
    *,
    statement: str,
    note: str = "",
    approved: int = 0,
    left: int = 0,
    rewritten: int = 0,
) -> None:
    """Write the decision with who read what; close the plan with its last group."""
    now = timezone.now()
    changed = SampleStratum.objects.filter(pk=stratum.pk, state=StratumState.OPEN).update(
        state=state,
        decided_at=now,
        decided_by=by,
        decided_by_name=by.get_username(),
        statement=statement[:1000],
        note=note.strip()[:500],
        approved=approved,
        left=left,
        rewritten=rewritten,
    )
    if changed != 1:
        raise AlreadyDecided("This group was decided before.")
    sample_records.keep(stratum, standing.reads)
    if not SampleStratum.objects.filter(plan=stratum.plan_id, state=StratumState.OPEN).exists():
        SamplePlan.objects.filter(pk=stratum.plan_id).update(closed_at=now)


def _audit_note(stratum: SampleStratum, standing: Standing, note: str) -> str:
    told = (
        f"approved by sample: plan {stratum.plan_id}, group {stratum.pk}, "
        f"{standing.size:,} of {stratum.size:,} read and none bad"
    )
    return f"{told}. {note.strip()}"[:500] if note.strip() else told


def _taste_in_words(stratum: SampleStratum, standing: Standing) -> str:
    count = len(standing.taste)
    rest = stratum.size - len(standing.reads)
    worst = sampling_plans.most_bad(
        batch=standing.size + rest, sample=standing.size, confidence=stratum.plan.confidence, found=count
    )
    one = count == 1
    return (
        f"{count} {'was' if one else 'were'} rejected for taste, which this plan does not count; so up to {worst:,} of "
        "those approved unread may not be to taste either."
    )
