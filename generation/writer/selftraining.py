"""Self-training by rejection sampling: the writer writes on brands it may learn from, its best lines become text to
train on (Zelikman et al. 2022, arXiv:2203.14465; Touvron et al. 2023, arXiv:2307.09288, section 3.2.3).

Kept are lines that were drawn, not the plainest wording, that the judge trusts, that are in the upper share of their
kind, in pieces without a blocking finding, and that say nothing twice. They are written in the format of the plain
layer, so that `train_writer --files` reads them beside the hand-written ones. Brands held out are never written on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from generation.writer import checks, planning
from generation.writer.corpus import CorpusPiece, CorpusUnit, split_brands
from generation.writer.types import (
    Brief,
    Channel,
    Draft,
    Embedder,
    Request,
    Sampling,
    Severity,
    Writer,
    WrittenUnit,
)

TRUSTED = 0.9  # faith from which a line is worth learning from

_ADS = {
    Channel.GOOGLE_RSA: "google",
    Channel.META_AD: "meta",
    Channel.LINKEDIN_AD: "linkedin",
    Channel.SMS: "sms",
    Channel.PUSH: "push",
}


@dataclass(frozen=True, slots=True)
class Harvest:
    """`pieces` hold only the lines kept, in the order written."""

    pieces: tuple[CorpusPiece, ...]
    written: int  # lines drawn and judged
    kept: int


def harvest(
    writer: Writer,
    embedder: Embedder,
    pieces: Sequence[CorpusPiece],
    *,
    sampling: Sampling,
    seed: int = 1,
    share: float = 0.4,
    on_brief: Callable[[int, int], None] | None = None,
) -> Harvest:
    """Write every piece's request once and keep the best `share` (0 to 1) of the lines of each kind.

    Raises ValueError when a piece belongs to a brand held out for validation.
    """
    learning, held_out = split_brands(pieces)
    if held_out:
        raise ValueError(
            f"{held_out[0].brief.brand.name} is held out for validation: nothing may be learned from it"
        )
    groups: dict[int, list[CorpusPiece]] = {}
    for piece in learning:
        groups.setdefault(id(piece.brief), []).append(piece)
    drafts: list[tuple[CorpusPiece, Draft]] = []
    for done, group in enumerate(groups.values(), start=1):
        brief = group[0].brief
        requests = [
            Request(f"{done}/{n}", p.channel, p.reader, seed * 1000 + n, p.products, p.steer)
            for n, p in enumerate(group)
        ]
        found = writer.write(brief, requests, planning.plan(brief, requests, embedder), sampling)
        for piece, request, draft in zip(group, requests, found, strict=True):
            if not _blocked(brief, request, draft):
                drafts.append((piece, draft))
        if on_brief:
            on_brief(done, len(groups))
    lines = [unit for _, draft in drafts for unit in draft.units if unit.reasons]
    least = _least_scores(lines, share)
    known = {u.text for p in learning for u in p.units}
    kept: list[CorpusPiece] = []
    for piece, draft in drafts:
        units = []
        for unit in draft.units:
            if _worth(unit, least) and unit.text not in known:
                known.add(unit.text)
                units.append(CorpusUnit(unit.label, unit.sources, unit.text))
        if units:
            kept.append(replace(piece, units=tuple(units), fields=None))
    return Harvest(tuple(kept), len(lines), sum(len(p.units) for p in kept))


def _blocked(brief: Brief, request: Request, draft: Draft) -> bool:
    return any(f.severity is Severity.BLOCKING for f in checks.check_draft(brief, request, draft))


def _least_scores(lines: Iterable[WrittenUnit], share: float) -> dict[str, float]:
    """The score that a line of each kind needs to be among the best `share`."""
    by_label: dict[str, list[float]] = {}
    for unit in lines:
        by_label.setdefault(unit.label, []).append(unit.score)
    return {
        label: sorted(scores, reverse=True)[max(0, round(share * len(scores)) - 1)]
        for label, scores in by_label.items()
    }


def _worth(unit: WrittenUnit, least: dict[str, float]) -> bool:
    drawn = bool(unit.reasons) and "scripted" not in unit.reasons
    return drawn and bool(unit.sources) and unit.faith >= TRUSTED and unit.score >= least[unit.label]


def plain_text(pieces: Sequence[CorpusPiece]) -> str:
    """Pieces in the format of the plain layer; `read_plain` gives the same pieces back.

    Raises ValueError for what the format cannot hold: a bar or a line break in a name, a semicolon in a value.
    """
    blocks: list[str] = []
    last: Brief | None = None
    for piece in pieces:
        if piece.brief is not last:
            blocks += ["", *_head(piece.brief)]
            last = piece.brief
        blocks += _body(piece)
    return "\n".join(blocks).lstrip("\n") + "\n"


def _head(brief: Brief) -> list[str]:
    brand = brief.brand
    lines = [
        f"@brand {' | '.join(map(_plain, (brand.name, brand.about, brand.voice)))}",
        f"@goal {brief.goal}",
    ]
    if brand.avoid:
        lines.append("@avoid " + "; ".join(map(_plain, brand.avoid)))
    if brief.values:
        lines.append("@values " + "; ".join(f"{v.name}={_plain(v.text)}" for v in brief.values))
    return lines + [f"{fact.id} {fact.text}" for fact in brief.facts]


def _body(piece: CorpusPiece) -> list[str]:
    traits = [_plain(t) for t in piece.reader.traits]
    if piece.channel is Channel.EMAIL:
        lines = [f"@reader {' | '.join([piece.reader.lifecycle, *traits])}"]
    else:
        lines = [f"@ad {' | '.join([_ADS[piece.channel], *traits])}"]
    for product in piece.products:
        lines.append(
            f"{product.id} {product.name}" + (f": {product.description}" if product.description else "")
        )
    if piece.steer:
        lines.append(f"@hint {piece.steer}")
    for unit in piece.units:
        sources = f" [{' '.join(unit.sources)}]" if unit.sources else ""
        lines.append(f"{unit.label}{sources} {unit.text}")
    return lines


def _plain(text: str) -> str:
    if any(c in text for c in "|;\n\r"):
        raise ValueError(f"the format has no place for a bar, a semicolon or a line break: {text[:60]!r}")
    return text.strip()
