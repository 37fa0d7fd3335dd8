"""Stand-ins for the writer and the embedder: quick, deterministic, no torch.

They keep the same contracts as the real classes; tests/generation/writer/test_contracts.py runs one set of
assertions on both.
"""

from __future__ import annotations

import hashlib
import math
import random
import re

from generation.writer import channels, values
from generation.writer.planning import trait_ids
from generation.writer.types import Brief, Draft, Plan, PlanUnit, Request, Sampling, WriterInfo, WrittenUnit


class HashEmbedder:
    """Words hashed into buckets: texts that share words are near each other."""

    name = "hash-embedder"

    def __init__(self, dimension: int = 384) -> None:
        self.dimension = dimension

    def embed(self, texts: list[str]) -> list[list[float]]:
        return [self._one(text) for text in texts]

    def _one(self, text: str) -> list[float]:
        vector = [0.0] * self.dimension
        for word in re.findall(r"\w+", text.lower()) or ["\x00"]:
            digest = hashlib.blake2b(word.encode(), digest_size=8).digest()
            number = int.from_bytes(digest, "big")
            vector[number % self.dimension] += 1.0 if number >> 63 else -1.0
        norm = math.sqrt(sum(x * x for x in vector))
        if norm == 0:
            vector[0] = norm = 1.0
        return [x / norm for x in vector]


_TRAIT_STARTS = ("A note on this", "On your mind perhaps", "Here is where we begin", "A small reminder")
_GOALS = ("This is why we write", "Our news", "A word from us", "In short")
_TITLES = ("About", "News of", "Ask about", "Think of", "A thought for", "Today")
_CLOSERS = ("See you soon.", "Good to have you here.", "With our thanks.", "Have a good day.")


class FakeWriter:
    """Says every fact and trait of the plan in so many words; `spoil` makes the first n writes break a rule."""

    def __init__(self, spoil: int = 0) -> None:
        self.spoil = spoil
        self.calls: list[int] = []  # how many requests each write() got
        self.info = WriterInfo("fake", "fake", False, "fake-1", "0" * 16)

    def write(
        self, brief: Brief, requests: list[Request], plans: list[Plan], sampling: Sampling
    ) -> list[Draft]:
        self.calls.append(len(requests))
        drafts = [self._write(brief, r, p) for r, p in zip(requests, plans, strict=True)]
        self.spoil = max(self.spoil - 1, 0)
        return drafts

    def _write(self, brief: Brief, request: Request, plan: Plan) -> Draft:
        rng = random.Random(request.seed)
        said: set[str] = set()
        units = []
        for unit in plan:
            text = unit.text or self._say(brief, request, unit, rng, said)
            said.add(_words(text))
            units.append(
                WrittenUnit(unit.label, unit.sources, text, 0.0 if unit.text else -1.0, move=unit.move)
            )
        if self.spoil:
            last = units[-1]
            units[-1] = WrittenUnit(last.label, last.sources, f"{last.text} Save $99.", -1.0, move=last.move)
        fields = channels.assemble(request.channel, units, brief.cta)
        score = -rng.random()
        tokens = sum(len(u.text.split()) for u in units)
        return Draft(
            request.key,
            request.channel,
            fields,
            tuple(units),
            request.seed,
            self.info.prompt_version,
            score,
            tokens,
        )

    def _say(self, brief: Brief, request: Request, unit: PlanUnit, rng: random.Random, said: set[str]) -> str:
        known = {f.id: f.text for f in brief.facts} | trait_ids(request)
        known |= {p.id: p.name for p in request.products} | {"goal": brief.goal, "brand": brief.brand.name}
        parts = [_plain(known[s], unit.values) for s in unit.sources if s in known]
        text = "; ".join(parts) or rng.choice(_GOALS)
        if unit.sources and unit.sources[0].startswith("r"):
            text = f"{rng.choice(_TRAIT_STARTS)}: {text}"
        missing = [n for n in unit.required if values.reference(n) not in text]
        text = " ".join([*map(values.reference, missing), text])
        title = unit.label in channels.TITLE_LABELS
        spec = channels.SPECS[request.channel].field_of(unit.label)
        for start in ("", *rng.sample(_TITLES, len(_TITLES))):
            whole = f"{start} {text}".strip()
            whole = whole[:1].upper() + whole[1:] if not whole.startswith("{{") else whole
            whole = _cut(whole, unit, spec, brief, end="" if title else ".")
            if _words(whole) not in said:
                return whole
        return whole


def _words(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))


def _plain(text: str, allowed: tuple[str, ...]) -> str:
    """A source without digits, signs, or values that this unit may not say."""
    text = values.REFERENCE.sub(lambda m: m.group(0) if m.group(1) in allowed else "that", text)
    parts = re.split(r"(\{\{[a-z0-9_]+\}\})", text)
    kept = [p if p.startswith("{{") else re.sub(r"[^\w\s,;:'’.-]|\d|_", "", p) for p in parts]
    return re.sub(r"\s+", " ", "".join(kept)).strip(" .")


def _cut(text: str, unit: PlanUnit, spec: channels.FieldSpec, brief: Brief, end: str) -> str:
    """Drop words from the end, never a required value, until the filled text fits."""
    texts = values.mapping(brief)
    words = text.split()
    limit = 10_000 if spec.measure is channels.Measure.WORDS else spec.limit
    if "LK" in spec.labels:  # the link comes after the text in the same field
        limit -= max((len(texts[n]) for n in values.links(brief)), default=0) + 1
    from generation.writer.checks import DANGLING, last_word

    while True:
        whole = " ".join(words).rstrip(" ,;:.-") + end
        size = channels.filled_length(whole, spec, texts)
        if size <= limit and (whole.rstrip(".").endswith("}}") or last_word(whole) not in DANGLING):
            return whole
        at = next((i for i in reversed(range(len(words))) if not values.names(words[i])), None)
        if at is None or len(words) == 1:
            return whole
        del words[at]
