"""What a person changed in a text, word by word. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from generation.writer import channels
from generation.writer.types import FieldValue

_TOKEN = re.compile(r"\{\{\w+\}\}|\w+(?:['’]\w+)*|\s+|[^\w\s]")
MOST_WORDS = 3_000  # of one text; beyond that the whole text counts as changed


@dataclass(frozen=True, slots=True)
class Stretch:
    """`kind` is same, gone or new."""

    kind: str
    text: str


def words(old: str, new: str) -> tuple[Stretch, ...]:
    """The stretches that make `old` and `new`: those that are same and gone give `old`, same and new give `new`."""
    before, after = _TOKEN.findall(old), _TOKEN.findall(new)
    if len(before) > MOST_WORDS or len(after) > MOST_WORDS:
        whole = (Stretch("gone", old), Stretch("new", new))
        return whole if old != new else (Stretch("same", old),)
    found: list[Stretch] = []
    # Its rule of thumb about frequent words would call every comma of a long text changed.
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    for kind, i1, i2, j1, j2 in matcher.get_opcodes():
        if kind == "equal":
            found.append(Stretch("same", "".join(before[i1:i2])))
            continue
        if i2 > i1:
            found.append(Stretch("gone", "".join(before[i1:i2])))
        if j2 > j1:
            found.append(Stretch("new", "".join(after[j1:j2])))
    return tuple(found)


def changed_share(old: Mapping[str, FieldValue], new: Mapping[str, FieldValue]) -> float:
    """How much of a text was changed, from 0 to 1: words gone or new, of all words of both."""
    changed = total = 0
    for name in {*old, *new}:
        for stretch in words(_joined(old.get(name, "")), _joined(new.get(name, ""))):
            count = len(re.findall(r"\w+", stretch.text))
            total += 2 * count if stretch.kind == "same" else count
            changed += 0 if stretch.kind == "same" else count
    return changed / total if total else 0.0


def fields(
    old: Mapping[str, FieldValue], new: Mapping[str, FieldValue]
) -> list[tuple[str, tuple[Stretch, ...]]]:
    """(field, stretches) of each field that changed; the items of a list are lines."""
    return [
        (name, words(_joined(old.get(name, "")), _joined(value)))
        for name, value in new.items()
        if _joined(old.get(name, "")) != _joined(value)
    ]


def _joined(value: FieldValue) -> str:
    return "\n".join(channels.items(value))
