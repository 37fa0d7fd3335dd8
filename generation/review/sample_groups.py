"""Which pieces of a run a sample may speak for, in which groups, and which are read one by one. Reads only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from campaigns.models import Run
from campaigns.models.channels import PERSONAL_CHANNELS
from generation.models import ModelVersion, Piece, PieceEvent, Risk, SampleDraw, Status, StratumState
from generation.review import sampling_plans
from generation.review.sampling_plans import Promise

MIN_SPLIT = 100  # a smaller group is not split by risk: both halves would have to be read whole
RAISED_SHARE = 5  # one in so many is "less certain": those with the lowest likelihood

# Why a piece is read by itself, in the order in which they are asked.
BLOCKED = "A finding blocks it"
WARNED = "It has a warning"
EDITED = "A person changed its text"
DECIDED = "It was decided before and is back in review"
FAILED = "It belongs to a group that failed: read it, or have it written again"


@dataclass(frozen=True, slots=True)
class Group:
    """Pieces that are decided as one. `members` are (id, revision, text hash)."""

    segment: str
    channel: str
    model_version_id: int | None
    version: str
    risk: str
    members: tuple[tuple[int, int, str], ...]

    @property
    def size(self) -> int:
        return len(self.members)

    def sample_size(self, promise: Promise) -> int:
        return sampling_plans.sample_size(self.size, promise)


@dataclass(frozen=True, slots=True)
class Groups:
    """What is in review of a run: `groups` for samples, `set_aside` to be read one by one, by reason."""

    groups: tuple[Group, ...]
    set_aside: Mapping[str, int]

    @property
    def covered(self) -> int:
        return sum(group.size for group in self.groups)

    @property
    def one_by_one(self) -> int:
        return sum(self.set_aside.values())

    def to_read(self, promise: Promise) -> int:
        """Pieces that somebody reads under this promise, those set aside not counted."""
        return sum(group.sample_size(promise) for group in self.groups)


@dataclass(frozen=True, slots=True)
class _Row:
    pk: int
    revision: int
    text_hash: str
    channel: str
    model_version_id: int | None
    score: float | None
    attempts: int


def groups_of(run: Run) -> Groups:
    """Segment x channel x model version x risk, over what is clean, as the model wrote it, and never decided."""
    waiting = Piece.objects.filter(run=run, status=Status.IN_REVIEW)
    decided = _texts(
        PieceEvent.objects.filter(
            run_id=run.pk,
            to_status__in=(Status.APPROVED, Status.REJECTED),
            piece_id__in=waiting.values("pk"),
        )
    )
    failed = _texts(SampleDraw.objects.filter(stratum__plan__run=run, stratum__state=StratumState.FAILED))
    aside: Counter[str] = Counter()
    kinds: dict[tuple[str, int | None], list[_Row]] = {}
    columns = ("pk", "revision", "text_hash", "channel", "model_version_id", "score", "attempts")
    for *values, blocking, warnings, edited in waiting.order_by("pk").values_list(
        *columns, "blocking", "warnings", "edited_by_id"
    ):
        row = _Row(*values)
        text = (row.pk, row.text_hash)
        if blocking or warnings:
            aside[BLOCKED if blocking else WARNED] += 1
        elif edited is not None:
            aside[EDITED] += 1
        elif text in failed:
            aside[FAILED] += 1
        elif text in decided:
            aside[DECIDED] += 1
        else:
            kinds.setdefault((row.channel, row.model_version_id), []).append(row)
    names = dict(
        ModelVersion.objects.filter(pk__in={version for _, version in kinds}).values_list("pk", "name")
    )
    groups = [
        Group(
            segment=_segment(run, channel),
            channel=channel,
            model_version_id=version,
            version=names.get(version, "") if version is not None else "",
            risk=risk,
            members=tuple((row.pk, row.revision, row.text_hash) for row in rows),
        )
        for (channel, version), every in sorted(kinds.items(), key=lambda kind: (kind[0][0], kind[0][1] or 0))
        for risk, rows in _by_risk(every)
    ]
    return Groups(tuple(groups), dict(aside))


def _by_risk(rows: list[_Row]) -> Iterable[tuple[str, list[_Row]]]:
    """The fifth that the writer was least sure of is a group of its own, with what took more than one attempt."""
    if len(rows) < MIN_SPLIT:
        return [(Risk.ORDINARY, rows)]
    known = sorted(row.score for row in rows if row.score is not None)
    limit = known[len(known) // RAISED_SHARE] if known else 0.0
    raised = [row for row in rows if row.score is None or row.score < limit or row.attempts > 1]
    ids = {row.pk for row in raised}
    ordinary = [row for row in rows if row.pk not in ids]
    return [(risk, some) for risk, some in ((Risk.ORDINARY, ordinary), (Risk.RAISED, raised)) if some]


def _segment(run: Run, channel: str) -> str:
    campaign = run.campaign
    if channel in PERSONAL_CHANNELS:
        return (campaign.segment.name if campaign.segment else "Named readers")[:120]
    return (campaign.audience or "Everybody")[:120]


def _texts(rows: QuerySet[Any]) -> set[tuple[int, str]]:
    return set(rows.values_list("piece_id", "text_hash"))
