"""The way of every import: read a chunk, convert its rows, store it whole, count, go on.

Each chunk is one transaction together with the counts and problems of its rows, so an interrupted import has
whole chunks behind it, goes on with the next one, and running it again is harmless.
"""

from __future__ import annotations

import re
import secrets
import zoneinfo
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, tzinfo
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, TypeVar

import structlog
from django.db import connection, reset_queries, transaction
from django.utils import timezone

from campaigns.cleaning import Problem
from campaigns.importing.mapping import FieldMap, Take
from campaigns.importing.reading import BadRow, Row, Source
from campaigns.models import Import, ImportKind, ImportProblem, ImportStatus
from personalize.core.errors import DomainError, InvalidInput

log = structlog.get_logger(__name__)

CHUNK = 2_000  # rows of one transaction
MOST_PROBLEMS = 10_000  # rows of ImportProblem for one import; counting goes on

Item = TypeVar("Item")
Progress = Callable[[int, int], None]  # bytes read, bytes of the file
OnProblem = Callable[[int, Problem], None]  # number of the row, problem


@dataclass(frozen=True, slots=True)
class Options:
    """How to read what is not certain.

    `lenient`: a bad optional value (telephone, time zone, …) costs only itself, not the row. `day_first`: what
    03/04/2024 means; None refuses it. `region`: where telephone numbers without + belong. `each`: in JSON, the
    nested list whose items are the rows. `define_attributes`: put mapped attributes nobody defined on the
    allow-list. `create_profiles`, `create_products`: make what events speak of and nobody knows.
    """

    lenient: bool = False
    day_first: bool | None = None
    zone: tzinfo = UTC
    region: str = ""
    each: str = ""
    source: str = ""
    define_attributes: bool = False
    create_profiles: bool = False
    create_products: bool = False

    def stored(self) -> dict[str, object]:
        """As JSON holds it: what differs from the default."""
        given = asdict(self)
        given["zone"] = str(self.zone)
        plain = asdict(Options())
        plain["zone"] = "UTC"
        return {name: value for name, value in given.items() if value != plain[name]}

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Options:
        """What `stored` gave, whatever version of us wrote it."""
        known = {name: value for name, value in stored.items() if name in cls.__dataclass_fields__}
        if isinstance(zone := known.get("zone"), str):
            known["zone"] = zoneinfo.ZoneInfo(zone)
        return cls(**known)


class Stopped(DomainError):
    """The import was stopped by a person, or another worker took it over."""


@dataclass(slots=True)
class Counts:
    """What storing a chunk did. `stopped`: addresses nothing may be sent to; `problems`: those that only storing
    finds, by row."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    stopped: int = 0
    problems: list[tuple[int, Problem]] = field(default_factory=list)


class Handler(Protocol[Item]):
    """What differs between people, events and products."""

    kind: ImportKind
    ignored: set[str]

    def prepare(self) -> None:
        """Once, before the first row. Not called in a dry run."""

    def convert(self, row: Row) -> tuple[Item | None, list[Problem]]:
        """One row to an item; None when a problem refuses it."""

    def store(self, items: Sequence[tuple[int, Item]], *, dry_run: bool) -> Counts:
        """Store (number of row, item) pairs inside the caller's transaction, or only count what would happen.

        Called for every chunk, also without items: rows that were refused may still have said 'no'."""

    def recall(self, items: Sequence[tuple[int, Item]]) -> None:
        """Take note of items that were stored before an interruption."""


def run(
    handler: Handler[Any],
    *,
    source: Source,
    fields: FieldMap,
    record: Import,
    progress: Progress | None = None,
    on_problem: OnProblem | None = None,
) -> Import:
    """Import a file, beginning after the rows that `record` counts as done, and return it with its counts.

    The caller holds the record's lease. Raises what went wrong with the file as a whole, after marking the record as
    failed; rows that went wrong are counted and never raise. Raises Stopped when the lease is lost.
    """
    log.info("import_started", import_id=record.pk, kind=str(handler.kind), dry_run=record.dry_run)
    try:
        if not record.dry_run:
            handler.prepare()
        _chunks(handler, record, source, fields, progress, on_problem)
        _save(record, status=ImportStatus.DONE, finished_at=timezone.now())
    except BaseException as error:
        _fail(record, error)
        raise
    log.info(
        "import_done", import_id=record.pk, rows=record.rows, created=record.created, updated=record.updated,
        unchanged=record.unchanged, refused=record.refused, problems=record.problem_count,
    )  # fmt: skip
    return record


def _chunks(
    handler: Handler[Any],
    record: Import,
    source: Source,
    fields: FieldMap,
    progress: Progress | None,
    on_problem: OnProblem | None,
) -> None:
    first, behind = True, record.rows
    for chunk in chunked(source.rows(), CHUNK):
        if first and source.is_json:
            _check_paths(chunk, fields, source)
        first = False
        done, chunk = chunk[:behind], chunk[behind:]
        if done:
            behind -= len(done)
            handler.recall(_convert(handler, done)[0])
        if not chunk:
            continue
        items, problems = _convert(handler, chunk)
        with transaction.atomic():
            counts = handler.store(items, dry_run=record.dry_run)
            problems = sorted([*problems, *counts.problems], key=lambda pair: pair[0])
            _keep(record, problems)
            _save(
                record,
                rows=record.rows + len(chunk),
                created=record.created + counts.created,
                updated=record.updated + counts.updated,
                unchanged=record.unchanged + counts.unchanged,
                stopped=record.stopped + counts.stopped,
                refused=record.refused + len({number for number, problem in problems if problem.refuses}),
                problem_count=record.problem_count + len(problems),
                ignored=sorted(handler.ignored),
                bytes_read=source.bytes_read,
            )
        reset_queries()  # with DEBUG Django keeps every statement, and these are long
        for number, problem in problems:
            if on_problem:
                on_problem(number, problem)
        if progress:
            progress(record.bytes_read, record.bytes_total)


def _convert(
    handler: Handler[Any], chunk: Sequence[Row | BadRow]
) -> tuple[list[tuple[int, Any]], list[tuple[int, Problem]]]:
    items: list[tuple[int, Any]] = []
    problems: list[tuple[int, Problem]] = []
    for row in chunk:
        if isinstance(row, BadRow):
            problems.append((row.number, Problem("", row.message)))
            continue
        item, found = handler.convert(row)
        problems += [(row.number, problem) for problem in found]
        if item is not None:
            items.append((row.number, item))
    return items, problems


def _save(record: Import, **changes: Any) -> None:
    """Write down what was done, if the import is still ours to do."""
    ours = Import.objects.filter(pk=record.pk, lease=record.lease, status=ImportStatus.RUNNING)
    if ours.update(alive_at=timezone.now(), **changes) != 1:
        raise Stopped("The import was stopped. What was stored before stays; running it again is harmless.")
    for name, value in changes.items():
        setattr(record, name, value)


def _keep(record: Import, problems: Sequence[tuple[int, Problem]]) -> None:
    room = max(0, MOST_PROBLEMS - record.problem_count)
    ImportProblem.objects.bulk_create(
        [
            ImportProblem(
                of_import=record,
                row=number,
                field=problem.field[:100],
                message=problem.message[:300],
                refused=problem.refuses,
            )
            for number, problem in problems[:room]
        ]
    )


def _fail(record: Import, error: BaseException) -> None:
    if isinstance(error, Stopped):
        log.info("import_stopped", import_id=record.pk, rows=record.rows)
        return
    if isinstance(error, KeyboardInterrupt):
        reason = f"Stopped by hand after row {record.rows}."
    elif isinstance(error, DomainError):
        reason = str(error)
    else:
        # A database's message may quote the row it choked on.
        reason = f"An unexpected error ({type(error).__name__}) after row {record.rows}; the log has more."
    kept = "" if record.dry_run else " What was stored before stays; running it again is harmless."
    Import.objects.filter(pk=record.pk, lease=record.lease).update(
        status=ImportStatus.FAILED, error=(reason + kept)[:500], finished_at=timezone.now()
    )
    log.warning("import_failed", import_id=record.pk, error=type(error).__name__, rows=record.rows)


def _check_paths(chunk: Sequence[Row | BadRow], fields: FieldMap, source: Source) -> None:
    """JSON has no header: a path that no record of the first chunk holds is a misspelt one."""
    rows = [row for row in chunk if isinstance(row, Row)]
    for column in sorted(fields.columns):
        if rows and all(row.cells[column] is None for row in rows):
            raise InvalidInput(
                f"None of the first {len(rows)} records of '{source.path.name}' has '{column}'. "
                f"They have: {', '.join(list(rows[0].cells)[:40])}.",
                field="mapping",
            )


def chunked(rows: Iterator[Item], size: int) -> Iterator[list[Item]]:
    while chunk := list(islice(rows, size)):
        yield chunk


# -- what handlers share -----------------------------------------------------------------------------


# How tools write "nothing" into a cell. People are called Null and None, so names keep those.
_NOTHING = frozenset(("n/a", "#n/a", "\\n", "(blank)", "(null)", "(none)", "-", "--", "—"))
_NOTHING_BUT_NAMES = _NOTHING | {"null", "none", "nan", "undefined"}
_GUARDED = re.compile(r'="(.*)"|\'(?=[=+\-@\'\t\r])(.*)', re.DOTALL)


def cell(row: Row, take: Take | None, *, name: str = "") -> str:
    """The field's text in this row, "" for none. A JSON list of single values becomes their list in words.

    Guards against spreadsheets ('="007"', "'+44…") come off: they were put there by an export such as ours.
    """
    if take is None:
        return ""
    if take.constant is not None:
        return take.constant
    value = row.cells.get(take.column)
    if value is None or isinstance(value, dict):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(str(part) for part in value if isinstance(part, (str, int, float)))
    text = value.strip() if isinstance(value, str) else str(value)
    if text[:1] in ("=", "'") and (guarded := _GUARDED.fullmatch(text)):
        text = guarded[2] if guarded[1] is None else guarded[1]
    if len(text) <= 9 and text.lower() in (_NOTHING if name.endswith("_name") else _NOTHING_BUT_NAMES):
        return ""
    return text


def stem_of(path: Path) -> str:
    """The file's name as the beginning of ids minted by row."""
    return re.sub(r"[^A-Za-z0-9]+", "-", path.name.split(".")[0]).strip("-").lower()[:80] or "file"


class Tally:
    """How often each key was seen before in this file, counted in a temporary table: memory stays flat."""

    def __init__(self) -> None:
        self._table = f"import_tally_{secrets.token_hex(6)}"
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE TEMPORARY TABLE {self._table} (key text PRIMARY KEY, seen int NOT NULL)")

    def add(self, keys: Sequence[str]) -> list[int]:
        """For each key in order, how often it came before."""
        here: dict[str, int] = {}
        earlier = []
        for key in keys:
            earlier.append(here.get(key, 0))
            here[key] = here.get(key, 0) + 1
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO {self._table} AS known SELECT * FROM unnest(%s::text[], %s::int[]) "
                "ON CONFLICT (key) DO UPDATE SET seen = known.seen + EXCLUDED.seen RETURNING key, seen",
                [list(here), list(here.values())],
            )
            before = {key: seen - here[key] for key, seen in cursor.fetchall()}
        return [before[key] + count for key, count in zip(keys, earlier, strict=True)]

    def drop(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TABLE IF EXISTS {self._table}")


@contextmanager
def tally() -> Iterator[Tally]:
    """A Tally for the length of an import."""
    made = Tally()
    try:
        yield made
    finally:
        if not connection.needs_rollback:
            made.drop()


def now_text() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
