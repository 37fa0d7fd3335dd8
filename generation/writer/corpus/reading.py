"""Reads both layers of the corpus: `plain/*.txt` (sentence by sentence against a plan, see plain/PLAIN.md) and
`pieces/*.jsonl` (whole pieces, see pieces/GUIDE.md).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from generation.writer.types import (
    BrandVoice,
    Brief,
    Channel,
    Fact,
    Fields,
    Product,
    Reader,
    Value,
    ValueKind,
)

HERE = Path(__file__).resolve().parent
_UNIT = re.compile(r"(S|P|G|1|2|H|D|T|MH|MD|LI|LH|X|PT|PB)(?: \[([^\]]*)\])? (.+)")
_FACT = re.compile(r"(f\d+) (.+)")
_PRODUCT = re.compile(r"(p\d+) ([^:]+)(?:: (.+))?")
AD_CHANNELS = {
    "google": Channel.GOOGLE_RSA,
    "meta": Channel.META_AD,
    "linkedin": Channel.LINKEDIN_AD,
    "sms": Channel.SMS,
    "push": Channel.PUSH,
}


class CorpusError(ValueError):
    """A line of the corpus cannot be read; the message names file and line."""


@dataclass(frozen=True, slots=True)
class CorpusUnit:
    """One hand-written line and the ids of the facts and traits it says."""

    label: str
    sources: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class CorpusPiece:
    """One hand-written piece. The plain layer has `units`; the layer of whole pieces has `fields` alone."""

    brief: Brief
    channel: Channel
    reader: Reader
    units: tuple[CorpusUnit, ...] = ()
    fields: Fields | None = None
    products: tuple[Product, ...] = ()
    steer: str = ""


def read_plain(paths: Iterable[Path] | None = None) -> list[CorpusPiece]:
    """The plain layer, in file order. All pieces of a brand hold the same Brief object."""
    chosen = sorted((HERE / "plain").glob("*.txt")) if paths is None else paths
    return [piece for path in chosen for piece in _plain_file(path)]


def read_pieces(paths: Iterable[Path] | None = None) -> list[CorpusPiece]:
    """The layer of whole pieces, in file order."""
    chosen = sorted((HERE / "pieces").glob("*.jsonl")) if paths is None else paths
    found = []
    for path in chosen:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if line.strip():
                try:
                    found += _json_brief(json.loads(line))
                except (KeyError, ValueError, TypeError) as error:
                    raise CorpusError(f"{path.name}:{number}: {type(error).__name__}: {error}") from error
    return found


def split_brands(
    pieces: Iterable[CorpusPiece], *, held_out: float = 0.06
) -> tuple[list[CorpusPiece], list[CorpusPiece]]:
    """Training and validation pieces, divided by the hash of the brand's name: a brand is never in both."""
    training: list[CorpusPiece] = []
    validation: list[CorpusPiece] = []
    for piece in pieces:
        digest = hashlib.sha256(piece.brief.brand.name.encode()).digest()
        (validation if digest[0] < 256 * held_out else training).append(piece)
    return training, validation


def guess_kind(text: str) -> ValueKind:
    """The kind of a value from its text, for corpora that do not name it."""
    if text.startswith(("http://", "https://", "www.")):
        return ValueKind.LINK
    if "%" in text:
        return ValueKind.PERCENT
    if re.match(r"[$€£¥]|.*[$€£¥]$", text):
        return ValueKind.PRICE
    if re.search(
        r"(?i)\b(january|february|march|april|may|june|july|august|september|october|november|december)\b",
        text,
    ):
        return ValueKind.DATE
    if re.fullmatch(r"[A-Z0-9]{4,}", text):
        return ValueKind.CODE
    if re.match(r"\d", text):
        return ValueKind.QUANTITY
    return ValueKind.OTHER


def _plain_file(path: Path) -> Iterator[CorpusPiece]:
    for block, first_line in _blocks(path):
        try:
            yield from _plain_brand(block)
        except (ValueError, KeyError, IndexError) as error:
            raise CorpusError(f"{path.name}: brand at line {first_line}: {error}") from error


def _blocks(path: Path) -> Iterator[tuple[list[str], int]]:
    block: list[str] = []
    start = 1
    for number, raw in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        line = raw.strip()
        if line.startswith("@brand "):
            if block:
                yield block, start
            block, start = [], number
        if line:
            block.append(line)
    if block:
        yield block, start


@dataclass(slots=True)
class _Open:
    """A piece while its lines are read."""

    channel: Channel
    reader: Reader
    units: list[CorpusUnit] = field(default_factory=list)
    products: list[Product] = field(default_factory=list)
    steer: str = ""


def _plain_brand(lines: list[str]) -> Iterator[CorpusPiece]:
    name, about, voice = (part.strip() for part in lines[0].removeprefix("@brand ").split("|"))
    values: list[Value] = []
    facts: list[Fact] = []
    pieces: list[_Open] = []
    goal = _some_goal(name)
    avoid: tuple[str, ...] = ()
    for line in lines[1:]:
        if line.startswith("@goal "):
            goal = line.removeprefix("@goal ").strip()
        elif line.startswith("@avoid "):
            avoid = tuple(word.strip() for word in line.removeprefix("@avoid ").split(";"))
        elif line.startswith("@values "):
            for pair in line.removeprefix("@values ").split(";"):
                key, _, text = pair.partition("=")
                values.append(Value(key.strip(), text.strip(), guess_kind(text.strip())))
        elif line.startswith("@reader "):
            lifecycle, *traits = (part.strip() for part in line.removeprefix("@reader ").split("|"))
            pieces.append(_Open(Channel.EMAIL, Reader(lifecycle, tuple(traits))))
        elif line.startswith("@ad "):
            kind, *traits = (part.strip() for part in line.removeprefix("@ad ").split("|"))
            pieces.append(_Open(AD_CHANNELS[kind], Reader("", tuple(traits))))
        elif line.startswith("@hint "):
            pieces[-1].steer = line.removeprefix("@hint ").strip()
        elif product := _PRODUCT.fullmatch(line):
            pieces[-1].products.append(Product(product[1], product[2].strip(), (product[3] or "").strip()))
        elif fact := _FACT.fullmatch(line):
            facts.append(Fact(fact[1], fact[2]))
        elif unit := _UNIT.fullmatch(line):
            pieces[-1].units.append(CorpusUnit(unit[1], tuple((unit[2] or "").split()), unit[3]))
        else:
            raise ValueError(f"cannot read {line[:60]!r}")
    brand = BrandVoice(name, about, voice, avoid)
    brief = Brief(brand, goal=goal, facts=tuple(facts), values=tuple(values), cta="")
    for piece in pieces:
        yield CorpusPiece(
            brief,
            piece.channel,
            piece.reader,
            tuple(piece.units),
            products=tuple(piece.products),
            steer=piece.steer,
        )


HELD_OUT_WHOLE = 0.22  # share of the brands of whole pieces that no writer is trained on: twelve of them


def validation_pieces() -> list[CorpusPiece]:
    """The whole pieces of the brands that no training sees; the plain layer has none of these brands."""
    return split_brands(read_pieces(), held_out=HELD_OUT_WHOLE)[1]


# The plain layer was written without goals, briefs have one: a general one, so that the model learns to say what
# the plan line says and not the goal.
_GOALS = (
    "tell customers what is on offer",
    "invite people to come and try it",
    "win back customers who have been away",
    "remind regular customers what is included",
    "bring in new customers this season",
    "let people know what has changed",
    "help people choose",
    "sell to people who already know us",
)


def _some_goal(name: str) -> str:
    return _GOALS[hashlib.sha256(name.encode()).digest()[1] % len(_GOALS)]


def _json_brief(row: dict[str, Any]) -> list[CorpusPiece]:
    campaign = row["campaign"]
    brief = Brief(
        brand=BrandVoice(
            row["brand"]["name"], row["brand"]["about"], row["brand"]["voice"], tuple(row["brand"]["avoid"])
        ),
        goal=campaign["goal"],
        facts=tuple(Fact(f"f{number}", text) for number, text in enumerate(campaign["facts"], start=1)),
        values=tuple(Value(name, text, guess_kind(text)) for name, text in campaign["slots"].items()),
        cta=campaign["cta"],
        must_mention=tuple(campaign["must_mention"]),
    )
    return [
        CorpusPiece(
            brief,
            Channel(piece["channel"]),
            Reader(piece["recipient"].get("lifecycle", ""), tuple(piece["recipient"]["traits"])),
            fields=piece["output"],
        )
        for piece in row["pieces"]
    ]
