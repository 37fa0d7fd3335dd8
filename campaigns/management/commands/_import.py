"""What the three import commands share: arguments, progress bar, problems file, summary."""

from __future__ import annotations

import csv
import json
import time
import zoneinfo
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from campaigns import importing
from campaigns.cleaning import Problem
from campaigns.importing import jobs
from campaigns.models import AttributeDefinition, Import, ImportSource
from personalize.core.errors import DomainError
from personalize.core.spreadsheets import defuse


class ImportCommand(BaseCommand):
    kind = "profiles"
    example = "external_id=id email='Email Address'"
    importer: Callable[..., Import]

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "file",
            help="CSV in any dialect, JSON (array, or one object a line), both may be gzipped; or Parquet",
        )
        parser.add_argument(
            "--map", nargs="+", action="extend", default=[], metavar="OURS=THEIRS",
            help=f"which column is which field, such as: {self.example}; field:=words sets the same words in all rows. "
            "Without it a mapping is guessed from the columns' names and contents, and shown",
        )  # fmt: skip
        parser.add_argument(
            "--map-file", metavar="FILE.json", help='the mapping as JSON: {"email": "Email Address"}'
        )
        parser.add_argument(
            "--like", default="", metavar="NAME",
            help="take the mapping that was confirmed for this source, here or in the admin",
        )  # fmt: skip
        parser.add_argument(
            "--remember", default="", metavar="NAME", help="keep the mapping for the next file of this source"
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="read and check everything, change nothing"
        )
        parser.add_argument(
            "--problems", metavar="OUT.csv", help="write every problem: row, field, what to do"
        )
        parser.add_argument("--as", dest="user", metavar="USER", help="whose import it is")
        parser.add_argument(
            "--each", default="", metavar="PATH", help="JSON: the nested list whose items are the rows"
        )
        parser.add_argument("--time-zone", default="UTC", help="of times without an offset (default UTC)")
        order = parser.add_mutually_exclusive_group()
        order.add_argument("--day-first", action="store_true", default=None, help="03/04/2024 is in April")
        order.add_argument(
            "--month-first", action="store_false", dest="day_first", help="03/04/2024 is in March"
        )

    def options(self, given: dict[str, Any]) -> dict[str, Any]:
        """What this kind of import adds to importing.Options."""
        return {}

    def handle(self, *args: object, **given: Any) -> None:
        console = Console(stderr=True)
        try:
            zone = zoneinfo.ZoneInfo(given["time_zone"])
        except (zoneinfo.ZoneInfoNotFoundError, ValueError):
            raise CommandError(
                f"There is no time zone '{given['time_zone']}': write one like Europe/London."
            ) from None
        options = importing.Options(
            day_first=given["day_first"], zone=zone, each=given["each"], **self.options(given)
        )
        started = time.monotonic()
        try:
            mapping = self._mapping(given, console)
            with _bar(console) as progress, _problems_file(given["problems"]) as on_problem:
                record = type(self).importer(
                    path=given["file"], mapping=mapping, dry_run=given["dry_run"], by=_user(given["user"]),
                    progress=progress, options=options, on_problem=on_problem,
                )  # fmt: skip
        except DomainError as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            raise CommandError(
                "Stopped. What was stored before stays; running it again is harmless."
            ) from None
        if given["remember"]:
            jobs.remember(
                name=given["remember"], kind=self.kind, mapping=mapping, options=options, by=record.started_by
            )
        Console().print(summary(record, seconds=time.monotonic() - started))
        if record.problem_count and not given["problems"]:
            _show_first_problems(record)

    def _mapping(self, given: dict[str, Any], console: Console) -> dict[str, str]:
        mapping: dict[str, str] = {}
        if given["like"]:
            source = ImportSource.objects.filter(kind=self.kind, name=given["like"]).first()
            if source is None:
                known = ImportSource.objects.filter(kind=self.kind).order_by("name")
                raise CommandError(
                    f"No mapping is kept for '{given['like']}'. Kept are: "
                    f"{', '.join(known.values_list('name', flat=True)) or 'none; --remember NAME keeps one'}."
                )
            mapping.update(source.mapping)
        if given["map_file"]:
            try:
                loaded = json.loads(Path(given["map_file"]).read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                raise CommandError(f"The mapping file cannot be read as JSON: {error}") from error
            if not isinstance(loaded, dict) or not all(isinstance(value, str) for value in loaded.values()):
                raise CommandError('The mapping file must be one JSON object: {"email": "Email Address"}')
            mapping.update(loaded)
        mapping.update(importing.parse_pairs(given["map"]))
        if not mapping:
            headers, rows = importing.sample_of(given["file"], each=given["each"])
            mapping = importing.propose_mapping(
                headers,
                kind=self.kind,
                attributes=AttributeDefinition.objects.values_list("name", flat=True),
                rows=rows,
                file_name=Path(given["file"]).name,
            )
            words = " ".join(
                f"{ours}{value}" if value.startswith(":=") else f"{ours}='{value}'"
                for ours, value in mapping.items()
            )
            console.print(f"Mapping guessed from the columns: --map {words}", markup=False, highlight=False)
        return mapping


def summary(record: Import, *, seconds: float) -> Table:
    title = f"{record.get_kind_display()} from {record.file_name}" + (" (dry run)" if record.dry_run else "")
    table = Table(show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_row("import", title)
    for name, number in (
        ("rows", record.rows),
        ("created", record.created),
        ("updated", record.updated),
        ("unchanged", record.unchanged),
        ("refused", record.refused),
        ("addresses stopped", record.stopped),
        ("problems", record.problem_count),
    ):
        table.add_row(name, f"{number:,}")
    table.add_row("seconds", f"{seconds:,.1f}")
    table.add_row("rows a second", f"{record.rows / max(seconds, 0.001):,.0f}")
    if record.ignored:
        table.add_row("not on the allow-list", ", ".join(record.ignored))
    return table


def _show_first_problems(record: Import) -> None:
    table = Table(title="First problems (--problems FILE writes all)", title_justify="left")
    for column in ("row", "field", "what to do", "refused"):
        table.add_column(column)
    for problem in record.problems.order_by("row", "id")[:10]:
        table.add_row(str(problem.row), problem.field, problem.message, "yes" if problem.refused else "no")
    Console().print(table)


def _user(name: str | None) -> AbstractBaseUser | None:
    if not name:
        return None
    found = get_user_model().objects.filter(username=name).first()
    if found is None:
        raise CommandError(f"There is no user '{name}'.")
    return found


@contextmanager
def _bar(console: Console) -> Iterator[Callable[[int, int], None]]:
    bar = Progress(
        TextColumn("reading"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
    with bar:
        task = bar.add_task("reading", total=None)
        yield lambda read, total: bar.update(task, completed=read, total=total)


@contextmanager
def _problems_file(path: str | None) -> Iterator[Callable[[int, Problem], None] | None]:
    if not path:
        yield None
        return
    try:
        target = Path(path).open("w", encoding="utf-8", newline="")  # noqa: SIM115  (closed below)
    except OSError as error:
        raise CommandError(f"The problems file cannot be written: {error.strerror}") from error
    with target:
        writer = csv.writer(target)
        writer.writerow(["row", "field", "refused", "what to do"])
        yield lambda number, problem: writer.writerow(
            [number, defuse(problem.field), "yes" if problem.refuses else "no", defuse(problem.message)]
        )
