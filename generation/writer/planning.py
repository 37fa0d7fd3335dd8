"""The planner: which facts, traits, products and values this reader gets, in which order, with which move.

Chosen by embedding similarity between the reader's traits and the brief's facts, and by rules: every value that
must be mentioned is placed, what costs or saves money comes after what it is for, a reader is met before the
offer. Different readers get different plans; the same seed gives the same plan.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import mul

from generation.writer import channels, facts, telling, values
from generation.writer.types import (
    Brief,
    Channel,
    Embedder,
    Fact,
    Plan,
    PlanUnit,
    Product,
    Request,
    ValueKind,
)

# What a reader did comes before what a reader likes: it is the nearest thing to begin with.
DEEDS = (
    "left ", "bought ", "ordered ", "asked ", "looked ", "has not ", "hasn't ", "tried ", "used ", "joined ",
    "returned ", "booked ", "started ", "stopped ", "searched ", "searching ", "browsed ", "signed ", "came ",
    "visited ", "gave ", "saved ", "added ", "renewed ", "missed ", "first ", "last ",
)  # fmt: skip
OFFER_KINDS = frozenset({ValueKind.PRICE, ValueKind.PERCENT, ValueKind.CODE})
JITTER = (
    0.06  # how much chance may move a similarity: enough for variety, too little to overturn a clear choice
)


# Cosine of trait and fact from which one sentence may hold both; below it there is no link that a reader would see.
CLOSE = 0.5
SUBJECT = 50  # characters of a fact that makes a subject as it is


@dataclass(frozen=True, slots=True)
class _Material:
    """One reader's view of a brief: facts and products by relevance, traits with the fact nearest to each."""

    brief: Brief
    request: Request
    facts: tuple[Fact, ...]  # the parts of the brief's facts, most relevant first
    traits: tuple[str, ...]  # ids, the one to begin with first
    nearest: dict[str, str]  # trait id -> fact id
    sizes: dict[str, int]  # fact id -> characters, values in their places
    close: frozenset[str]  # traits near enough to that fact to be told in one sentence with it
    products: tuple[Product, ...]
    rng: random.Random

    def fact_values(self, fact_id: str) -> tuple[str, ...]:
        links = set(values.links(self.brief))
        text = next(f.text for f in self.facts if f.id == fact_id)
        known = values.mapping(self.brief)
        return values.unique(n for n in values.names(text) if n in known and n not in links)


def trait_ids(request: Request) -> dict[str, str]:
    """Ids of the request's traits ("r1", ...) to their words."""
    return {f"r{i}": trait for i, trait in enumerate(request.reader.traits, start=1)}


def plan(brief: Brief, requests: Sequence[Request], embedder: Embedder) -> list[Plan]:
    """One plan per request, in order. All texts are embedded in a single call."""
    atoms = facts.parts(brief)
    shown = {f.id: values.preview(f.text, values.mapping(brief)) for f in atoms}
    texts = list(
        dict.fromkeys(
            [*shown.values(), *(t for r in requests for t in r.reader.traits)]
            + [_product_text(p) for r in requests for p in r.products]
        )
    )
    vectors = dict(zip(texts, embedder.embed(texts), strict=True)) if texts else {}

    def similarity(one: str, other: str) -> float:
        return float(sum(map(mul, vectors[one], vectors[other])))

    return [_plan_one(brief, request, atoms, shown, similarity) for request in requests]


def _product_text(product: Product) -> str:
    return f"{product.name}. {product.description}".strip()


def _plan_one(
    brief: Brief,
    request: Request,
    atoms: tuple[Fact, ...],
    shown: dict[str, str],
    similarity: Callable[[str, str], float],
) -> Plan:
    rng = random.Random(f"{request.seed}/{request.channel}/{request.reader.traits}")
    traits = trait_ids(request)
    scores = {f.id: 0.0 for f in atoms}
    nearest: dict[str, str] = {}
    close: set[str] = set()
    for trait_id, trait in traits.items():
        row = {fact_id: similarity(trait, text) for fact_id, text in shown.items()}
        mean = sum(row.values()) / max(len(row), 1)
        for fact_id, value in row.items():
            scores[fact_id] = max(scores[fact_id], value - mean)
        if row:
            nearest[trait_id] = near = max(row, key=lambda k: row[k])
            if row[near] >= CLOSE:
                close.add(trait_id)
    noise = {f.id: rng.uniform(0, JITTER) for f in atoms}
    ordered = tuple(sorted(atoms, key=lambda f: -(scores[f.id] + noise[f.id])))

    def beginning(trait_id: str) -> tuple[bool, bool, float]:
        deed = traits[trait_id].lower().startswith(DEEDS)
        near = nearest.get(trait_id)
        # What can be told in plain words is the safer thing to begin with.
        return (
            not telling.to_you(traits[trait_id]),
            not deed,
            -similarity(traits[trait_id], shown[near]) if near else 0.0,
        )

    material = _Material(
        brief=brief,
        request=request,
        facts=ordered,
        traits=tuple(sorted(traits, key=beginning)),
        nearest=nearest,
        sizes={fact_id: len(text) for fact_id, text in shown.items()},
        close=frozenset(close),
        products=request.products,
        rng=rng,
    )
    units = _BY_CHANNEL[request.channel](material)
    return tuple(_fit(material, units))


def _short_first(m: _Material, chosen: Sequence[Fact], musts: Sequence[Fact], size: int) -> list[Fact]:
    """Facts for a short field: those that must be there, then those that fit as they are, the most relevant first."""
    return sorted(chosen, key=lambda f: (f not in musts, m.sizes[f.id] > size))


def _unit(m: _Material, label: str, move: str, *sources: str) -> PlanUnit:
    """A unit with the values of its facts; a sentence must say them, a title may."""
    allowed = values.unique(n for s in sources if s.startswith("f") for n in m.fact_values(s))
    required = allowed if label in channels.SENTENCE_LABELS else ()
    return PlanUnit(label, tuple(dict.fromkeys(sources)), allowed, move, required)


def _is_offer(m: _Material, fact: Fact) -> bool:
    kinds = {v.name: v.kind for v in m.brief.values}
    return any(kinds[n] in OFFER_KINDS for n in m.fact_values(fact.id))


def _musts(m: _Material) -> list[Fact]:
    """Facts that hold a value which must be mentioned, fewest first choice: one fact may cover several."""
    missing = [n for n in m.brief.must_mention if n not in values.links(m.brief)]
    chosen: list[Fact] = []
    while missing:
        best = max(m.facts, key=lambda f: len(set(missing) & set(m.fact_values(f.id))), default=None)
        if best is None or not set(missing) & set(m.fact_values(best.id)):
            break  # no fact holds it; _fit gives it a unit of its own
        chosen.append(best)
        missing = [n for n in missing if n not in m.fact_values(best.id)]
    return chosen


def _email(m: _Material) -> list[PlanUnit]:
    musts = _musts(m)
    offers = [f for f in m.facts if f in musts or _is_offer(m, f)]
    offers.sort(key=lambda f: f not in musts)
    benefits = [f for f in m.facts if f not in offers]
    close = offers[: max(1, min(2, len(offers)), len(musts))] if offers else benefits[-1:]
    body_facts = [f for f in benefits if f not in close]
    first, *others = m.traits or ("",)
    bridge = next(
        (f for f in body_facts if f.id == m.nearest.get(first)), body_facts[0] if body_facts else None
    )
    rest = [f for f in body_facts if f is not bridge]

    words = trait_ids(m.request)
    # What cannot be told in plain words colours the brief, but makes no sentence.
    others = [t for t in others if telling.to_you(words[t])]
    body = [_unit(m, "1", "hook", first or "goal")]
    if bridge:
        body.append(_unit(m, "2", "bridge", bridge.id))
    middle: list[PlanUnit] = []
    for product in m.products[:1]:
        middle.append(_unit(m, "1", "benefit", product.id))
    if others:
        near = next((f for f in rest if f.id == m.nearest.get(others[0]) and others[0] in m.close), None)
        middle.append(_unit(m, "1", "benefit", others[0], *([near.id] if near else [])))
        rest = [f for f in rest if f is not near]
    wanted = max(m.rng.choice((5, 6, 6, 7)) - 2 - len(close) - len(middle), 0)
    middle += [_unit(m, "1", "proof", f.id) for f in rest[:wanted]]
    body += [_relabel(u, "1" if i == 0 else "2") for i, u in enumerate(middle)]
    last = [_unit(m, "1", "offer", f.id) for f in close]
    body += [_relabel(u, "1" if i == 0 else "2") for i, u in enumerate(last)]
    return [*_head(m, body, rest[wanted:]), *body]


def _head(m: _Material, body: Sequence[PlanUnit], unused: Sequence[Fact]) -> list[PlanUnit]:
    """Subject, preheader and greeting: rather what the body does not say, in its words, once more.

    The best title is a trait with a wording of its own, then a trait the body leaves out, then an unused fact that
    is short.
    """
    words = trait_ids(m.request)
    left = _short_first(m, [f for f in unused if not facts.leans(f.text)], (), SUBJECT)
    said = {s for unit in body for s in unit.sources}
    titled = [t for t in m.traits if telling.title(words[t])]
    best = [t for t in titled if telling.title(words[t]) != telling.to_you(words[t])]
    best += [t for t in titled if t not in said]
    if not best and left and m.sizes[left[0].id] <= SUBJECT:
        best = [left.pop(0).id]
    later = [t for t in titled if t not in body[0].sources]
    subject = [*best, *later, *titled, *m.traits, body[-1].sources[0]][0]
    preview = left[0].id if left else body[-1].sources[-1]
    return [_unit(m, "S", "hook", subject), _unit(m, "P", "offer", preview), greeting()]


def greeting() -> PlanUnit:
    return PlanUnit(
        "G", (), (values.FIRST_NAME,), "greeting", (), f"Hi {values.reference(values.FIRST_NAME)},"
    )


def _relabel(unit: PlanUnit, label: str) -> PlanUnit:
    return PlanUnit(label, unit.sources, unit.values, unit.move, unit.required, unit.text)


def _google(m: _Material) -> list[PlanUnit]:
    musts = _musts(m)
    spec = channels.SPECS[Channel.GOOGLE_RSA]
    ordered = _short_first(m, m.facts, musts, spec.field("headlines").limit)
    headlines = [_unit(m, "H", "benefit", f.id) for f in ordered[:6]]
    for source, text in (("brand", m.brief.brand.name), ("cta", m.brief.cta)):
        fits = channels.length(text, channels.Measure.DOUBLE_WIDTH) <= spec.field("headlines").limit
        if fits and not any(c.isdigit() for c in text):
            headlines.append(PlanUnit("H", (source,), (), "close", (), text))
    goal = 0
    while len(headlines) < spec.field("headlines").planned[0]:
        again = ordered[goal % len(ordered)].id if ordered else "goal"
        headlines.append(_unit(m, "H", "hook", again))
        goal += 1
    ordered = _short_first(m, m.facts, musts, spec.field("descriptions").limit)
    descriptions = [_unit(m, "D", "offer", f.id) for f in ordered[:4]]
    while len(descriptions) < spec.field("descriptions").planned[0]:
        again = ordered[(len(descriptions) + 1) % len(ordered)].id if ordered else "goal"
        descriptions.append(_unit(m, "D", "benefit", again))
    return headlines[: spec.field("headlines").planned[1]] + descriptions


def _one_each(m: _Material, *sizes: int) -> list[str]:
    """A fact for each field of an ad, given the characters it has room for; no fact twice while others last."""
    musts = _musts(m)
    chosen: list[str] = []
    for number, size in enumerate(sizes):
        ordered = _short_first(m, m.facts, musts if number == 0 else (), size)
        fresh = [f.id for f in ordered if f.id not in chosen] or [f.id for f in ordered]
        chosen.append(fresh[0] if fresh else "goal")
    return chosen


def _meta(m: _Material) -> list[PlanUnit]:
    one, two, three = _one_each(m, 120, 40, 30)
    return [_unit(m, "T", "offer", one), _unit(m, "MH", "hook", two), _unit(m, "MD", "proof", three)]


def _linkedin(m: _Material) -> list[PlanUnit]:
    one, two = _one_each(m, 145, 70)
    return [_unit(m, "LI", "offer", one), _unit(m, "LH", "hook", two)]


def _sms(m: _Material) -> list[PlanUnit]:
    (one,) = _one_each(m, 120)
    units = [_unit(m, "X", "offer", one)]
    links = values.links(m.brief)
    if links:
        units.append(PlanUnit("LK", (), (links[0],), "close", (), values.reference(links[0])))
    return units


def _push(m: _Material) -> list[PlanUnit]:
    one, two = _one_each(m, 110, 40)
    return [_unit(m, "PT", "hook", two), _unit(m, "PB", "offer", one)]


_BY_CHANNEL: dict[Channel, Callable[[_Material], list[PlanUnit]]] = {
    Channel.EMAIL: _email,
    Channel.GOOGLE_RSA: _google,
    Channel.META_AD: _meta,
    Channel.LINKEDIN_AD: _linkedin,
    Channel.SMS: _sms,
    Channel.PUSH: _push,
}


def _fit(m: _Material, units: list[PlanUnit]) -> list[PlanUnit]:
    """Drop requirements that cannot fit their field, then place every value that must be mentioned somewhere."""
    texts = values.mapping(m.brief)
    spec = channels.SPECS[m.request.channel]
    fitted = []
    for unit in units:
        field = spec.field_of(unit.label)
        if not unit.text and field.measure is not channels.Measure.WORDS:
            room = field.limit - ROOM_FOR_WORDS
            allowed = tuple(n for n in unit.values if channels.length(texts[n], field.measure) <= room)
            required: list[str] = []
            # Of a fact that is longer than its field only a part can be said: with what must be mentioned.
            long = any(m.sizes.get(s, 0) > field.limit for s in unit.sources)
            wanted = [n for n in unit.required if n in m.brief.must_mention] if long else unit.required
            for name in (n for n in wanted if n in allowed):
                room -= channels.length(texts[name], field.measure) + 1
                if room >= 0:
                    required.append(name)
            unit = PlanUnit(unit.label, unit.sources, allowed, unit.move, tuple(required), unit.text)
        fitted.append(unit)
    placed = {n for u in fitted for n in (u.required or (values.names(u.text) if u.text else ()))}
    for name in m.brief.must_mention:
        if name in placed or name not in texts or name in values.links(m.brief):
            continue
        fitted = _place(m, fitted, name, texts)
    return fitted


ROOM_FOR_WORDS = 8  # characters a unit keeps for words of its own beside the values it must say


def _place(m: _Material, units: list[PlanUnit], name: str, texts: dict[str, str]) -> list[PlanUnit]:
    """Give a value that must be mentioned to the unit that has most room and fewest values already."""
    spec = channels.SPECS[m.request.channel]
    source = next((f.id for f in m.facts if name in values.names(f.text)), "")

    def room(index: int) -> tuple[bool, int, int]:
        unit = units[index]
        field = spec.field_of(unit.label)
        used = sum(channels.length(texts[n], field.measure) + 1 for n in (*unit.required, name))
        limit = 200 if field.measure is channels.Measure.WORDS else field.limit
        return (source in unit.sources, -len(unit.required), limit - used)

    open_units = [i for i, u in enumerate(units) if not u.text]
    if not open_units:
        return units
    at = max(open_units, key=room)
    unit = units[at]
    sources = unit.sources if not source or source in unit.sources else (*unit.sources, source)
    more = values.unique((*unit.values, name))
    changed = PlanUnit(unit.label, sources, more, unit.move, (*unit.required, name), unit.text)
    return [*units[:at], changed, *units[at + 1 :]]
