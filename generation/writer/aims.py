"""From a plan unit to what its text is measured against; and what the claims and avoided words say of a text."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from generation.writer import avoiding, channels, claims, facts, prompts, scoring, values
from generation.writer.planning import trait_ids
from generation.writer.scoring import Aim, Verdict
from generation.writer.types import Brief, PlanUnit, Request, Severity, WrittenUnit


def of(brief: Brief, request: Request, unit: PlanUnit, said: Sequence[str]) -> Aim:
    """The aim of a unit; `said` are the texts of the piece that stand before it."""
    own = set(facts.wholes(unit.sources))
    traits = trait_ids(request)
    others = [f.text for f in facts.parts(brief) if facts.whole(f.id) not in own]
    others += [prompts.spoken(brief, request, PlanUnit("1", (t,))) for t in traits if t not in own]
    return Aim(
        label=unit.label,
        lines=tuple(prompts.source_lines(brief, request, unit, shown=False)),
        spoken=prompts.spoken(brief, request, unit),
        others=tuple(others),
        world="\n".join([_brand_words(brief), *traits.values(), *(p.name for p in request.products)]),
        known=values.mapping(brief),
        about_reader=any(s in traits for s in unit.sources),
        said=tuple(said),
    )


@lru_cache(maxsize=8)
def _brand_words(brief: Brief) -> str:
    return "\n".join([brief.brand.name, brief.brand.about, brief.goal, *(f.text for f in brief.facts)])


@lru_cache(maxsize=64)
def _sources(brief: Brief, request: Request) -> claims.Sources:
    return claims.Sources.of(brief, request.reader, request.products)


def faults(brief: Brief, request: Request, text: str) -> int:
    """How many claims without a fact and avoided words stand in a text: each would stop the whole piece."""
    is_ad = channels.SPECS[request.channel].is_ad
    found = sum(
        claim.severity is Severity.BLOCKING
        for claim in claims.find(text, _sources(brief, request), is_ad=is_ad)
    )
    return found + sum(1 for _ in avoiding.found(brief.brand.avoid, text))


def written(unit: PlanUnit, text: str, logprob: float, verdict: Verdict) -> WrittenUnit:
    """The row of the claim ledger for a chosen text."""
    return WrittenUnit(
        label=unit.label,
        sources=facts.wholes(unit.sources),
        text=text,
        logprob=logprob,
        score=verdict.score,
        move=unit.move,
        faith=verdict.faith,
        reasons=scoring.describe(verdict),
    )
