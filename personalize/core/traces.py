"""Finds and blacks out what a person is known by in files: whole words only, in the encodings that files come in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

LEAST = 5  # characters; an id such as 17 stands in every file and means nothing there
_ENCODINGS = ("utf-8", "utf-16-le", "cp1252")


def pattern(texts: Iterable[str]) -> re.Pattern[bytes] | None:
    """Matches any of the texts in bytes, or None when none is long enough to mean somebody."""
    ids: set[bytes] = set()
    addresses: set[bytes] = set()
    for text in texts:
        if len(text) < LEAST:
            continue
        for encoding in _ENCODINGS:
            try:
                (addresses if "@" in text else ids).add(text.encode(encoding))
            except UnicodeEncodeError:
                continue
    # What goes on before or behind is another: c-100 is not c-1001, a@b.example is not a@b.example.org.
    found = []
    if ids:
        found.append(rb"(?<![\w@+-])(?:" + _any_of(ids) + rb")(?![\w@])")
    if addresses:
        found.append(rb"(?<![\w@+.-])(?:" + _any_of(addresses) + rb")(?![\w@]|[.-]\w)")
    return re.compile(b"|".join(found), re.IGNORECASE) if found else None


def _any_of(forms: Iterable[bytes]) -> bytes:
    return b"|".join(map(re.escape, sorted(forms, key=lambda form: (-len(form), form))))


def postgres_pattern(texts: Iterable[str]) -> str:
    """The same rule as a regular expression of Postgres, for `~*`; of texts of any length."""
    parts = []
    for text in filter(None, texts):
        plain = "".join(c if c.isalnum() or not c.isascii() else f"\\{c}" for c in text)
        before, behind = ("@+.-", "|[.-][[:alnum:]]") if "@" in text else ("@+-", "")
        parts.append(f"(?<![[:alnum:]_{before}]){plain}(?![[:alnum:]_@]{behind})")
    return "|".join(parts)


def files_below(folder: Path) -> Iterator[Path]:
    """Regular files, not through links; a file that goes meanwhile is no error."""
    if not folder.is_dir():
        return
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield path


def found_in(path: Path, wanted: re.Pattern[bytes]) -> int:
    """How often; 0 for a file that is gone."""
    try:
        return len(wanted.findall(path.read_bytes()))
    except OSError:
        return 0


def black_out(path: Path, wanted: re.Pattern[bytes]) -> int:
    """Overwrite each match with x, in place and of the same length: a process may be writing to the end of the file."""
    try:
        with path.open("r+b") as file:
            spots = [(match.start(), match.end()) for match in wanted.finditer(file.read())]
            for start, end in spots:
                file.seek(start)
                file.write(b"x" * (end - start))
    except OSError:
        return 0
    return len(spots)
