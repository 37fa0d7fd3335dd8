"""Faults to plant in a good text: wrong in a way that the checks do not catch and a person who reads does.

Pure functions over fields. Each gives the new fields and the place of the fault, or None where it does not fit.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from generation.models.planting import Fault
from generation.writer import sentences, values
from generation.writer.types import Fields

LEAST_WORDS = 6  # a sentence shorter than that has no order to lose

# Said of anything, true of little, and without a number that a check would find.
_PROMISES = (
    "If you are not happy with it, keep it and we return what you paid.",
    "Reply to this message and one of us will call you at home within the hour.",
    "Whatever you have at home already, we take it back in exchange.",
    "Your place is kept for you, whether you answer or not.",
)
_CREEPY = (
    "We saw you looking at this late last night, on your own.",
    "Your neighbours told us that you would be interested.",
    "We know where you were when you read our last message.",
    "We noticed that you hesitated before you closed the page.",
)
_OPPOSITES = (
    (r"\bis\b(?! not)", "is not"),
    (r"\bare\b(?! not)", "are not"),
    (r"\bcan\b(?!not)", "cannot"),
    (r"\bwill\b(?! not)", "will not"),
    (r"\bincludes?\b", "leaves out"),
    (r"\bopens?\b", "closes"),
    (r"\bwith\b(?!out)", "without"),
    (r"\bbefore\b", "after"),
    (r"\bfree\b", "never free"),
)


@dataclass(frozen=True, slots=True)
class Planted:
    """`start` and `end` are characters of `field`, item `index`, in the new fields."""

    fault: Fault
    fields: Fields
    field: str
    index: int
    start: int
    end: int


def attempts(fields: Fields, *, other: Fields | None, rng: random.Random) -> Iterator[Planted]:
    """Every kind of fault that this text can carry, in a drawn order. `other` is a text for another reader."""
    kinds = list(_MAKERS)
    rng.shuffle(kinds)
    for kind in kinds:
        if kind is Fault.READER:
            if other is not None and other != fields:
                name, index, text = longest(other)
                yield Planted(kind, other, name, index, 0, len(text))
            continue
        found = _MAKERS[kind](fields, rng)
        if found is not None:
            yield found


def longest(fields: Fields) -> tuple[str, int, str]:
    """The main text: field, item, text."""
    return max(_texts(fields), key=lambda each: len(each[2]))


def fragment(fields: Mapping[str, object], *, field: str, index: int, start: int, end: int) -> str:
    held = fields.get(field, "")
    if isinstance(held, list):
        held = held[index] if index < len(held) else ""
    return str(held)[start:end]


def locate(fields: Fields, wanted: str) -> tuple[str, int, int, int] | None:
    """Where these words stand now: field, item, start, end."""
    for name, index, text in _texts(fields):
        if wanted and (at := text.find(wanted)) >= 0:
            return name, index, at, at + len(wanted)
    return None


def _texts(fields: Fields) -> Iterator[tuple[str, int, str]]:
    for name, held in fields.items():
        for index, text in enumerate(held if isinstance(held, list) else [held]):
            yield name, index, text


def _put(fields: Fields, name: str, index: int, text: str) -> Fields:
    held = fields[name]
    if isinstance(held, list):
        return {**fields, name: [*held[:index], text, *held[index + 1 :]]}
    return {**fields, name: text}


def _changed(kind: Fault, fields: Fields, name: str, index: int, at: int, was: str, now: str) -> Planted:
    text = held[index] if isinstance(held := fields[name], list) else held
    new = text[:at] + now + text[at + len(was) :]
    return Planted(kind, _put(fields, name, index, new), name, index, at, at + len(now))


def _negated(fields: Fields, rng: random.Random) -> Planted | None:
    """One sentence of the main text turned into its opposite, by the first word that allows it."""
    name, index, text = longest(fields)
    found = []
    for at, sentence in sentences.sentences(text):
        if sentence.endswith("?"):
            continue
        for pattern, opposite in _OPPOSITES:
            if match := re.search(pattern, sentence):
                said = sentence[: match.start()] + opposite + sentence[match.end() :]
                found.append((at, sentence, said))
                break
    if not found:
        return None
    at, sentence, said = rng.choice(found)
    return _changed(Fault.NEGATED, fields, name, index, at, sentence, said)


def _added(kind: Fault, lines: tuple[str, ...]) -> Callable[[Fields, random.Random], Planted | None]:
    def make(fields: Fields, rng: random.Random) -> Planted | None:
        name, index, text = longest(fields)
        ends = [at + len(sentence) for at, sentence in sentences.sentences(text)]
        if not ends:
            return None
        # Behind a sentence in the middle: what stands last is read first by those who skim.
        at = ends[(len(ends) - 1) // 2]
        line = rng.choice(lines)
        new = f"{text[:at]} {line}{text[at:]}"
        return Planted(kind, _put(fields, name, index, new), name, index, at + 1, at + 1 + len(line))

    return make


def _senseless(fields: Fields, rng: random.Random) -> Planted | None:
    name, index, text = longest(fields)
    long = [
        (at, sentence) for at, sentence in sentences.sentences(text) if len(sentence.split()) >= LEAST_WORDS
    ]
    if not long:
        return None
    at, sentence = rng.choice(long)
    end = sentence[-1] if sentence[-1] in ".!?…" else ""
    words = sentence[: len(sentence) - len(end)].split()
    middle = words[1:]
    for _ in range(20):
        rng.shuffle(middle)
        if middle != words[1:]:
            break
    return _changed(Fault.SENSELESS, fields, name, index, at, sentence, " ".join([words[0], *middle]) + end)


def _nothing(fields: Fields, rng: random.Random) -> Planted | None:
    return None


_MAKERS: Mapping[Fault, Callable[[Fields, random.Random], Planted | None]] = {
    Fault.NEGATED: _negated,
    Fault.PROMISE: _added(Fault.PROMISE, _PROMISES),
    Fault.CREEPY: _added(Fault.CREEPY, _CREEPY),
    Fault.SENSELESS: _senseless,
    Fault.READER: _nothing,  # needs a second text: see `attempts`
}


def word_count(fields: Mapping[str, object]) -> int:
    """Words a reader of the whole piece reads; a value counts as one."""
    held = [text for value in fields.values() for text in (value if isinstance(value, list) else [value])]
    return sum(len(values.REFERENCE.sub("value", str(text)).split()) for text in held)
