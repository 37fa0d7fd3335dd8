"""Check that the audit trail is what it was when it was sealed."""

from __future__ import annotations

import re
import time
from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console

from generation import audit
from generation.management import arguments
from generation.models import PieceEvent

_ANCHOR = re.compile(r"(\d{1,18}):([0-9a-f]{64})")


class Command(BaseCommand):
    help = (
        "Recompute the hashes of the audit trail and check its seals. Exits with 1 and names the first row that is "
        "not what was sealed. It only reads. Keep the last line's anchor elsewhere: with it, a later check also finds "
        "rows that were cut off at the end."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--since",
            type=arguments.moment,
            help="start at this day or time: 2026-01-31, 2026-01-31T09:00+01:00",
        )
        parser.add_argument(
            "--anchor", default="", help="number:hash of a row, noted down at an earlier check"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        since: datetime | None = options["since"]
        anchor = _anchor(options["anchor"])
        total = PieceEvent.objects.exclude(seq=None).count()
        started = time.monotonic()
        bar = arguments.progress_bar(Console(stderr=True))
        with bar:
            task = bar.add_task("Verifying", total=total, speed="")
            verdict = audit.verify(
                since=since, anchor=anchor, progress=lambda count: bar.advance(task, count)
            )
        if verdict.broken is not None:
            raise CommandError(str(verdict.broken), returncode=1)
        seconds = time.monotonic() - started
        self.stdout.write(
            f"{verdict.rows:,} rows from number {verdict.first:,} and {verdict.seals:,} seals hold "
            f"({seconds:.1f} s). {verdict.open:,} wait to be sealed; {verdict.erased:,} notes were erased."
        )
        seq, digest = audit.head()
        self.stdout.write(f"Anchor: {seq}:{digest}")


def _anchor(given: str) -> tuple[int, str] | None:
    if not given:
        return None
    match = _ANCHOR.fullmatch(given)
    if match is None:
        raise CommandError("An anchor is a number, a colon and 64 hex digits, as verify_audit prints it.")
    return int(match[1]), match[2]
