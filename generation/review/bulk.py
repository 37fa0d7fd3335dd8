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

from campaigns.models import ReviewPolicy, Run
from generation import transitions
from generation.models import Piece, Status
from generation.review import rules, single
from personalize.core.errors import DomainError, InvalidInput

log = structlog.get_logger(__name__)

BATCH = 5_000  # pieces locked, decided and recorded in one transaction

Verdict = Literal["approve", "reject"]


class PolicyForbids(DomainError):
    """The campaign wants every piece read."""

    code = "policy_forbids"


@dataclass(slots=True)
class BulkResult:
    """How it went, piece by piece. `changed`: not what the person saw any more; `blocked`: has blocking findings."""

    approved: int = 0
    rejected: int = 0
    changed: int = 0
    blocked: int = 0
    refused: dict[int, str] = field(default_factory=dict)  # piece id -> why, for every piece not decided

    @property
    def decided(self) -> int:
        return self.approved + self.rejected

    def __str__(self) -> str:
        parts = [
            f"{count} {word}"
            for count, word in (
                (self.approved, "approved"),
                (self.rejected, "rejected"),
                (self.changed, "had changed"),
                (self.blocked, "blocked by findings"),
                (len(self.refused) - self.changed - self.blocked, "not allowed"),
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
    that has left the review meanwhile. Each batch of 5,000 is its own transaction with its audit rows, so a crash
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
    for batch in _batches(piece_ids):
        _decide_batch(batch, verdict, by, revisions or {}, reason, note, result)
    log.info("decided_many", verdict=verdict, by=by.pk, decided=result.decided, refused=len(result.refused))
    return result


def approve_clean(*, run: Run, by: AbstractBaseUser, note: str = "") -> BulkResult:
    """Approve all of a run's pieces that have neither a blocking finding nor a warning.

    Raises PolicyForbids unless the campaign's review policy lets clean pieces be decided together.
    """
    rules.check_may(by, rules.REVIEW, "approve pieces")
    if run.campaign.review_policy != ReviewPolicy.CLEAN_TOGETHER:
        raise PolicyForbids(
            "This campaign wants every piece read. Change its review policy to decide clean pieces together."
        )
    clean = Piece.objects.filter(run=run, status=Status.IN_REVIEW).clean()
    return decide_many(
        verdict="approve",
        by=by,
        revisions=dict(clean.values_list("pk", "revision")),
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
) -> None:
    rows = (
        Piece.objects.filter(pk__in=ids)
        .select_related("run")
        .only("status", "revision", "blocking", "edited_by", "run__status")
        .select_for_update(of=("self",))
        .order_by("pk")
    )
    seen: set[int] = set()
    allowed: list[int] = []
    for piece in rows:
        seen.add(piece.pk)
        obstacle = _obstacle(piece, verdict, by, revisions)
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
        return rules.obstacle_of(piece, by)
    if piece.status != Status.IN_REVIEW:
        return rules.NotInReview(f"This piece is {Status(piece.status).label.lower()}.")
    return None
