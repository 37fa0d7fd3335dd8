"""What must rest on something told: claims of kinds that need a fact, units that say more than their sources, and
sentences that share no word with anything told.
"""

from __future__ import annotations

from collections.abc import Iterator

from generation.writer import channels, claims
from generation.writer.checks.copy import Copy, Place, Rule, finding
from generation.writer.sentences import sentences, stems
from generation.writer.types import Finding, Severity

LEAST_WORDS = 3  # content words of a sentence that says something


def spoken_claims(copy: Copy) -> Iterator[Finding]:
    """Every rule of claims.py, over every text."""
    is_ad = channels.SPECS[copy.channel].is_ad
    for place in copy.texts:
        for claim in claims.find(place[2], copy.sources, is_ad=is_ad):
            yield finding(claim.rule, claim.severity, claim.message, place, (claim.start, claim.end))


def unsupported(copy: Copy) -> Iterator[Finding]:
    """A written unit whose faithfulness to its sources is below `claims.LEAST_FAITH`, where it still stands."""
    for unit in copy.units:
        if unit.faith >= claims.LEAST_FAITH or not unit.text.strip():
            continue
        spot = _where(copy, unit.label, unit.text)
        if spot is not None:
            place, span = spot
            message = "says something that its facts and traits do not"
            yield finding("claims.unsupported", Severity.WARNING, message, place, span)


def _where(copy: Copy, label: str, text: str) -> tuple[Place, tuple[int, int]] | None:
    """The place of a unit's text; None once somebody has edited it away."""
    name = channels.SPECS[copy.channel].field_of(label).name
    for place in copy.texts:
        at = place[2].find(text) if place[0] == name else -1
        if at >= 0:
            return place, (at, at + len(text))
    return None


def unsourced(copy: Copy) -> Iterator[Finding]:
    """A sentence no unit stands for (somebody wrote or edited it) that shares no content word with anything told."""
    written = [unit.text for unit in copy.units]
    told = copy.sources.stems
    for place in copy.texts:
        for start, sentence in sentences(place[2]):
            own = stems(sentence)
            if len(own) < LEAST_WORDS or own & told or any(sentence in text for text in written):
                continue
            message = "no word of it stands in a fact, a trait or the brand's own words"
            span = (start, start + len(sentence))
            yield finding("claims.unsourced", Severity.NOTE, message, place, span)


RULES: tuple[Rule, ...] = (spoken_claims, unsupported, unsourced)
