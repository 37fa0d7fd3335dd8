"""Write the audit trail to a file or the terminal."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any, TextIO

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console

from generation import audit, audit_export
from generation.management import arguments


class Command(BaseCommand):
    help = "Write the audit trail, sealed to this moment, in the order of its chain. Row by row, of any size."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--format", choices=sorted(audit_export.FORMATS), default="csv")
        parser.add_argument("--since", type=arguments.moment, help="from this day or time: 2026-01-31")
        parser.add_argument("--until", type=arguments.moment, help="to before this day or time")
        parser.add_argument("--output", type=Path, help="a new file; without it the terminal gets the rows")

    def handle(self, *args: Any, **options: Any) -> None:
        audit.seal(wait=True)
        chosen = audit_export.rows(since=options["since"], until=options["until"])
        path: Path | None = options["output"]
        if path is None:
            self._write(chosen, options["format"], sys.stdout)
            return
        try:
            with path.open("x", encoding="utf-8", newline="") as out:
                count = self._write(chosen, options["format"], out)
        except OSError as error:
            raise CommandError(f"{path} could not be written: {error.strerror}.") from error
        self.stdout.write(f"{count:,} rows in {path}.")

    def _write(self, chosen: Any, kind: audit_export.Format, out: TextIO) -> int:
        bar = arguments.progress_bar(Console(stderr=True))
        count = 0
        with bar:
            task = bar.add_task("Exporting", total=chosen.count(), speed="")
            for line in audit_export.lines(chosen, kind):
                out.write(line)
                count += 1
                bar.advance(task)
        return count - (kind == "csv")
