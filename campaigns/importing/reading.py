"""Rows out of a file: CSV in whatever dialect and encoding, JSON or Parquet; in constant memory. Pure.

CSV and JSON may be gzipped. A bad row costs only itself: an unclosed quote, a row of the wrong width or bytes that
are no text make one `BadRow` and reading goes on with the next line.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from campaigns.importing import parquet
from campaigns.importing.dialect import HEAD_ROWS, SEP, delimiter_of, encoding_of, unlike
from campaigns.importing.nested import Dotted, Nested, path_in
from personalize.core.errors import InvalidInput

_SAMPLE = 64 * 1024  # bytes looked at to tell encoding and delimiter
_MOST_LINES = 1_000  # of one row, before its quote counts as unclosed
_LONGEST_FIELD = 128 * 1024  # characters
_LONGEST_RECORD = 8 * 1024 * 1024  # characters of one JSON record
# What people upload by mistake, by its first bytes, and what to do about it.
_OTHER_FORMATS = (
    (b"PK\x03\x04", "is a workbook of Excel or a zip: save the sheet as 'CSV UTF-8', or unpack it"),
    (b"\xd0\xcf\x11\xe0", "is an old workbook of Excel: save the sheet as 'CSV UTF-8'"),
    (b"%PDF", "is a PDF: export a CSV file instead"),
    (b"\x89PNG", "is a picture: export a CSV file instead"),
    (b"\xff\xd8\xff", "is a picture: export a CSV file instead"),
    (b"SQLite format 3", "is a database: export a CSV file instead"),
)
_JSON_SUFFIXES = {".json", ".jsonl", ".ndjson"}

Cells = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Row:
    """`number` 1 is the first row after the header; blank rows count, so that people find it."""

    number: int
    cells: Cells


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be taken apart."""

    number: int
    message: str


class _Counted(io.RawIOBase):
    """The file as it lies on the disk, with a count of the bytes taken from it."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb", buffering=0)
        self.taken = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self._file.readinto(buffer) or 0
        self.taken += count
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


class Source:
    """An open file of rows. `bytes_read` of `bytes_total` are of the file as it lies on the disk."""

    def __init__(self, path: Path, *, each: str = "") -> None:
        self.path = path
        self.each = each
        self.is_json = _bare_suffix(path) in _JSON_SUFFIXES
        try:
            self.bytes_total = path.stat().st_size
            self._raw = _Counted(path)
        except OSError as error:
            reason = error.strerror or "it cannot be opened"
            raise InvalidInput(f"The file '{path}' cannot be read: {reason}.", field="path") from error
        if not self.bytes_total:
            self.close()
            raise InvalidInput(f"The file '{path.name}' is empty.", field="path")
        buffered = io.BufferedReader(self._raw, _SAMPLE)
        start = buffered.peek(16)[:16]
        self.is_parquet = start.startswith(parquet.MAGIC)
        for mark, advice in _OTHER_FORMATS:
            if start.startswith(mark):
                self.close()
                raise InvalidInput(f"The file '{path.name}' {advice}.", field="path")
        self.encoding, self.delimiter = "utf-8", ","
        self.headers: list[str] = []
        if self.is_parquet:
            self._table = parquet.Table(path)
            self.headers = unlike(self._table.headers)
            return
        unpacked: BinaryIO = buffered
        try:
            if buffered.peek(2)[:2] == b"\x1f\x8b":
                unpacked = io.BufferedReader(gzip.GzipFile(fileobj=buffered), _SAMPLE)
            sample = unpacked.peek(_SAMPLE)  # type: ignore[attr-defined]
        except (OSError, EOFError) as error:
            self.close()
            raise InvalidInput(f"The file '{path.name}' is a damaged gzip file.", field="path") from error
        self.encoding = encoding_of(sample)
        # Bytes that are no text survive as surrogates and are refused row by row.
        self._text = io.TextIOWrapper(unpacked, self.encoding, errors="surrogateescape", newline="")
        if not self.is_json:
            head = [line for line in sample.decode(self.encoding, "replace").splitlines() if line.strip()]
            self._has_mark = bool(head) and SEP.fullmatch(head[0].lstrip("\ufeff")) is not None
            self.delimiter = delimiter_of(head)
            self._lines = _Lines(self._text)
            self.headers = self._read_headers()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._raw.close()

    @property
    def bytes_read(self) -> int:
        """For Parquet, whose parts are read in any order, the share of the rows."""
        return int(self.bytes_total * self._table.share) if self.is_parquet else self._raw.taken

    def rows(self) -> Iterator[Row | BadRow]:
        """Every row once, in order. Raises InvalidInput where the file itself breaks off."""
        try:
            if self.is_parquet:
                for number, cells in enumerate(self._table.rows(), start=1):
                    yield Row(number, dict(zip(self.headers, cells, strict=True)))
            else:
                yield from self._json_rows() if self.is_json else self._csv_rows()
        except (EOFError, OSError) as error:
            raise InvalidInput(
                f"The file '{self.path.name}' breaks off in the middle. The rows before are done.",
                field="path",
            ) from error

    # -- CSV -----------------------------------------------------------------------------------------

    def _read_headers(self) -> list[str]:
        """The first row that is one: a `sep=` line and the title of a report above the header are passed over."""
        lines: list[str] = []  # of what was read
        seen: list[
            tuple[int, list[str]]
        ] = []  # (lines taken before and with it, cells) of rows that hold something
        with suppress(EOFError, OSError):  # where the file breaks off: told when its rows are read
            for taken, cells in self._records():
                lines += self._lines.taken[:taken]
                if cells is not None and any(cell.strip() for cell in cells):
                    if (
                        self._has_mark
                        and not seen
                        and SEP.fullmatch(lines[-1].rstrip("\r\n").lstrip("\ufeff"))
                    ):
                        self._has_mark = False
                        continue
                    seen.append((len(lines), cells))
                if len(seen) == HEAD_ROWS:
                    break
        if not seen:
            self.close()
            raise InvalidInput(f"The file '{self.path.name}' has no header row.", field="path")
        widest = max(_width(cells) for _, cells in seen)
        # A title stands alone in its row, where the header has three columns or more.
        at = 0
        if widest >= 3:
            at = next(index for index, (_, cells) in enumerate(seen) if _width(cells) > 1)
        end, header = seen[at]
        self._lines.again(lines[end:])
        return unlike(header)

    def _records(self) -> Iterator[tuple[int, list[str] | None]]:
        """(lines taken, cells), or cells None when a quote was never closed: then only its first line is lost."""
        limit = csv.field_size_limit(_LONGEST_FIELD)
        reader = csv.reader(self._lines, delimiter=self.delimiter, skipinitialspace=True)
        try:
            while True:
                self._lines.start()
                try:
                    cells = next(reader)
                except StopIteration:
                    return
                except (csv.Error, _Unclosed):
                    self._lines.give_back()
                    yield 1, None
                    continue
                taken = self._lines.taken
                if len(taken) > 1 and (
                    sum(line.count('"') for line in taken) % 2  # the file ended inside quotes
                    or (self.headers and len(cells) != len(self.headers))  # swallowed the next rows' starts
                ):
                    self._lines.give_back()
                    yield 1, None
                    continue
                yield len(taken), cells
        finally:
            csv.field_size_limit(limit)

    def _csv_rows(self) -> Iterator[Row | BadRow]:
        width = len(self.headers)
        for number, (_, cells) in enumerate(self._records(), start=1):
            if cells is None:
                yield BadRow(
                    number, "has a quote that is never closed, or a cell that is far too long: close it"
                )
            elif not any(cell.strip() for cell in cells):
                continue
            elif len(cells) > width and any(cell.strip() for cell in cells[width:]):
                yield BadRow(
                    number,
                    f"has {len(cells)} cells where the header has {width}: quote cells that hold the delimiter",
                )
            elif not _is_text(cells):
                yield BadRow(number, f"holds bytes that are not {self.encoding}: save the file as UTF-8")
            else:
                cells += [""] * (width - len(cells))
                yield Row(number, dict(zip(self.headers, cells, strict=False)))

    # -- JSON ----------------------------------------------------------------------------------------

    def _json_rows(self) -> Iterator[Row | BadRow]:
        number = 0
        for record in self._json_records():
            parts: list[object] = [record]
            if self.each and isinstance(record, dict):
                nested = path_in(record, self.each)
                parts = nested if isinstance(nested, list) else []
            for part in parts:
                number += 1
                if not isinstance(record, dict) or (self.each and not isinstance(part, dict)):
                    yield BadRow(number, "is not a JSON object")
                elif self.each:
                    yield Row(number, Nested(record, self.each, part))
                else:
                    yield Row(number, Dotted(record))

    def _json_records(self) -> Iterator[object]:
        """The records of an array, or of lines, without the whole file in memory."""
        decoder = json.JSONDecoder()
        text, start, in_array, at_end = "", 0, False, False
        while True:
            while start < len(text) and (
                text[start].isspace() or text[start] == "\ufeff" or (in_array and text[start] == ",")
            ):
                start += 1
            if start < len(text) and not in_array and text[start] == "[":
                in_array, start = True, start + 1
                continue
            if in_array and text[start : start + 1] == "]":
                return
            if start < len(text):
                try:
                    record, end = decoder.raw_decode(text, start)
                except ValueError:
                    end = 0
                # A value that ends where the text does may go on in what was not read yet.
                if end and (end < len(text) or at_end):
                    yield record
                    start = end
                    continue
            if at_end and start == len(text) and not in_array:
                return
            if at_end or len(text) - start > _LONGEST_RECORD:
                raise InvalidInput(
                    f"The file '{self.path.name}' is not JSON, or breaks off: it must be an array of objects, or "
                    "hold one on each line.",
                    field="path",
                )
            more = self._text.read(_SAMPLE)
            at_end = not more
            text, start = text[start:] + more, 0


class _Unclosed(Exception):
    """One row took more lines than any row should."""


class _Lines:
    """The lines of a file, with those of the current row kept so that they can be read again."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self._again: deque[str] = deque()
        self.taken: list[str] = []

    def again(self, lines: Sequence[str]) -> None:
        """These come next, before what was not read yet."""
        self._again.extendleft(reversed(lines))

    def start(self) -> None:
        self.taken = []

    def give_back(self) -> None:
        """All but the first line of the current row are read again as rows of their own."""
        self.again(self.taken[1:])

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        if len(self.taken) >= _MOST_LINES:
            raise _Unclosed
        line = self._again.popleft() if self._again else self._text.readline(_LONGEST_FIELD * 2)
        if not line:
            raise StopIteration
        self.taken.append(line)
        return line


def _width(cells: Sequence[str]) -> int:
    return sum(1 for cell in cells if cell.strip())


def _is_text(cells: Sequence[str]) -> bool:
    try:
        "".join(cells).encode()
    except UnicodeEncodeError:
        return False
    return True


def _bare_suffix(path: Path) -> str:
    return Path(path.name.removesuffix(".gz")).suffix.lower()
