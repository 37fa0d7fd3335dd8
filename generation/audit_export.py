"""The audit trail as a file, row by row: CSV for people, JSON lines for machines and for verifying elsewhere."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Literal

from django.db.models import QuerySet

from generation import audit
from generation.models import PieceEvent
from personalize.core.spreadsheets import defuse

Format = Literal["csv", "jsonl"]
FORMATS: dict[Format, str] = {"csv": "text/csv; charset=utf-8", "jsonl": "application/x-ndjson"}
_CHUNK = 2_000


class _Echo:
    """What csv writes to: it gives each line back."""

    def write(self, line: str) -> str:
        return line


def rows(
    *, since: datetime | None = None, until: datetime | None = None
) -> QuerySet[PieceEvent, dict[str, Any]]:
    """Sealed rows in the order of the chain; those of a time may stand apart in it by a few seconds."""
    found = PieceEvent.objects.exclude(seq=None).order_by("seq")
    if since is not None:
        found = found.filter(at__gte=since)
    if until is not None:
        found = found.filter(at__lt=until)
    chosen: QuerySet[PieceEvent, dict[str, Any]] = found.values(*audit.COLUMNS)
    return chosen


def lines(chosen: QuerySet[PieceEvent, dict[str, Any]], kind: Format) -> Iterator[str]:
    """One line a row, never all in memory. In CSV no cell is a formula; JSON lines hold the values as hashed."""
    if kind == "csv":
        writer = csv.writer(_Echo(), lineterminator="\r\n")
        yield writer.writerow(audit.COLUMNS)
        for row in chosen.iterator(chunk_size=_CHUNK):
            yield writer.writerow([_cell(row[name]) for name in audit.COLUMNS])
        return
    for row in chosen.iterator(chunk_size=_CHUNK):
        row["at"] = as_hashed(row["at"])
        yield json.dumps(row, ensure_ascii=False) + "\n"


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return as_hashed(value)
    return defuse(str(value))


def as_hashed(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")
