"""Files of people, events and products come in: any size, row by row, safe to repeat.

`import_profiles(path=…, mapping={"external_id": "Record ID", "email": "Email", "consent.email": "opt_in"})`; the
words of a mapping are in `mapping.py`. A row that cannot be used costs only itself and is told about.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from django.contrib.auth.models import AbstractBaseUser

from campaigns.importing.events import EventRows
from campaigns.importing.mapping import FieldMap, parse, parse_pairs, propose_mapping
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
    "Options",
    "headers_of",
    "import_events",
    "import_products",
    "import_profiles",
    "parse_pairs",
    "propose_mapping",
]

Maker = Callable[[FieldMap, Options, Tally], Handler[Any]]


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
    path = Path(path)

    def make(fields: FieldMap, options: Options, seen: Tally) -> Handler[Any]:
        return ProfileRows(fields=fields, options=options, file_stem=stem_of(path), seen=seen)

    return _import(
        ImportKind.PROFILES, make, path, mapping, dry_run, by, progress, options or Options(), on_problem
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

    def make(fields: FieldMap, options: Options, seen: Tally) -> Handler[Any]:
        return EventRows(fields=fields, options=options, seen=seen)

    return _import(
        ImportKind.EVENTS, make, Path(path), mapping, dry_run, by, progress, options or Options(), on_problem
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

    def make(fields: FieldMap, options: Options, seen: Tally) -> Handler[Any]:
        return ProductRows(fields=fields, seen=seen)

    return _import(
        ImportKind.PRODUCTS,
        make,
        Path(path),
        mapping,
        dry_run,
        by,
        progress,
        options or Options(),
        on_problem,
    )


def headers_of(path: Path | str, *, each: str = "") -> list[str]:
    """The names of a file's columns, or the paths of its first JSON record."""
    with Source(Path(path), each=each) as source:
        if not source.is_json:
            return source.headers
        first = next(source.rows(), None)
        return list(first.cells) if isinstance(first, Row) else []


def _import(
    kind: ImportKind,
    make: Maker,
    path: Path,
    mapping: Mapping[str, str],
    dry_run: bool,
    by: AbstractBaseUser | None,
    progress: Progress | None,
    options: Options,
    on_problem: OnProblem | None,
) -> Import:
    options = replace(options, source=options.source or f"import {path.name}"[:100])
    with Source(path, each=options.each) as source, tally() as seen:
        fields = parse(mapping, kind=kind, headers=None if source.is_json else source.headers)
        return run(
            make(fields, options, seen),
            source=source,
            fields=fields,
            mapping=dict(mapping),
            options=options,
            dry_run=dry_run,
            by=by,
            progress=progress,
            on_problem=on_problem,
        )
