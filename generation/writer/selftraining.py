"""Self-training by rejection sampling: the writer writes on brands it may learn from, its best lines become text to
train on (Zelikman et al. 2022, arXiv:2203.14465; Touvron et al. 2023, arXiv:2307.09288, section 3.2.3).

Kept are lines that were drawn, not the plainest wording, that the judge trusts, that are in the upper share of their
kind, in pieces without a blocking finding, and that say nothing twice. They are written in the format of the plain
layer, so that `train_writer --files` reads them beside the hand-written ones. Brands held out are never written on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from generation.writer import evaluation
from generation.writer.corpus import CorpusPiece, CorpusUnit, split_brands
from generation.writer.types import Embedder, Sampling, Writer, WrittenUnit

TRUSTED = 0.9  # faith from which a line is worth learning from


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
    groups = evaluation.by_brief(learning)
    written = evaluation.write_once(writer, embedder, groups, sampling=sampling, seed=seed, on_brief=on_brief)
    clean = [
        (piece, one.draft)
        for piece, one in zip([p for group in groups for p in group], written, strict=True)
        if one.clean
    ]
    lines = [unit for _, draft in clean for unit in draft.units if unit.reasons]
    least = _least_scores(lines, share)
    known = {u.text for p in learning for u in p.units}
    kept: list[CorpusPiece] = []
    for piece, draft in clean:
        units = []
        for unit in draft.units:
            if _worth(unit, least) and unit.text not in known:
                known.add(unit.text)
                units.append(CorpusUnit(unit.label, unit.sources, unit.text))
        if units:
            kept.append(replace(piece, units=tuple(units), fields=None))
    return Harvest(tuple(kept), len(lines), sum(len(p.units) for p in kept))


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
