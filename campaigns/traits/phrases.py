"""One rule, one person's facts: the phrases it gives. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from campaigns.models import TraitKind
from campaigns.traits import words
from campaigns.traits.facts import Facts, ProductFacts
from campaigns.traits.rules import DEFAULT_EVENT

MOST = 6  # traits of one reader

LIFECYCLES = ("new", "active", "loyal", "lapsed", "vip", "cart left behind", "browsing", "prospect")


@dataclass(frozen=True, slots=True)
class Rule:
    """A checked TraitRule, as plain data."""

    kind: str
    settings: Mapping[str, Any]

    @property
    def event(self) -> str:
        return str(self.settings.get("event") or DEFAULT_EVENT.get(self.kind, ""))

    def number(self, name: str, default: int) -> int:
        return int(self.settings.get(name, default))


def traits_of(facts: Facts, rules: list[Rule], *, now: datetime, default_zone: str) -> list[str]:
    """At most six, no two alike, those of the first rules first."""
    half = words.hemisphere(facts.time_zone, default_zone)
    found: list[str] = []
    told: set[str] = set()  # products already spoken of
    for rule in rules:
        for phrase in _OF_KIND[rule.kind](rule, facts, now, half, told):
            if words.is_sayable(phrase) and phrase not in found:
                found.append(phrase)
            if len(found) == MOST:
                return found
    return found


Phrases = Iterator[str]


def _attribute(rule: Rule, facts: Facts, now: datetime, half: words.Hemisphere, told: set[str]) -> Phrases:
    value = facts.attributes.get(rule.settings["attribute"])
    if value is None or value == "":
        return
    if phrases := rule.settings.get("phrases"):
        key = ("true" if value else "false") if isinstance(value, bool) else str(value)
        by_value = {str(known).casefold(): phrase for known, phrase in phrases.items()}
        if phrase := by_value.get(key.casefold()):
            yield phrase
    elif bands := rule.settings.get("bands"):
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            for band in bands:
                if band.get("up_to") is None or value <= band["up_to"]:
                    yield band["phrase"]
                    return
    elif (text := words.value_words(value)) and not _names_somebody(text, facts):
        yield rule.settings["phrase"].replace("{value}", text)


def _names_somebody(text: str, facts: Facts) -> bool:
    """Does a free text value hold the reader's own name?"""
    said = text.casefold().replace("-", " ").split()
    return any(part in said for name in facts.names for part in name.casefold().replace("-", " ").split())


def _purchase(rule: Rule, facts: Facts, now: datetime, half: words.Hemisphere, told: set[str]) -> Phrases:
    for product in _products(rule, facts, now, told):
        if product.returned < product.quantity:
            told.add(product.noun_phrase)
            yield _filled(rule, product, when=words.when(product.last, now=now, half=half))


def _basket(rule: Rule, facts: Facts, now: datetime, half: words.Hemisphere, told: set[str]) -> Phrases:
    for product in _products(rule, facts, now, told):
        if product.bought is None or product.bought < product.last:
            told.add(product.noun_phrase)
            yield _filled(rule, product)


def _products(rule: Rule, facts: Facts, now: datetime, told: set[str]) -> Iterator[ProductFacts]:
    """The newest products the rule may speak of, each of another category while there are any."""
    earliest = now - timedelta(days=rule.number("within_days", 1100))
    fit = [
        product
        for product in facts.products.get(rule.event, ())
        if product.last >= earliest
        and product.days >= rule.number("at_least", 1)
        and product.noun_phrase not in told
    ]
    categories: set[str] = set()
    fresh: list[ProductFacts] = []
    rest: list[ProductFacts] = []
    for product in fit:
        (rest if product.category in categories else fresh).append(product)
        categories.add(product.category)
    yield from (fresh + rest)[: rule.number("limit", 1)]


def _filled(rule: Rule, product: ProductFacts, when: str = "") -> str:
    phrase = str(rule.settings["phrase"])
    return phrase.replace("{product}", product.noun_phrase).replace("{season}", when).strip()


def _category(rule: Rule, facts: Facts, now: datetime, half: words.Hemisphere, told: set[str]) -> Phrases:
    fit = [
        category
        for category, days in facts.categories.get(rule.event, ())
        if days >= rule.number("at_least", 3) and words.value_words(category)
    ]
    for category in fit[: rule.number("limit", 1)]:
        yield str(rule.settings["phrase"]).replace("{category}", category)


def _rhythm(rule: Rule, facts: Facts, now: datetime, half: words.Hemisphere, told: set[str]) -> Phrases:
    orders = facts.events.get(rule.event)
    if orders is None or orders.days < rule.number("at_least", 3):
        return
    often = words.rhythm(orders.days, orders.first, orders.last)
    if often:
        past = words.is_out_of_rhythm(orders.days, orders.first, orders.last, now)
        phrase = rule.settings.get("past_phrase") if past else rule.settings["phrase"]
        if phrase:
            yield str(phrase).replace("{rhythm}", often)


def _recency(rule: Rule, facts: Facts, now: datetime, half: words.Hemisphere, told: set[str]) -> Phrases:
    orders = facts.events.get(rule.event)
    if orders is not None and now - orders.last > timedelta(days=rule.number("after_days", 120)):
        yield str(rule.settings["phrase"]).replace("{since}", words.since(orders.last, now=now, half=half))


def _tenure(rule: Rule, facts: Facts, now: datetime, half: words.Hemisphere, told: set[str]) -> Phrases:
    if not facts.events:
        return
    with_us = (now - min(event.first for event in facts.events.values())).days
    tenure = "years" if with_us >= 2 * 365 else "year" if with_us >= 400 else "new" if with_us <= 45 else ""
    if phrase := rule.settings["phrases"].get(tenure):
        yield phrase


_OF_KIND: Mapping[str, Callable[[Rule, Facts, datetime, words.Hemisphere, set[str]], Phrases]] = {
    TraitKind.ATTRIBUTE: _attribute,
    TraitKind.PURCHASE: _purchase,
    TraitKind.CATEGORY: _category,
    TraitKind.RHYTHM: _rhythm,
    TraitKind.RECENCY: _recency,
    TraitKind.BASKET: _basket,
    TraitKind.INTEREST: _basket,  # as for a basket: what was bought since is no longer a wish
    TraitKind.TENURE: _tenure,
}


def lifecycle_of(facts: Facts, *, now: datetime) -> str:
    """Where somebody stands with the shop, in one of LIFECYCLES."""
    bought = facts.events.get("purchased")
    left = facts.events.get("cart_left")
    if left and (now - left.last).days <= 14 and (bought is None or bought.last < left.last):
        return "cart left behind"
    if bought is None:
        joined = facts.events.get("signed_up")
        if joined and (now - joined.last).days <= 30:
            return "new"
        looked = [facts.events[name].last for name in ("viewed", "asked_about") if name in facts.events]
        return "browsing" if looked and (now - max(looked)).days <= 60 else "prospect"
    away = (now - bought.last).days
    if away > 180:
        return "lapsed"
    if bought.days == 1 and away <= 45:
        return "new"
    return "vip" if bought.days >= 8 else "loyal" if bought.days >= 4 else "active"
