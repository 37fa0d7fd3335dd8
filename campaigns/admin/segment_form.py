"""What stands in the form of a segment: read from what was posted, and shown line by line with its choices."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from campaigns import consent, segments, traits
from campaigns.models import AttributeDefinition, Channel
from campaigns.models.channels import PERSONAL_CHANNELS
from campaigns.segments import builder, looking
from campaigns.segments.builder import Group, Row
from personalize.core.errors import InvalidInput

_ABOUT = {
    "lifecycle": "Lifecycle",
    "locale": "Language and country (locale)",
    "time_zone": "Time zone",
    "created_at": "The day they came in",
    "has_email": "Has an e-mail address",
    "has_phone": "Has a telephone number",
    "external_id": "Id in the CRM",
}
_MODES = (("all", "All of these are so"), ("any", "At least one is so"), ("none", "None of these is so"))
_ANSWERS = {
    "boolean": (("yes", "Yes"), ("no", "No")),
    "consent": (("given", "Given"), ("withdrawn", "Withdrawn"), ("never asked", "Never asked")),
}


@dataclass(slots=True)
class Typed:
    """The tree as typed. `did`: the button; `focus`: the place that it leads to."""

    root: Group
    kinds: Mapping[str, str]
    did: str = ""
    focus: str = ""
    json_error: str = ""

    def errors(self, *, strict: bool) -> dict[str, str]:
        """By place. Lines that were just added are errors only when it is to be saved."""
        found = builder.problems(self.root, self.kinds)
        if not strict:
            blank = {p.at for p in builder.parts_of(self.root) if isinstance(p, Row) and p.is_unfinished}
            found = {at: words for at, words in found.items() if at not in blank}
        if not found:
            try:
                segments.check(self.filter() if strict else self.usable_filter())
            except InvalidInput as error:
                found[builder.ROOT] = str(error)
        if self.json_error:
            found[builder.ROOT] = self.json_error
        return found

    def filter(self) -> dict[str, Any]:
        return builder.to_filter(self.root, self.kinds)

    def usable_filter(self) -> dict[str, Any]:
        """What can be counted already: without the lines that are not right yet."""
        wrong = builder.problems(self.root, self.kinds)
        wrong.pop(builder.ROOT, None)
        return builder.to_filter(builder.without(self.root, wrong), self.kinds)


def read(posted: Mapping[str, str] | None, saved: object) -> Typed:
    kinds = segments.fields()
    if posted is None:
        try:
            segments.check(saved)
        except InvalidInput as error:
            return Typed(Group(), kinds, json_error=f"The saved filter cannot be read any more: {error}")
        return Typed(builder.from_filter(saved), kinds)
    did = posted.get("do", "")
    typed = Typed(builder.from_form(posted), kinds, did)
    if did == "json":
        try:
            tree = json.loads(posted.get("json", ""))
            segments.check(tree)
            typed.root = builder.from_filter(tree)
        except (ValueError, RecursionError):
            typed.json_error = "That is not JSON."
        except InvalidInput as error:
            typed.json_error = str(error)
    elif ":" in did:
        typed.focus = builder.change(typed.root, did)
    return typed


def show(typed: Typed, *, strict: bool) -> dict[str, Any]:
    """The context of the builder's template."""
    errors = typed.errors(strict=strict)
    choices = _choices()
    lists: dict[str, list[str]] = {}
    tree = _group(typed.root, errors, typed.kinds, lists)
    return {
        "tree": tree,
        "choices": choices,
        "lists": lists,
        "error": errors.get(builder.ROOT, ""),
        "errors": errors,
        "json": json.dumps(builder.to_filter(typed.root, typed.kinds), indent=1, ensure_ascii=False),
    }


def _choices() -> list[tuple[str, list[tuple[str, str]]]]:
    """What a line may ask for, by heading."""
    allowed = segments.fields()
    named = AttributeDefinition.objects.order_by("label").values_list("name", "label")
    known = [(f"attributes.{name}", label) for name, label in named if f"attributes.{name}" in allowed]
    return [
        ("What they did", [("did", "Did something"), ("did_not", "Did not do something")]),
        ("About them", list(_ABOUT.items())),
        ("What you keep about them", known),
        ("Consent", [(f"consent.{c.value}", f"Consent to {Channel(c).label}") for c in PERSONAL_CHANNELS]),
        ("Parts of all people", [("bucket", "In a part of a split (hold-outs)")]),
    ]


def _group(
    group: Group, errors: Mapping[str, str], kinds: Mapping[str, str], lists: dict[str, list[str]]
) -> dict[str, Any]:
    return {
        "is_group": True,
        "at": group.at,
        "name": f"{builder.PREFIX}{group.at}",
        "mode": group.mode,
        "modes": _MODES,
        "is_root": group.at == builder.ROOT,
        "may_nest": group.at.count(".") < 3,
        "error": errors.get(group.at, "") if group.at != builder.ROOT else "",
        "parts": [
            _group(part, errors, kinds, lists)
            if isinstance(part, Group)
            else _row(part, errors, kinds, lists)
            for part in group.parts
        ],
    }


def _row(
    row: Row, errors: Mapping[str, str], kinds: Mapping[str, str], lists: dict[str, list[str]]
) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "at": row.at,
        "name": f"{builder.PREFIX}{row.at}",
        "what": row.what,
        "values": row.values,
        "error": errors.get(row.at, ""),
        "kind": row.what if row.what in ("did", "did_not", "bucket") else kinds.get(row.what, ""),
    }
    if row.what in ("did", "did_not"):
        lists.setdefault("events", looking.event_names())
        lists.setdefault("categories", looking.categories())
    elif shown["kind"] and row.what != "bucket":
        operators = segments.OPERATORS[shown["kind"]]
        op = builder.operator_of(row.values.get("op", ""), shown["kind"])
        shown |= {
            "op": op,
            "operators": [
                (name, words.replace(" {}", "").replace("{}", "…")) for name, words in operators.items()
            ],
            "input": _input(shown["kind"], op, "{}" in operators[op]),
            "answers": _ANSWERS.get(shown["kind"], ()),
            "value": row.values.get("value", ""),
            "purposes": consent.purposes() if shown["kind"] == "consent" else (),
        }
        if shown["input"] in ("text", "list"):
            shown["list"] = row.what.replace(".", "-")
            if shown["list"] not in lists:
                lists[shown["list"]] = (
                    list(traits.LIFECYCLES) if row.what == "lifecycle" else looking.values_of(row.what)
                )
    return shown


def _input(kind: str, op: str, wanted: bool) -> str:
    if not wanted:
        return "none"
    if op in ("one_of", "none_of"):
        return "list"
    return "days" if op in ("in_last_days", "not_in_last_days") else kind
