"""A segment's filter in plain English."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from campaigns.models import AttributeDefinition, Channel
from campaigns.segments.conditions import FIELDS, OPERATORS, check

_LABELS = {
    "lifecycle": "lifecycle",
    "locale": "locale",
    "time_zone": "time zone",
    "external_id": "id",
    "created_at": "the day they came in",
}


def describe(filter: object) -> str:
    """The filter in plain English: "people whose lifecycle is lapsed and who did 'purchased' at least twice …".

    Raises InvalidInput as `check`.
    """
    check(filter)
    if filter == {}:
        return "everybody"
    assert isinstance(filter, dict)
    labels = dict(AttributeDefinition.objects.values_list("name", "label"))
    return f"people {_words(filter, labels, outer=True)}"


def _words(node: dict[str, Any], labels: Mapping[str, str], *, outer: bool = False) -> str:
    for key, joiner in (("all", " and "), ("any", " or ")):
        if key in node:
            parts = [_words(part, labels) for part in node[key]]
            text = joiner.join(parts)
            return text if outer or len(parts) == 1 else f"({text})"
    if "not" in node:
        return f"not ({_words(node['not'], labels, outer=True)})"
    if "field" in node:
        return _field_words(node, labels)
    if "bucket" in node:
        return f"who are in the part {node.get('from', 0)}–{node['to']} % of the split '{node['bucket']}'"
    verb = "did" if "did" in node else "did_not"
    what = node[verb].replace("_", " ")
    text = f"who {'did' if verb == 'did' else 'did not do'} '{what}'"
    if "category" in node:
        text += f" in {node['category']}"
    if "sku" in node:
        text += f" with the product {node['sku']}"
    times = node.get("at_least", 1)
    if times > 1:
        text += " at least twice" if times == 2 else f" at least {times} times"
    if "at_most" in node:
        text += f"{' and' if times > 1 else ''} at most {node['at_most']} times"
    if "since" in node:
        text += f" since {node['since']}"
    if "until" in node:
        text += f" until {node['until']}"
    if "days" in node:
        text += f" in the last {node['days']} days"
    return text


def _field_words(node: dict[str, Any], labels: Mapping[str, str]) -> str:
    name, operator, value = node["field"], node["op"], node.get("value")
    if name in ("has_email", "has_phone"):
        what = "an e-mail address" if name == "has_email" else "a telephone number"
        return f"who have {what}" if value or operator == "is_set" else f"who have not {what}"
    if name.startswith("consent."):
        channel = Channel(name.removeprefix("consent.")).label
        purpose = f" for {node['purpose']}" if "purpose" in node else ""
        return f"whose consent to {channel}{purpose} {'is' if operator == 'is' else 'is not'} {value}"
    label = _LABELS.get(name) or labels.get(name.removeprefix("attributes."), name).lower()
    kind = FIELDS.get(name) or _kind_of(operator)
    text = OPERATORS[kind][operator]
    shown = " or ".join(map(str, value)) if isinstance(value, list) else str(value)
    if isinstance(value, bool):
        shown = "yes" if value else "no"
    return f"whose {label} {text.format(shown)}"


def _kind_of(operator: str) -> str:
    """An operator says the same in whatever kind has it."""
    return next(kind for kind, operators in OPERATORS.items() if operator in operators)
