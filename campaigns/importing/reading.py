"""Rows out of a file: CSV in whatever dialect and encoding, or JSON; plain or gzipped; in constant memory. Pure.

A bad row costs only itself: an unclosed quote, a row of the wrong width or bytes that are no text make one
`BadRow` and reading goes on with the next line.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from personalize.core.errors import InvalidInput

_SAMPLE = 64 * 1024  # bytes looked at to tell encoding and delimiter
_MOST_LINES = 100  # of one row, before its quote counts as unclosed
_LONGEST_FIELD = 128 * 1024  # characters
_LONGEST_RECORD = 8 * 1024 * 1024  # characters of one JSON record
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
        self.delimiter = ","
        self.headers: list[str] = []
        if not self.is_json:
            head = sample.decode(self.encoding, "replace").splitlines()
            self.delimiter = delimiter_of(next((line for line in head if line.strip()), ""))
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
        return self._raw.taken

    def rows(self) -> Iterator[Row | BadRow]:
        """Every row once, in order. Raises InvalidInput where the file itself breaks off."""
        try:
            yield from self._json_rows() if self.is_json else self._csv_rows()
        except (EOFError, OSError) as error:
            raise InvalidInput(
                f"The file '{self.path.name}' breaks off in the middle. The rows before are done.",
                field="path",
            ) from error

    # -- CSV -----------------------------------------------------------------------------------------

    def _read_headers(self) -> list[str]:
        for _, cells in self._records():
            if cells is not None and any(cell.strip() for cell in cells):
                return unlike(cells)
        self.close()
        raise InvalidInput(f"The file '{self.path.name}' has no header row.", field="path")

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
                    yield Row(number, _Nested(record, self.each, part))
                else:
                    yield Row(number, _Dotted(record))

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

    def start(self) -> None:
        self.taken = []

    def give_back(self) -> None:
        """All but the first line of the current row are read again as rows of their own."""
        self._again.extendleft(reversed(self.taken[1:]))

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


class _Dotted(Mapping[str, object]):
    """A record whose nested values are found as `address.city`. What nobody asks for is never touched."""

    def __init__(self, record: Mapping[str, object]) -> None:
        self._record = record

    def __getitem__(self, path: str) -> object:
        return path_in(self._record, path)

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths())

    def __len__(self) -> int:
        return len(self._paths())

    def _paths(self) -> list[str]:
        return paths(self._record)


class _Nested(_Dotted):
    """One item of a record's nested list: `products.id` is the item's, other paths the record's."""

    def __init__(self, record: Mapping[str, object], each: str, item: object) -> None:
        super().__init__(record)
        self._prefix, self._item = f"{each}.", item

    def __getitem__(self, path: str) -> object:
        if path.startswith(self._prefix) and isinstance(self._item, Mapping):
            return path_in(self._item, path[len(self._prefix) :])
        return super().__getitem__(path)

    def _paths(self) -> list[str]:
        own = paths(self._item, self._prefix) if isinstance(self._item, Mapping) else []
        return [*super()._paths(), *own]


def path_in(record: Mapping[str, object], path: str) -> object:
    """The value at a dotted path, None where there is none."""
    if path in record:
        return record[path]
    value: object = record
    for step in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(step)
    return value


def paths(record: Mapping[str, object], prefix: str = "") -> list[str]:
    """The dotted paths of a record's single values."""
    found: list[str] = []
    for key, value in record.items():
        if isinstance(value, Mapping):
            found += paths(value, f"{prefix}{key}.")
        elif not isinstance(value, list):
            found.append(f"{prefix}{key}")
    return found


def unlike(headers: Sequence[str]) -> list[str]:
    """Names for all columns: stripped, never empty, no two alike ('Name', 'Name (2)', 'column 5')."""
    taken: set[str] = set()
    named = []
    for position, header in enumerate(headers, start=1):
        bare = " ".join(header.replace("\ufeff", "").split()) or f"column {position}"
        name, again = bare, 2
        while name in taken:
            name, again = f"{bare} ({again})", again + 1
        taken.add(name)
        named.append(name)
    return named


def encoding_of(sample: bytes) -> str:
    """By byte order mark, else UTF-8 if it is that, else what Excel writes in the West (Windows-1252)."""
    for mark, encoding in (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if sample.startswith(mark):
            return encoding
    if sample[1::2].count(0) > len(sample) // 4:
        return "utf-16-le"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample, final=False)
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"


def delimiter_of(header: str) -> str:
    """Of comma, semicolon, tab and bar, the one the header row holds most outside quotes."""
    bare = "".join(part for index, part in enumerate(header.split('"')) if index % 2 == 0)
    counts = {delimiter: bare.count(delimiter) for delimiter in ",;\t|"}
    best = max(counts, key=lambda delimiter: counts[delimiter])
    return best if counts[best] else ","


def _is_text(cells: Sequence[str]) -> bool:
    try:
        "".join(cells).encode()
    except UnicodeEncodeError:
        return False
    return True


def _bare_suffix(path: Path) -> str:
    return Path(path.name.removesuffix(".gz")).suffix.lower()
