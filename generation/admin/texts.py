"""A piece's text for the eye: values filled in, findings marked, sources named. Plain data; templates escape it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from campaigns.models import Channel
from generation import naming
from generation.models import Finding, Piece
from generation.writer import channels, values
from generation.writer.types import Channel as WriterChannel

NAME_STAND_IN = "reader"  # what the queue shows for a first name that is not known
_FIRST_LINE = {
    Channel.EMAIL: "subject",
    Channel.GOOGLE_RSA: "headlines",
    Channel.META_AD: "headline",
    Channel.LINKEDIN_AD: "headline",
    Channel.SMS: "text",
    Channel.PUSH: "title",
}
_SECOND_LINE = {
    Channel.EMAIL: "preheader",
    Channel.GOOGLE_RSA: "descriptions",
    Channel.META_AD: "primary_text",
    Channel.LINKEDIN_AD: "intro",
    Channel.PUSH: "body",
}


@dataclass(frozen=True, slots=True)
class Mark:
    """A stretch of text: plain, a value (`name` is set), or flagged (`severity` and `message` are set)."""

    text: str
    name: str = ""
    severity: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class MarkedField:
    name: str
    label: str
    items: tuple[tuple[Mark, ...], ...]
    limit: str


@dataclass(frozen=True, slots=True)
class Source:
    """What a sentence rests on. `kind` is fact, trait, product or brief."""

    id: str
    kind: str
    text: str


def spec_of(piece: Piece) -> channels.ChannelSpec:
    return channels.SPECS[WriterChannel(piece.channel)]


def mapping(piece: Piece) -> dict[str, str]:
    """Names to texts of the run's values, with the reader's first name as delivery would use it, or a stand-in."""
    known = {str(v.get("name", "")): str(v.get("text", "")) for v in piece.run.brief.get("values", [])}
    name = naming.usable(piece.profile.first_name) if piece.profile else ""
    return known | {values.FIRST_NAME: name or NAME_STAND_IN}


def filled(text: str, known: Mapping[str, str]) -> str:
    """With the values in; unknown names stay as they are written."""
    return values.preview(text, known)


def first_line(piece: Piece, known: Mapping[str, str]) -> str:
    return filled(_first(piece.fields.get(_FIRST_LINE[Channel(piece.channel)], "")), known)


def second_line(piece: Piece, known: Mapping[str, str]) -> str:
    name = _SECOND_LINE.get(Channel(piece.channel))
    return filled(_first(piece.fields.get(name, "")), known) if name else ""


def marked(piece: Piece, findings: Sequence[Finding]) -> list[MarkedField]:
    """Every field with its values filled in as marks of their own and its findings on their stretches."""
    known = mapping(piece)
    shown = []
    for spec in spec_of(piece).fields:
        held = piece.fields.get(spec.name)
        if not held:
            continue
        items = held if isinstance(held, list) else [held]
        rows = []
        for index, item in enumerate(items):
            own = [f for f in findings if f.field == spec.name and f.index == index and f.end > f.start]
            rows.append(tuple(_marks(str(item), own, known)))
        shown.append(MarkedField(spec.name, label_of(spec.name), tuple(rows), limit_of(spec)))
    return shown


def label_of(name: str) -> str:
    return {"cta": "Button", "preheader": "Preview line"}.get(name, name.replace("_", " ").capitalize())


def limit_of(spec: channels.FieldSpec) -> str:
    unit = "words" if spec.measure is channels.Measure.WORDS else "characters"
    each = " each" if spec.items else ""
    return f"up to {spec.limit} {unit}{each}" + ("" if spec.hard else " (advised)")


def sources(piece: Piece) -> dict[str, Source]:
    """Everything a sentence of this piece may rest on, by the id the ledger uses."""
    brief, reader = piece.run.brief, piece.reader
    known = mapping(piece)
    found = {
        str(fact["id"]): Source(str(fact["id"]), "fact", filled(str(fact["text"]), known))
        for fact in brief.get("facts", [])
    }
    for number, trait in enumerate(reader.get("traits", []), start=1):
        found[f"r{number}"] = Source(f"r{number}", "trait", str(trait))
    for number, product in enumerate(reader.get("products", []), start=1):
        name = product.get("name", "") if isinstance(product, dict) else product
        found[f"p{number}"] = Source(f"p{number}", "product", str(name))
    found["goal"] = Source("goal", "brief", str(brief.get("goal", "")))
    found["brand"] = Source("brand", "brief", str(brief.get("brand", {}).get("about", "")))
    return found


def ledger(piece: Piece) -> list[dict[str, Any]]:
    """The claim ledger for reading: each sentence with its sources; ones that rest on nothing say so."""
    known, table = mapping(piece), sources(piece)
    rows = []
    for entry in piece.ledger:
        ids = [str(s) for s in entry.get("sources", [])]
        rows.append(
            {
                "label": str(entry.get("label", "")),
                "text": filled(str(entry.get("text", "")), known),
                "sources": [table.get(i, Source(i, "brief", "")) for i in ids],
                "fixed": not ids and not entry.get("logprob"),
            }
        )
    return rows


def used_traits(piece: Piece) -> list[tuple[str, bool]]:
    """The traits the writer was given, and whether a sentence of this text rests on each."""
    said = {str(s) for entry in piece.ledger for s in entry.get("sources", [])}
    return [(str(t), f"r{n}" in said) for n, t in enumerate(piece.reader.get("traits", []), start=1)]


def _first(held: object) -> str:
    if isinstance(held, list):
        return str(held[0]) if held else ""
    return str(held or "")


def _marks(text: str, findings: Sequence[Finding], known: Mapping[str, str]) -> list[Mark]:
    """Cut at the borders of values and findings. A value is one mark, flagged if a finding touches it."""
    references = [(m.start(), m.end(), m.group(1)) for m in values.REFERENCE.finditer(text)]
    borders = {0, len(text)}
    for start, end, _ in references:
        borders |= {start, end}
    for finding in findings:
        for at in (min(finding.start, len(text)), min(finding.end, len(text))):
            if not any(start < at < end for start, end, _ in references):
                borders.add(at)
    names = {(start, end): name for start, end, name in references}
    marks = []
    ordered = sorted(borders)
    for start, end in pairwise(ordered):
        over = [f for f in findings if f.start < end and f.end > start]
        worst = min(over, key=lambda f: ("blocking", "warning", "note").index(f.severity), default=None)
        name = names.get((start, end), "")
        marks.append(
            Mark(
                text=known.get(name, text[start:end]) if name else text[start:end],
                name=name,
                severity=worst.severity if worst else "",
                message=worst.message if worst else "",
            )
        )
    return marks
