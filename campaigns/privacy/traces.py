"""Looks for people in the whole database and in all files of this installation: the proof after an erasure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from django.conf import settings
from django.db import connection, transaction

from personalize.core import traces

# What a text can stand in. Numbers, times and vectors cannot hold an address.
_TYPES = ("text", "character varying", "character", "json", "jsonb", "ARRAY", "bytea", "xml", "inet", "name")
Progress = Callable[[str], None]


def in_database(texts: Sequence[str], *, progress: Progress | None = None) -> Iterator[tuple[str, int]]:
    """(table.column, rows) for each column of our schema that holds one of the texts, anywhere in a value.

    Reads every row of every table: a minute for some millions of rows.
    """
    wanted = [text for text in texts if text]
    if not wanted:
        return
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.table_name, c.column_name, c.data_type FROM information_schema.columns c "
            "JOIN information_schema.tables t USING (table_schema, table_name) "
            "WHERE c.table_schema = current_schema() AND t.table_type = 'BASE TABLE' AND c.data_type = ANY(%s) "
            "ORDER BY 1, 2",
            [list(_TYPES)],
        )
        # One automaton for all texts; as an array, LIKE ANY would go through them one by one.
        pattern = traces.postgres_pattern(wanted)
        for table, column, kind in cursor.fetchall():
            if progress:
                progress(f"{table}.{column}")
            name = connection.ops.quote_name(column)
            shown = f"encode({name}, 'escape')" if kind == "bytea" else f"{name}::text"
            cursor.execute(
                f"SELECT count(*) FROM {connection.ops.quote_name(table)} WHERE {shown} ~* %s", [pattern]
            )
            if rows := int(cursor.fetchone()[0]):
                yield f"{table}.{column}", rows


def in_files(texts: Sequence[str], *, folders: Sequence[Path] = ()) -> Iterator[tuple[str, int]]:
    """(file, places) in what we write: OUTPUT_DIR, and of STATE_DIR all but the servers' own data and the models."""
    wanted = traces.pattern(texts)
    if wanted is None:
        return
    state = Path(settings.STATE_DIR)
    for folder in (Path(settings.OUTPUT_DIR), state, *folders):
        for path in traces.files_below(folder):
            if folder == state and path.relative_to(state).parts[0] in ("servers", "models", "static"):
                continue
            if hits := traces.found_in(path, wanted):
                yield str(path), hits
