"""Decisions on many texts together: one statement for what can be decided, a reason for each that cannot."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

import structlog
from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from campaigns import brand_access
from campaigns.models import Campaign, ReviewPolicy, Run
from generation import planting, transitions
from generation.models import How, Outcome, Piece, Status
from generation.review import rules, single
from personalize.core.errors import DomainError, InvalidInput

log = structlog.get_logger(__name__)

BATCH = 5_000  # pieces locked, decided and recorded in one transaction

Verdict = Literal["approve", "reject"]


class PolicyForbids(DomainError):
    """The campaign's review policy does not let this piece be approved together with others."""

    code = "policy_forbids"


@dataclass(slots=True)
class BulkResult:
    """How it went, piece by piece. `changed`: not what the person saw any more; `blocked`: has blocking findings."""

    approved: int = 0
    rejected: int = 0
    changed: int = 0
    blocked: int = 0
    planted: int = 0  # known to be bad: neither approved nor rejected, and counted for who decided
    refused: dict[int, str] = field(default_factory=dict)  # piece id -> why, for every piece not decided

    @property
    def decided(self) -> int:
        return self.approved + self.rejected

    def __str__(self) -> str:
        parts = [
            f"{count:,} {word}"
            for count, word in (
                (self.approved, "approved"),
                (self.rejected, "rejected"),
                (self.changed, "had changed"),
                (self.blocked, "blocked by findings"),
                (self.planted, "planted to see who reads"),
                (len(self.refused) - self.changed - self.blocked - self.planted, "not allowed"),
            )
            if count
        ]
        return ", ".join(parts) or "nothing to decide"


def decide_many(
    *,
    verdict: Verdict,
    by: AbstractBaseUser,
    piece_ids: Iterable[int] | None = None,
    queryset: QuerySet[Piece] | None = None,
    revisions: Mapping[int, int] | None = None,
    reason: str = "",
    note: str = "",
) -> BulkResult:
    """Approve or reject many pieces, given by ids or by a queryset. What cannot be decided stays as it is.

    `revisions` says which text of a piece the person saw; one with another text by now is `changed`, as is one
    that has left the review meanwhile. Approving together is for campaigns whose review policy allows it, and for
    pieces without a finding: any other is refused, to be read and decided by itself.

    Each batch of 5,000 is its own transaction with its audit rows, so a crash
    leaves whole batches. Raises NotAllowed or InvalidInput before anything is decided.
    """
    rules.check_may(by, rules.REVIEW, "decide on pieces")
    if verdict == "reject":
        single.check_reason(reason)
    elif verdict != "approve":
        raise InvalidInput("The verdict is approve or reject.", field="verdict")
    if revisions is not None and piece_ids is None and queryset is None:
        piece_ids = revisions
    if piece_ids is None:
        if queryset is None:
            raise InvalidInput("Say which pieces to decide on.", field="piece_ids")
        piece_ids = queryset.order_by("pk").values_list("pk", flat=True)
    result = BulkResult()
    closed = frozenset(brand_access.closed_to(by))
    for batch in _batches(piece_ids):
        _decide_batch(batch, verdict, by, revisions or {}, reason, note, result, closed)
    log.info("decided_many", verdict=verdict, by=by.pk, decided=result.decided, refused=len(result.refused))
    return result


def clean_revisions(run: Run) -> dict[int, int]:
    """Piece id -> revision of what `approve_clean` would approve at this moment."""
    return dict(Piece.objects.filter(run=run, status=Status.IN_REVIEW).clean().values_list("pk", "revision"))


def together_obstacle(campaign: Campaign) -> PolicyForbids | None:
    """What keeps anybody from approving this campaign's clean pieces together, or None."""
    if campaign.review_policy == ReviewPolicy.BY_SAMPLE:
        return PolicyForbids(
            "This campaign approves by sample: draw one on the run's page, read it and pass it."
        )
    if campaign.review_policy != ReviewPolicy.CLEAN_TOGETHER:
        return PolicyForbids(
            "This campaign wants every piece read. Change its review policy to decide clean pieces together."
        )
    return None


def approve_clean(
    *, run: Run, by: AbstractBaseUser, note: str = "", revisions: Mapping[int, int] | None = None
) -> BulkResult:
    """Approve all of a run's pieces that have neither a blocking finding nor a warning.

    `revisions` are those the person was shown; without them, what is clean at this moment.

    Raises PolicyForbids unless the campaign's review policy lets clean pieces be decided together.
    """
    rules.check_may(by, rules.REVIEW, "approve pieces")
    brand_access.check(by, run.campaign.brand_id)
    if obstacle := together_obstacle(run.campaign):
        raise obstacle
    return decide_many(
        verdict="approve",
        by=by,
        revisions=clean_revisions(run) if revisions is None else revisions,
        note=note or "approved together: no findings",
    )


def _batches(ids: Iterable[int]) -> Iterator[list[int]]:
    whole = sorted(set(ids))  # in one order everywhere: two deciders cannot lock each other out
    for start in range(0, len(whole), BATCH):
        yield whole[start : start + BATCH]


@transaction.atomic
def _decide_batch(
    ids: list[int],
    verdict: Verdict,
    by: AbstractBaseUser,
    revisions: Mapping[int, int],
    reason: str,
    note: str,
    result: BulkResult,
    closed: frozenset[int],
) -> None:
    rows = (
        Piece.everything.filter(pk__in=ids)
        .select_related("run__campaign")
        .only(
            "planted",
            "status",
            "revision",
            "blocking",
            "warnings",
            "edited_by",
            "run__status",
            "run__campaign__review_policy",
            "run__campaign__brand",
        )
        .select_for_update(of=("self",))
        .order_by("pk")
    )
    seen: set[int] = set()
    allowed: list[int] = []
    for piece in rows:
        seen.add(piece.pk)
        obstacle: DomainError | None = (
            brand_access.NotYourBrand("The brand of this piece is kept to other people.")
            if piece.run.campaign.brand_id in closed
            else _obstacle(piece, verdict, by, revisions)
        )
        if obstacle is None and piece.planted:
            outcome = Outcome.MISSED if verdict == "approve" else Outcome.CAUGHT
            planting.decide(piece, outcome, by=by, how=How.TOGETHER, note=note)
            result.refused[piece.pk] = "It was planted, known to be bad: it was never to be sent."
            result.planted += 1
            continue
        if obstacle is None:
            allowed.append(piece.pk)
            continue
        result.refused[piece.pk] = str(obstacle)
        result.changed += isinstance(obstacle, transitions.StalePiece | rules.NotInReview)
        result.blocked += isinstance(obstacle, rules.Blocked)
    for gone in set(ids) - seen:
        result.refused[gone] = "This piece is gone."
        result.changed += 1
    chosen = Piece.objects.filter(pk__in=allowed)
    now = timezone.now()
    if verdict == "approve":
        moved = transitions.advance_many(
            chosen.filter(blocking=0),
            Status.APPROVED,
            was=Status.IN_REVIEW,
            actor=by,
            note=note,
            approved_hash=F("text_hash"),
            reviewed_by=by,
            reviewed_at=now,
            reject_reason="",
        )
        result.approved += len(moved)
    else:
        moved = transitions.advance_many(
            chosen,
            Status.REJECTED,
            was=Status.IN_REVIEW,
            actor=by,
            reason=reason,
            note=note,
            reviewed_by=by,
            reviewed_at=now,
            reject_reason=reason,
        )
        result.rejected += len(moved)


def _obstacle(
    piece: Piece, verdict: Verdict, by: AbstractBaseUser, revisions: Mapping[int, int]
) -> DomainError | None:
    if revisions.get(piece.pk, piece.revision) != piece.revision:
        return transitions.StalePiece("This piece has a new text since you saw it.")
    if verdict == "approve":
        return rules.obstacle_of(piece, by) or _unread(piece)
    if piece.status != Status.IN_REVIEW:
        return rules.NotInReview(f"This piece is {Status(piece.status).label.lower()}.")
    return None


def _unread(piece: Piece) -> PolicyForbids | None:
    """Why a piece may not be approved without having been opened."""
    if piece.run.campaign.review_policy == ReviewPolicy.BY_SAMPLE:
        return PolicyForbids(
            "This campaign approves by sample: open the piece, or decide its group on the run's page."
        )
    if piece.run.campaign.review_policy != ReviewPolicy.CLEAN_TOGETHER:
        return PolicyForbids("This campaign wants every piece read: open it and decide there.")
    if piece.warnings:
        return PolicyForbids("This piece has findings: open it and decide there.")
    return None
