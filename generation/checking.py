"""The bridge to the writer's checks: what they say of a stored piece, kept with the revision they saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from generation import material
from generation.models import Finding, Piece
from generation.writer import checks
from generation.writer.types import Channel, Fields, Severity
from generation.writer.types import Finding as Found


def findings_for(
    *,
    fields: Fields,
    brief: Mapping[str, Any],
    channel: str,
    reader: Mapping[str, Any],
    ledger: Sequence[Mapping[str, Any]] = (),
) -> list[Found]:
    """Everything the rules find in a text, blocking ones first. `brief` is Run.brief, `reader` Piece.reader."""
    return checks.check(
        material.brief(brief),
        Channel(channel),
        fields,
        material.reader(reader),
        material.units(ledger),
        material.products(reader),
    )


@dataclass(frozen=True, slots=True)
class Weights:
    """How many findings of each weight a text has: the columns of a piece that say so."""

    blocking: int
    warnings: int


def weigh(found: Sequence[Found]) -> Weights:
    return Weights(
        blocking=sum(finding.severity is Severity.BLOCKING for finding in found),
        warnings=sum(finding.severity is Severity.WARNING for finding in found),
    )


def store(piece: Piece, found: Sequence[Found]) -> None:
    """Keep the findings of the piece's current revision. Those of earlier revisions stay as its history.

    Call inside the transaction that wrote the text and the counts.
    """
    Finding.objects.bulk_create(
        Finding(
            piece=piece,
            revision=piece.revision,
            rule=finding.rule,
            severity=finding.severity.value,
            field=finding.field,
            index=finding.index,
            start=finding.start,
            end=finding.end,
            message=finding.message[:300],
        )
        for finding in found
    )
