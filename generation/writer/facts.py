"""Facts in small parts: a small model says one thing well and two things badly, so each plan unit gets one.

"Solo allows ten documents; Office has no limit" is one fact of the brief and two parts, "f1.1" and "f1.2". The ledger
keeps the ids of whole facts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from generation.writer import values
from generation.writer.types import Brief, Fact

_SEAM = re.compile(r";\s+|(?<=[^\W\d_]{2}[.!?]|\}\}[.!?])\s+(?=[^\W\d_])")
# What begins like this leans on the words before it and cannot stand alone.
_LEANING = re.compile(
    r"(?:it|its|they|their|them|she|her|he|his|this|that|these|those|there|and|but|or|so|then|also|same|both|each|"
    r"otherwise|if not|up|after|before|which|who|until|several|either|one|the (?:same|other|rest)|in (?:it|that))\b",
    re.IGNORECASE,
)
# What holds one of these speaks of something named before.
_BACK = re.compile(
    r"\b(?:it|them|they)\b|\b(?:before|after|throughout|too|as well|instead)[.]?$", re.IGNORECASE
)
_LEAST_WORDS = 3


def parts_of(text: str) -> list[str]:
    """The clauses of a fact that make sense by themselves, in order; the text alone if it cannot be parted."""
    found: list[str] = []
    for piece in _SEAM.split(text.strip()):
        clause = piece.strip().rstrip(".;")
        if not clause:
            continue
        if found and (leans(clause) or len(clause.split()) < _LEAST_WORDS):
            found[-1] += f"; {clause}"
        else:
            found.append(clause)
    if len(found) > 1 and len(found[0].split()) < _LEAST_WORDS:
        found[:2] = [f"{found[0]}; {found[1]}"]
    return found or [text]


def leans(clause: str) -> bool:
    """Whether a clause needs words before it to be understood: a title or a first line must not."""
    return bool(_LEANING.match(clause) or _BACK.search(clause))


def parts(brief: Brief) -> tuple[Fact, ...]:
    """Every part of every fact. A fact in one part keeps its id."""
    found: list[Fact] = []
    for fact in brief.facts:
        clauses = parts_of(fact.text)
        if len(clauses) == 1:
            found.append(Fact(fact.id, clauses[0]))
        else:
            found += [Fact(f"{fact.id}.{n}", clause) for n, clause in enumerate(clauses, start=1)]
    return tuple(found)


def whole(source: str) -> str:
    """The id of the fact that a part belongs to; any other id as it is."""
    return source.partition(".")[0] if source.startswith("f") else source


def wholes(sources: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(map(whole, sources)))


def parts_said(brief: Brief, sources: Sequence[str], text: str) -> tuple[str, ...]:
    """The parts of the facts among `sources` that a hand-written `text` says; all of a fact's when none stands out."""
    by_fact: dict[str, list[Fact]] = {}
    for part in parts(brief):
        by_fact.setdefault(whole(part.id), []).append(part)
    told = _words(text)
    found: list[str] = []
    for source in sources:
        own = by_fact.get(source, [])
        if len(own) < 2:
            found.append(source)
            continue
        shares = [len(told & _words(part.text)) / max(len(_words(part.text)), 1) for part in own]
        close = [
            part.id for part, share in zip(own, shares, strict=True) if share >= max(0.25, max(shares) / 2)
        ]
        found += close or [source]
    return tuple(found)


def _words(text: str) -> set[str]:
    plain = re.findall(r"[^\W\d_]{4,}", values.REFERENCE.sub(" ", text).lower())
    return {word[:6] for word in plain} | set(values.names(text))


# A clause after a comma that tells more of the same thing may be left out; one that bounds or turns it may not.
_MORE = re.compile(
    r"(?:in|at|with|which|who|where|led|near|beside|opposite|made|served|together) ", re.IGNORECASE
)


def shorter(text: str) -> str:
    """A fact without its last clause, where that only says more of the same; "" if nothing may be left out."""
    rest, comma, last = text.rstrip(". ").rpartition(", ")
    return rest if comma and _MORE.match(last) and len(rest.split()) >= _LEAST_WORDS else ""
