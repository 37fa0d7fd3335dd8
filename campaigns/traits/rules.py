"""Rules: what they may hold, and the ones a workspace starts with."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from django.db import transaction

from campaigns.models import AttributeDefinition, TraitKind, TraitRule
from campaigns.sensitive import is_secret_name, word_set
from campaigns.traits import words
from personalize.core.errors import InvalidInput

# Per kind: the holes its phrases may have, and its other settings with their types.
HOLES: Mapping[str, tuple[str, ...]] = {
    TraitKind.ATTRIBUTE: ("value",),
    TraitKind.PURCHASE: ("product", "season"),
    TraitKind.CATEGORY: ("category",),
    TraitKind.RHYTHM: ("rhythm",),
    TraitKind.RECENCY: ("since",),
    TraitKind.BASKET: ("product",),
    TraitKind.INTEREST: ("product",),
    TraitKind.TENURE: (),
}
_EVENTFUL = {"phrase": str, "event": str, "within_days": int, "at_least": int, "limit": int}
SETTINGS: Mapping[str, Mapping[str, type]] = {
    TraitKind.ATTRIBUTE: {"attribute": str, "phrase": str, "phrases": dict, "bands": list},
    TraitKind.PURCHASE: _EVENTFUL,
    TraitKind.CATEGORY: _EVENTFUL,
    TraitKind.RHYTHM: {"phrase": str, "past_phrase": str, "event": str, "at_least": int},
    TraitKind.RECENCY: {"phrase": str, "event": str, "after_days": int},
    TraitKind.BASKET: _EVENTFUL,
    TraitKind.INTEREST: _EVENTFUL,
    TraitKind.TENURE: {"phrases": dict},
}
TENURES = ("new", "year", "years")
DEFAULT_EVENT: Mapping[str, str] = {
    TraitKind.PURCHASE: "purchased",
    TraitKind.CATEGORY: "purchased",
    TraitKind.RHYTHM: "purchased",
    TraitKind.RECENCY: "purchased",
    TraitKind.BASKET: "cart_left",
    TraitKind.INTEREST: "viewed",
}
_HOLE = re.compile(r"\{([^{}]*)\}")
# Attributes of these names say who or where somebody is: never in words, whatever the value.
_IDENTIFIES = word_set(
    """name names surname forename firstname lastname fullname email mail phone telephone mobile address street
    postcode postal zip birthday birthdate dob born age ip id username login"""
)

DEFAULT_RULES: tuple[dict[str, Any], ...] = (
    {
        "name": "Left in the basket",
        "kind": TraitKind.BASKET,
        "position": 10,
        "settings": {"phrase": "left {product} in the basket", "within_days": 45, "limit": 1},
    },
    {
        "name": "Bought, and when",
        "kind": TraitKind.PURCHASE,
        "position": 20,
        "settings": {"phrase": "bought {product} {season}", "within_days": 1100, "limit": 2},
    },
    {
        "name": "Asked about",
        "kind": TraitKind.INTEREST,
        "position": 30,
        "settings": {
            "phrase": "asked about {product}",
            "event": "asked_about",
            "within_days": 120,
            "limit": 1,
        },
    },
    {
        "name": "Looked at again and again",
        "kind": TraitKind.INTEREST,
        "position": 40,
        "settings": {"phrase": "has been looking at {product}", "within_days": 60, "at_least": 2, "limit": 1},
    },
    {
        "name": "Favourite category",
        "kind": TraitKind.CATEGORY,
        "position": 50,
        "settings": {"phrase": "keeps coming back for {category}", "at_least": 3, "limit": 1},
    },
    {
        "name": "How often",
        "kind": TraitKind.RHYTHM,
        "position": 60,
        "settings": {"phrase": "orders {rhythm}", "past_phrase": "used to order {rhythm}", "at_least": 3},
    },
    {
        "name": "Away for long",
        "kind": TraitKind.RECENCY,
        "position": 70,
        "settings": {"phrase": "has not been back {since}", "after_days": 120},
    },
    {
        "name": "How long with us",
        "kind": TraitKind.TENURE,
        "position": 90,
        "settings": {
            "phrases": {
                "new": "joined not long ago",
                "year": "has been a customer for over a year",
                "years": "has been a customer for years",
            }
        },
    },
)


@transaction.atomic
def install_trait_rules(rules: Iterable[Mapping[str, Any]] = DEFAULT_RULES) -> int:
    """Add the given rules (those a workspace starts with) that no rule of the same name stands for; how many.
    Rules a person changed or switched off stay as they are."""
    added = 0
    for given in rules:
        rule = TraitRule(**given)
        check_rule(rule)
        _, made = TraitRule.objects.get_or_create(
            name=rule.name,
            defaults={"kind": rule.kind, "settings": rule.settings, "position": rule.position},
        )
        added += made
    return added


def check_rule(rule: TraitRule) -> None:
    """Raise InvalidInput, naming the setting, for a rule that could say what no trait may."""
    if rule.kind not in SETTINGS:
        raise InvalidInput(f"'{rule.kind}' is not a kind of trait.", field="kind")
    settings = rule.settings
    if not isinstance(settings, dict):
        raise InvalidInput("The settings are a JSON object.", field="settings")
    allowed = SETTINGS[rule.kind]
    for key, value in settings.items():
        if key not in allowed:
            raise _bad(f"has no '{key}'; it takes {', '.join(allowed)}")
        if not isinstance(value, allowed[key]) or isinstance(value, bool):
            raise _bad(f"'{key}' must be {_NAMES[allowed[key]]}")
        if isinstance(value, int) and not 1 <= value <= 10_000:
            raise _bad(f"'{key}' must be between 1 and 10000")
    for where, phrase in phrases_of(settings):
        _check_phrase(rule.kind, where, phrase)
    if rule.kind == TraitKind.ATTRIBUTE:
        _check_attribute(settings)
    elif rule.kind == TraitKind.TENURE:
        unknown = set(settings.get("phrases", {})) - set(TENURES)
        if unknown or not settings.get("phrases"):
            raise _bad(f"'phrases' maps {', '.join(TENURES)} to words")
    elif "phrase" not in settings:
        raise _bad("needs a 'phrase'")
    if "event" in settings and not re.fullmatch(r"[a-z][a-z0-9_]{0,63}", settings["event"]):
        raise _bad("'event' must be the name of an event, such as purchased")


_NAMES = {str: "text", int: "a whole number", dict: "an object", list: "a list"}


def phrases_of(settings: Mapping[str, Any]) -> list[tuple[str, object]]:
    """(where, phrase) of everything a rule may say."""
    found: list[tuple[str, object]] = [
        (key, settings[key]) for key in ("phrase", "past_phrase") if key in settings
    ]
    found += [(f"phrases.{key}", phrase) for key, phrase in (settings.get("phrases") or {}).items()]
    for place, band in enumerate(settings.get("bands") or []):
        found.append((f"bands[{place}].phrase", band.get("phrase") if isinstance(band, dict) else None))
    return found


def _check_phrase(kind: str, where: str, phrase: object) -> None:
    if not isinstance(phrase, str) or not phrase.strip():
        raise _bad(f"'{where}' must be some words")
    holes = _HOLE.findall(phrase)
    for hole in holes:
        if hole not in HOLES[kind]:
            known = ", ".join(f"{{{name}}}" for name in HOLES[kind]) or "none"
            raise _bad(f"'{where}' has a hole {{{hole}}} that nothing fills; there is: {known}")
    bare = _HOLE.sub("x", phrase)
    if not words.is_sayable(bare):
        raise _bad(
            f"'{where}' must be at most {words.MAX_TRAIT} characters without digits, signs, links or braces"
        )


def _check_attribute(settings: Mapping[str, Any]) -> None:
    name = settings.get("attribute", "")
    definition = AttributeDefinition.objects.filter(name=name).first()
    if definition is None:
        raise _bad(f"speaks of an attribute '{name}' that nobody defined")
    if definition.is_protected:
        raise _bad(f"speaks of '{name}', which is protected: nothing may ever be said of it")
    if is_secret_name(name) or not _IDENTIFIES.isdisjoint(name.split("_")):
        raise _bad(f"speaks of '{name}', which tells who or where somebody is")
    given = [key for key in ("phrase", "phrases", "bands") if settings.get(key)]
    if len(given) != 1:
        raise _bad("takes one of 'phrases' (a phrase for each value), 'bands' (for numbers) or 'phrase'")
    if given == ["bands"]:
        for place, band in enumerate(settings["bands"]):
            limit = band.get("up_to") if isinstance(band, dict) else None
            last = place == len(settings["bands"]) - 1
            if not isinstance(limit, (int, float)) and not (last and limit is None):
                raise _bad(f"'bands[{place}]' needs a number 'up_to' (the last one may do without)")
    if given == ["phrase"] and "{value}" not in settings["phrase"]:
        raise _bad("'phrase' needs {value}; for the same words whatever the value use 'phrases'")


def _bad(what: str) -> InvalidInput:
    return InvalidInput(f"The rule {what}." if not what.startswith("'") else f"{what}.", field="settings")
