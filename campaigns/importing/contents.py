"""What stands in a column, told from a sample of its cells. Pure.

Cheap looks, not proofs: they propose a mapping and catch a wrong one; each row is checked when it comes in.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from campaigns import cleaning
from campaigns.cleaning import Unusable
from campaigns.importing import standing

SAMPLE = 300  # rows
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]{2,}")
_PHONE = re.compile(r"(?:tel:|p:)?\s*\+?[\d\s().\-/]{7,24}(?:(?:x|ext\.?)\s*\d+)?")
_DATE = re.compile(r"(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4})(?:[ T,].*)?")
_LOCALE = re.compile(r"[a-z]{2,3}(?:[-_][A-Za-z0-9]{2,4}){0,2}(?:\.[\w-]+)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Column:
    """Shares from 0 to 1: `filled` and `distinct` of the sample, the others of the filled cells."""

    count: int
    filled: float
    distinct: float
    email: float
    phone: float
    plus: float  # telephone numbers that name their country
    date: float
    standing: float  # words that say yes, no or a standing on a list
    unmistakable: bool  # one of them only a mailing list uses
    words: float  # letters without digits and signs: may be a name
    country: float
    locale: float

    @property
    def is_empty(self) -> bool:
        return self.filled == 0


def look(rows: Sequence[Mapping[str, object]], headers: Sequence[str]) -> dict[str, Column]:
    return {header: _look([_text(row.get(header)) for row in rows]) for header in headers}


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value).strip() if isinstance(value, (str, int, float)) else ""


def _look(cells: Sequence[str]) -> Column:
    filled = [cell for cell in cells if cell]

    def share(count: int) -> float:
        return count / len(filled) if filled else 0.0

    phones = [cell for cell in filled if _is_phone(cell)]
    return Column(
        count=len(cells),
        filled=len(filled) / len(cells) if cells else 0.0,
        distinct=share(len(set(filled))),
        email=share(sum(1 for cell in filled if _EMAIL.fullmatch(cell))),
        phone=share(len(phones)),
        plus=share(sum(1 for cell in phones if "+" in cell[:5])),
        date=share(sum(1 for cell in filled if _DATE.fullmatch(cell))),
        standing=share(sum(1 for cell in filled if _is_standing(cell))),
        unmistakable=any(standing.bare(cell) in standing.UNMISTAKABLE for cell in filled),
        words=share(sum(1 for cell in filled if _is_words(cell))),
        country=share(sum(1 for cell in filled if cleaning.region(country=cell))),
        locale=share(sum(1 for cell in filled if _LOCALE.fullmatch(cell))),
    )


def _is_phone(cell: str) -> bool:
    if not _PHONE.fullmatch(cell) or _DATE.fullmatch(cell):
        return False
    return 7 <= sum(1 for character in cell if character.isdigit()) <= 16


def _is_standing(cell: str) -> bool:
    try:
        standing.said(cell)
    except Unusable:
        return False
    return True


def _is_words(cell: str) -> bool:
    return len(cell) <= 80 and not any(character.isdigit() or character in "@/:_" for character in cell) and (
        any(unicodedata.category(character)[0] == "L" for character in cell)
    )  # fmt: skip
