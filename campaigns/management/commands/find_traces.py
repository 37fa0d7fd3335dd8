"""`manage.py find_traces`: does anything of these people still stand anywhere?"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from campaigns.privacy import traces


class Command(BaseCommand):
    help = (
        "Look for texts (addresses, ids, names), one on each line of a file or standard input, in every column of the "
        "database and every file below OUTPUT_DIR and STATE_DIR. Prints where, never what. Exit code 1 if any is found."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("texts", nargs="?", type=Path, help="a file; standard input without one")
        parser.add_argument(
            "--also", action="append", default=[], type=Path, help="one more folder to look into"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        file: Path | None = options["texts"]
        try:
            given = file.read_text(encoding="utf-8") if file else sys.stdin.read()
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{file} cannot be read: {error}.") from None
        texts = list(dict.fromkeys(line.strip() for line in given.splitlines() if line.strip()))
        if not texts:
            raise CommandError("No texts were given.")
        hits = 0
        for where, count in traces.in_database(texts):
            hits += count
            self.stdout.write(f"{where}: {count:,} rows")
        for where, count in traces.in_files(texts, folders=options["also"]):
            hits += count
            self.stdout.write(f"{where}: {count:,} places")
        self.stdout.write(f"{len(texts):,} texts looked for, {hits:,} hits.")
        if hits:
            raise SystemExit(1)
