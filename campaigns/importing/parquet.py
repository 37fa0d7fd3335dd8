"""Rows out of a Parquet file. Needs the extra `parquet` (pyarrow), which is read in only here and only then."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path

from personalize.core.errors import InvalidInput

MAGIC = b"PAR1"
_BATCH = 2_000  # rows in memory at a time


class Table:
    """An open Parquet file. `share` of its rows, from 0 to 1, were given out."""

    def __init__(self, path: Path) -> None:
        try:
            from pyarrow import ArrowException, parquet
        except ImportError as error:
            raise InvalidInput(
                f"'{path.name}' is a Parquet file, which this installation cannot read: install the extra "
                "'parquet', or export CSV or JSON lines.",
                field="path",
            ) from error
        try:
            self._file = parquet.ParquetFile(path)
        except (ArrowException, OSError, ValueError) as error:
            raise InvalidInput(f"The file '{path.name}' is a damaged Parquet file.", field="path") from error
        self.headers = [str(name) for name in self._file.schema_arrow.names]
        self._count = self._file.metadata.num_rows
        self._done = 0

    @property
    def share(self) -> float:
        return self._done / self._count if self._count else 1.0

    def rows(self) -> Iterator[list[object]]:
        for batch in self._file.iter_batches(batch_size=_BATCH):
            columns = [column.to_pylist() for column in batch.columns]
            self._done += batch.num_rows
            for cells in zip(*columns, strict=True):
                yield [_plain(value) for value in cells]


def _plain(value: object) -> object:
    """As JSON would hold it: dates as text, bytes as the text they are."""
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value
