"""How a text file of rows is written: its encoding, its delimiter and the names of its columns. Pure."""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Sequence

HEAD_ROWS = 12  # looked at to find the header below the title of a report


def unlike(headers: Sequence[str]) -> list[str]:
    """Names for all columns: stripped, never empty, no two alike ('Name', 'Name (2)', 'column 5')."""
    taken: set[str] = set()
    named = []
    for position, header in enumerate(headers, start=1):
        # Marks of writing direction and other invisible signs would make two names of one.
        seen = "".join(c for c in header if unicodedata.category(c) not in ("Cf", "Cc") or c.isspace())
        bare = " ".join(unicodedata.normalize("NFC", seen).split()) or f"column {position}"
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
    # Without a mark: delimiters and line ends are ASCII, whose other byte is zero.
    if sample[1::2].count(0) > len(sample) // 20:
        return "utf-16-le"
    if sample[::2].count(0) > len(sample) // 20:
        return "utf-16-be"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample, final=False)
    except UnicodeDecodeError as error:
        # One bad byte in much good UTF-8 is a bad byte, not another encoding.
        good = sample.decode("utf-8", "ignore")
        many = sum(1 for character in good if ord(character) > 127)
        bad = sample.decode("utf-8", "replace").count("\ufffd")
        return "utf-8" if error.start > 0 and many > 20 * bad else "cp1252"
    return "utf-8"


DELIMITERS = ",;\t|"
SEP = re.compile(r"\"?sep=(.)\"?[,;\t|]*", re.IGNORECASE)


def delimiter_of(head: Sequence[str]) -> str:
    """Said by a `sep=` line; else of comma, semicolon, tab and bar the one the header row holds most outside quotes,
    where the rows below agree with it."""
    head = [line.lstrip("\ufeff") for line in head[: HEAD_ROWS + 1]]
    if not head:
        return ","
    if said := SEP.fullmatch(head[0]):
        return said[1] if said[1] in DELIMITERS else ","
    counts = {each: [_outside_quotes(line).count(each) for line in head] for each in DELIMITERS}
    # As many on most of the rows as on the first beats many on the first: "Name;Email, private;Phone, private".
    best = max(
        DELIMITERS,
        key=lambda each: (
            max(counts[each]) > 0
            and sum(count >= max(1, counts[each][0]) for count in counts[each]) * 2 > len(head),
            counts[each][0],
            sum(counts[each]),
        ),
    )
    return best if any(counts[best]) else ","


def _outside_quotes(line: str) -> str:
    return "".join(part for index, part in enumerate(line.split('"')) if index % 2 == 0)
