"""Files of people, events and products come in: any size, row by row, safe to repeat.

`import_profiles(path=…, mapping={"external_id": "Record ID", "email": "Email", "consent.email": "opt_in"})`; the
words of a mapping are in `mapping.py`. A row that cannot be used costs only itself and is told about.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from django.contrib.auth.models import AbstractBaseUser

from campaigns.importing import jobs
from campaigns.importing.contents import SAMPLE
from campaigns.importing.events import EventRows
from campaigns.importing.guessing import Guess, propose, propose_mapping
from campaigns.importing.mapping import FieldMap, parse, parse_pairs
from campaigns.importing.products import ProductRows
from campaigns.importing.profiles import ProfileRows
from campaigns.importing.reading import Row, Source
from campaigns.importing.running import (
    Handler,
    OnProblem,
    Options,
    Progress,
    Tally,
    run,
    stem_of,
    tally,
)
from campaigns.models import Import, ImportKind

__all__ = [
    "Guess",
    "Options",
    "go_on",
    "headers_of",
    "import_events",
    "import_products",
    "import_profiles",
    "parse_pairs",
    "propose",
    "propose_mapping",
    "sample_of",
]


def import_profiles(
    *,
    path: Path | str,
    mapping: Mapping[str, str],
    dry_run: bool = False,
    by: AbstractBaseUser | None = None,
    progress: Progress | None = None,
    options: Options | None = None,
    on_problem: OnProblem | None = None,
) -> Import:
    """Create and update people from a file; the returned Import holds the counts and (up to a cap) the problems.

    A dry run reads, checks and counts, and changes nothing. `progress` gets (bytes read, bytes of the file) after
    each chunk, `on_problem` (number of the row, problem) for each problem. Raises InvalidInput when the file or
    the mapping as a whole cannot be used.
    """
    return _import(
        ImportKind.PROFILES, Path(path), mapping, dry_run, by, progress, options or Options(), on_problem
    )


def import_events(
    *,
    path: Path | str,
    mapping: Mapping[str, str],
    dry_run: bool = False,
    by: AbstractBaseUser | None = None,
    progress: Progress | None = None,
    options: Options | None = None,
    on_problem: OnProblem | None = None,
) -> Import:
    """As `import_profiles`, for what people did: each event once, however often the file is read."""
    return _import(
        ImportKind.EVENTS, Path(path), mapping, dry_run, by, progress, options or Options(), on_problem
    )


def import_products(
    *,
    path: Path | str,
    mapping: Mapping[str, str],
    dry_run: bool = False,
    by: AbstractBaseUser | None = None,
    progress: Progress | None = None,
    options: Options | None = None,
    on_problem: OnProblem | None = None,
) -> Import:
    """As `import_profiles`, for the catalogue. Products without a noun phrase get one from their name."""
    return _import(
        ImportKind.PRODUCTS, Path(path), mapping, dry_run, by, progress, options or Options(), on_problem
    )


def headers_of(path: Path | str, *, each: str = "") -> list[str]:
    """The names of a file's columns, or the paths of its first JSON records."""
    return sample_of(path, each=each)[0]


def sample_of(path: Path | str, *, each: str = "") -> tuple[list[str], list[Mapping[str, object]]]:
    """The names of a file's columns and its first rows, for a proposal and for a person to look at."""
    with Source(Path(path), each=each) as source:
        rows = [row.cells for row in islice(source.rows(), SAMPLE) if isinstance(row, Row)]
        if not source.is_json:
            return source.headers, rows
        return list(dict.fromkeys(name for row in rows[:20] for name in row)), rows


def go_on(*, record: Import, path: Path) -> Import:
    """Do what is left of an import whose lease the caller holds; `path` is a copy of its file."""
    return _run(ImportKind(record.kind), path, record, Options.of(record.options))


def _import(
    kind: ImportKind,
    path: Path,
    mapping: Mapping[str, str],
    dry_run: bool,
    by: AbstractBaseUser | None,
    progress: Progress | None,
    options: Options,
    on_problem: OnProblem | None,
) -> Import:
    options = replace(options, source=options.source or f"import {path.name}"[:100])
    record = jobs.new(
        kind=kind, file_name=path.name, mapping=mapping, options=options, dry_run=dry_run, by=by
    )
    return _run(kind, path, record, options, progress, on_problem)


def _run(
    kind: ImportKind,
    path: Path,
    record: Import,
    options: Options,
    progress: Progress | None = None,
    on_problem: OnProblem | None = None,
) -> Import:
    with Source(path, each=options.each) as source, tally() as seen:
        fields = parse(record.mapping, kind=kind, headers=None if source.is_json else source.headers)
        record.bytes_total = source.bytes_total
        if not record.pk:
            record.save()
        return run(
            _handler(kind, fields, options, stem_of(path), seen),
            source=source,
            fields=fields,
            record=record,
            progress=progress,
            on_problem=on_problem,
        )


def _handler(kind: ImportKind, fields: FieldMap, options: Options, stem: str, seen: Tally) -> Handler[Any]:
    match kind:
        case ImportKind.PROFILES:
            return ProfileRows(fields=fields, options=options, file_stem=stem, seen=seen)
        case ImportKind.EVENTS:
            return EventRows(fields=fields, options=options, seen=seen)
        case ImportKind.PRODUCTS:
            return ProductRows(fields=fields, seen=seen)
