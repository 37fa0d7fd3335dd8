"""How good a writer is, on brands it has not seen: one writing of every piece, nothing tried again, nothing selected.

`reader_identified` asks which of a brief's readers an e-mail was written for: similarity of sentence embeddings,
double-centred so that neither a talkative e-mail nor a common trait wins every time; chance is one over the number of
readers.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from operator import mul
from typing import Any

from generation.writer import channels, checks, planning, values
from generation.writer.corpus import CorpusPiece
from generation.writer.types import (
    Brief,
    Channel,
    Draft,
    Embedder,
    Finding,
    Request,
    Sampling,
    Severity,
    Writer,
)

NUMBER_RULES = frozenset(
    {"numbers.outside_values", "claims.number_word", "claims.multiple", "values.unknown"}
)
FAITHFUL = (
    0.5  # a sentence whose faith lies below is counted as unfaithful; hand-written lines: see human_faithful
)


@dataclass(frozen=True, slots=True)
class Written:
    """One evaluated piece."""

    brief: Brief
    request: Request
    draft: Draft
    findings: tuple[Finding, ...]

    @property
    def clean(self) -> bool:
        return not any(f.severity is Severity.BLOCKING for f in self.findings)


@dataclass(frozen=True, slots=True)
class Report:
    """The measures; rates are between 0 and 1. `as_json` is what a ModelVersion keeps."""

    pieces: int
    brands: int
    clean_rate: float
    spotless_rate: float  # no warning either
    clean_rate_by_channel: dict[str, float]
    findings_by_rule: dict[str, int]
    invented_numbers: int
    reader_identified: float
    readers_in_question: int
    grammar_ratio: float
    faithful_rate: float
    distinct_openings: float
    self_overlap: float
    pieces_per_second: float  # planned, written and checked
    briefs: str  # hash of the briefs and readers
    writer: dict[str, Any]
    sampling: dict[str, Any]
    written: tuple[Written, ...] = field(repr=False)

    def as_json(self, pieces: int = 60) -> dict[str, Any]:
        """Everything but the copy, and the first `pieces` pieces of every channel in turn for reading."""
        found = {name: getattr(self, name) for name in self.__slots__ if name != "written"}
        found["pieces"] = [shown(w) for w in unselected(self.written, pieces)]
        return found


def evaluate(
    writer: Writer,
    embedder: Embedder,
    pieces: Sequence[CorpusPiece],
    *,
    sampling: Sampling,
    seed: int = 1,
    grammar: Callable[[Sequence[str], Sequence[str]], float] | None = None,
    on_brief: Callable[[int, int], None] | None = None,
) -> Report:
    """Write every piece's request once and measure.

    `grammar` takes the texts and what their briefs gave, and answers with the ratio to hand-written copy; 0 without it.
    """
    if not pieces:
        raise ValueError("there are no pieces to write: the file holds no brief with readers")
    groups = by_brief(pieces)
    began = time.monotonic()
    written = write_once(writer, embedder, groups, sampling=sampling, seed=seed, on_brief=on_brief)
    seconds = time.monotonic() - began
    identified, asked = readers_identified(written, embedder)
    rules = Counter(f.rule for w in written for f in w.findings)
    return Report(
        pieces=len(written),
        brands=len(groups),
        clean_rate=_rate(w.clean for w in written),
        spotless_rate=_rate(not any(f.severity is not Severity.NOTE for f in w.findings) for w in written),
        clean_rate_by_channel={
            channel.value: _rate(w.clean for w in written if w.request.channel is channel)
            for channel in Channel
            if any(w.request.channel is channel for w in written)
        },
        findings_by_rule=dict(rules.most_common()),
        invented_numbers=sum(rules[rule] for rule in NUMBER_RULES),
        reader_identified=identified / max(asked, 1),
        readers_in_question=asked,
        grammar_ratio=grammar([_text(w) for w in written], [given(w.brief, w.request) for w in written])
        if grammar
        else 0.0,
        faithful_rate=_rate(u.faith >= FAITHFUL for w in written for u in w.draft.units if u.sources),
        distinct_openings=_distinct_openings(written),
        self_overlap=_self_overlap(written),
        pieces_per_second=len(written) / max(seconds, 1e-9),
        briefs=_hash(groups),
        writer=asdict(writer.info),
        sampling=asdict(sampling),
        written=tuple(written),
    )


def by_brief(pieces: Iterable[CorpusPiece]) -> list[list[CorpusPiece]]:
    """The pieces of each brief, in the order in which the briefs appear."""
    groups: dict[int, list[CorpusPiece]] = {}
    for piece in pieces:
        groups.setdefault(id(piece.brief), []).append(piece)
    return list(groups.values())


def write_once(
    writer: Writer,
    embedder: Embedder,
    groups: Sequence[Sequence[CorpusPiece]],
    *,
    sampling: Sampling,
    seed: int = 1,
    on_brief: Callable[[int, int], None] | None = None,
) -> list[Written]:
    """Every piece's request written and checked once, group by group, in the order of `groups`."""
    written: list[Written] = []
    for done, group in enumerate(groups, start=1):
        brief = group[0].brief
        requests = [
            Request(f"{done}/{n}", p.channel, p.reader, seed * 1000 + n, p.products, p.steer)
            for n, p in enumerate(group)
        ]
        drafts = writer.write(brief, requests, planning.plan(brief, requests, embedder), sampling)
        written += [
            Written(brief, request, draft, tuple(checks.check_draft(brief, request, draft)))
            for request, draft in zip(requests, drafts, strict=True)
        ]
        if on_brief:
            on_brief(done, len(groups))
    return written


def unselected(written: Sequence[Written], count: int) -> list[Written]:
    """`count` pieces for reading, taken in turn from every brand, e-mails and the rest half and half."""

    def spread(group: list[Written]) -> list[Written]:
        by_brand: dict[str, list[Written]] = {}
        for one in group:
            by_brand.setdefault(one.brief.brand.name, []).append(one)
        longest = max((len(v) for v in by_brand.values()), default=0)
        return [v[i] for i in range(longest) for v in by_brand.values() if i < len(v)]

    mails = spread([w for w in written if w.request.channel is Channel.EMAIL])
    others = spread([w for w in written if w.request.channel is not Channel.EMAIL])
    half = min(len(mails), max(count - len(others), (count + 1) // 2))
    return mails[:half] + others[: count - half]


def readers_identified(written: Sequence[Written], embedder: Embedder) -> tuple[int, int]:
    """(e-mails whose reader was found, e-mails in question). Briefs with a single reader are left out."""
    found = asked = 0
    by_brief: dict[int, list[Written]] = {}
    for one in written:
        if one.request.channel is Channel.EMAIL:
            by_brief.setdefault(id(one.brief), []).append(one)
    for group in by_brief.values():
        if len(group) < 2:
            continue
        mails = embedder.embed([_text(w) for w in group])
        readers = embedder.embed(["; ".join(w.request.reader.traits) for w in group])
        table = [[sum(map(mul, mail, reader)) for reader in readers] for mail in mails]
        columns = [sum(column) / len(table) for column in zip(*table, strict=True)]
        for index, row in enumerate(table):
            centred = [value - mean for value, mean in zip(row, columns, strict=True)]
            found += centred.index(max(centred)) == index
            asked += 1
    return found, asked


def _text(one: Written) -> str:
    """The copy as a reader would see it, the button left out."""
    known = values.mapping(one.brief)
    texts = [t for name, value in one.draft.fields.items() if name != "cta" for t in channels.items(value)]
    return "\n".join(values.preview(text, known) for text in texts)


def given(brief: Brief, request: Request) -> str:
    """What a brief and a request put into the copy's mouth: brand, facts, button and traits, values filled in."""
    known = values.mapping(brief)
    parts = [brief.brand.name, brief.goal, brief.cta, *(f.text for f in brief.facts), *request.reader.traits]
    return ".\n".join(values.preview(part, known) for part in parts)


def _rate(found: Any) -> float:
    hits = [bool(x) for x in found]
    return sum(hits) / max(len(hits), 1)


def _opening(one: Written) -> str:
    first = next((u.text for u in one.draft.units if u.label == "1"), "")
    return " ".join(first.lower().split()[:3])


def _distinct_openings(written: Sequence[Written]) -> float:
    openings = [(id(w.brief), _opening(w)) for w in written if w.request.channel is Channel.EMAIL]
    return len(set(openings)) / max(len(openings), 1)


def _self_overlap(written: Sequence[Written]) -> float:
    """Mean share of an e-mail's runs of four words that stand in another e-mail of the brief, values left out."""
    by_brief: dict[int, list[set[tuple[str, ...]]]] = {}
    for one in written:
        if one.request.channel is Channel.EMAIL:
            words = [u.text.lower().split() for u in one.draft.units if u.sources]
            grams = {tuple(w[i : i + 4]) for w in words for i in range(len(w) - 3)}
            by_brief.setdefault(id(one.brief), []).append({g for g in grams if "{{" not in "".join(g)})
    shares = []
    for group in by_brief.values():
        for index, grams in enumerate(group):
            rest = set().union(*(g for i, g in enumerate(group) if i != index))
            if grams and rest:
                shares.append(len(grams & rest) / len(grams))
    return sum(shares) / max(len(shares), 1)


def _hash(groups: Any) -> str:
    content = [
        [repr(g[0].brief), [(p.channel, p.reader.lifecycle, p.reader.traits) for p in g]] for g in groups
    ]
    return hashlib.sha256(json.dumps(content, default=str).encode()).hexdigest()[:16]


def shown(one: Written) -> dict[str, Any]:
    known = values.mapping(one.brief)
    return {
        "brand": one.brief.brand.name,
        "channel": one.request.channel.value,
        "lifecycle": one.request.reader.lifecycle,
        "traits": list(one.request.reader.traits),
        "fields": {
            name: values.preview(value, known)
            if isinstance(value, str)
            else [values.preview(v, known) for v in value]
            for name, value in one.draft.fields.items()
        },
        "units": [[u.label, list(u.sources), u.text, round(u.faith, 2)] for u in one.draft.units],
        "findings": [[f.rule, f.severity.value, f.message] for f in one.findings],
    }
