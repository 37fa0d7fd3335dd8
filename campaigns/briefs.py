"""The brief: what is wrong with it, and the frozen form that the writer and every later step read."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from django.utils import timezone

from campaigns.models import Campaign, Fact, Value, ValueKind
from campaigns.models.channels import AD_CHANNELS, PERSONAL_CHANNELS

PLACEHOLDER = re.compile(r"\{\{([a-z][a-z0-9_]*)\}\}")
# The reader's own, filled at rendering; a brief may use it in no fact.
RESERVED = frozenset({"first_name"})
_CURRENCY = re.compile(r"[%‰]|\b(?:EUR|USD|GBP|CHF)\b", re.IGNORECASE)
_ADDRESS = re.compile(r"https?://|www\.|[\w.]+@\w", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that keeps a campaign from being launched. `field` is the form's, `message` says the remedy."""

    field: str
    message: str


def problems(campaign: Campaign, *, now: datetime | None = None) -> list[Problem]:
    """Everything that must be mended before launch, in the order of the form. Empty: it may be launched."""
    now = now or timezone.now()
    facts = list(campaign.facts.order_by("position", "id"))
    values = list(campaign.values.order_by("name"))
    found = [*_words(campaign)]
    found += _of_facts(facts, {value.name for value in values}, now)
    found += _of_values(values, now)
    found += _of_references(campaign, facts, values)
    found += _of_audience(campaign)
    return found


def freeze(campaign: Campaign) -> dict[str, Any]:
    """The brief as Run.brief keeps it: plain JSON, ids given to the facts in their order."""
    brand = campaign.brand
    return {
        "brand": {"name": brand.name, "about": brand.about, "voice": brand.voice, "avoid": list(brand.avoid)},
        "goal": campaign.goal,
        "facts": [
            {"id": f"f{number}", "text": fact.text}
            for number, fact in enumerate(campaign.facts.order_by("position", "id"), start=1)
        ],
        "values": [
            {"name": value.name, "text": value.text, "kind": value.kind}
            for value in campaign.values.order_by("name")
        ],
        "cta": campaign.cta,
        "cta_link": campaign.cta_link,
        "must_mention": list(campaign.must_mention),
        "audience": campaign.audience,
    }


def brief_hash(brief: dict[str, Any]) -> str:
    """sha256 of the canonical JSON: the same words give the same hash on any machine."""
    canonical = json.dumps(brief, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def bare_number(text: str) -> str:
    """The first digit, number sign, currency sign, percent or address outside `{{values}}`, or ''."""
    outside = PLACEHOLDER.sub(" ", text)
    for character in outside:
        if character.isnumeric() or unicodedata.category(character) == "Sc":
            return character
    for pattern in (_CURRENCY, _ADDRESS):
        if match := pattern.search(outside):
            return match.group()
    return ""


def _words(campaign: Campaign) -> Iterator[Problem]:
    for field, text in (("goal", campaign.goal), ("cta", campaign.cta), ("audience", campaign.audience)):
        if bare := bare_number(text):
            yield Problem(field, f"'{bare}' is written out here. Numbers, prices and links belong in values.")
    if not campaign.goal.strip():
        yield Problem("goal", "Say in one sentence what the campaign is for.")
    if not campaign.cta.strip():
        yield Problem("cta", "Give the words for the button, such as 'See the new roast'.")


def _of_facts(facts: list[Fact], names: set[str], now: datetime) -> Iterator[Problem]:
    if not facts:
        yield Problem("facts", "Add at least one fact: the writer may say nothing that is not a fact.")
    for number, fact in enumerate(facts, start=1):
        if bare := bare_number(fact.text):
            yield Problem(
                "facts",
                f"Fact {number} holds '{bare}'. Make it a value and write its name, such as {{{{price}}}}.",
            )
        if fact.valid_until and fact.valid_until <= now:
            yield Problem(
                "facts",
                f"Fact {number} was true until {fact.valid_until:%d %B %Y}. Renew it or take it out.",
            )
        used = set(PLACEHOLDER.findall(fact.text))
        for name in sorted(used - names):
            remedy = "it is filled in for each reader" if name in RESERVED else "add a value of that name"
            yield Problem(
                "facts", f"Fact {number} uses {{{{{name}}}}}, which is no value of this campaign: {remedy}."
            )
        if "{" in PLACEHOLDER.sub("", fact.text) or "}" in PLACEHOLDER.sub("", fact.text):
            yield Problem("facts", f"Fact {number} has a stray brace. Values are written {{{{like_this}}}}.")


def _of_values(values: list[Value], now: datetime) -> Iterator[Problem]:
    for value in values:
        if any(ord(character) < 32 for character in value.text) or "{{" in value.text:
            yield Problem(
                "values", f"The value {value.name} holds a line break or braces. Write it on one line."
            )
        if value.valid_until and value.valid_until <= now:
            yield Problem(
                "values", f"The value {value.name} was valid until {value.valid_until:%d %B %Y}. Renew it."
            )
        if value.kind == ValueKind.LINK and not _is_web_address(value.text):
            yield Problem(
                "values", f"The value {value.name} is a link and must be a whole address: https://…"
            )


def _of_references(campaign: Campaign, facts: list[Fact], values: list[Value]) -> Iterator[Problem]:
    by_name = {value.name: value for value in values}
    link = by_name.get(campaign.cta_link)
    if link is None:
        yield Problem("cta_link", f"There is no value named {campaign.cta_link}. Add it, of the kind link.")
    elif link.kind != ValueKind.LINK:
        yield Problem("cta_link", f"The value {campaign.cta_link} is not of the kind link.")
    said = {name for fact in facts for name in PLACEHOLDER.findall(fact.text)}
    for name in campaign.must_mention:
        if name not in by_name:
            yield Problem("must_mention", f"There is no value named {name}.")
        elif by_name[name].kind == ValueKind.LINK and name != campaign.cta_link:
            yield Problem(
                "must_mention",
                f"{name} is a link: the copy can only link to {campaign.cta_link}, by its button.",
            )
        elif name not in said:
            yield Problem("must_mention", f"No fact says {{{{{name}}}}}, so the writer cannot mention it.")


def _of_audience(campaign: Campaign) -> Iterator[Problem]:
    if not campaign.channels:
        yield Problem("channels", "Choose at least one channel.")
    if campaign.segment_id is None and set(campaign.channels) & set(PERSONAL_CHANNELS):
        yield Problem("segment", "Choose a segment: these channels write to each reader in it.")
    if not campaign.audience.strip() and set(campaign.channels) & set(AD_CHANNELS):
        yield Problem("audience", "Say in words who the ads are for, such as 'people looking for a stove'.")


def _is_web_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and not any(map(str.isspace, text))
