"""A filter as a form of groups and rows, and back. What the page of segments shows is this, rendered.

Every control of row 0.2 (the third part of the first group) is named `n.r.0.2.<key>`; the whole form posts the
whole tree, so it works without a script. A group says all, any or none. `none` is not-any; a filter `{"not": x}`
with another x comes back as a none with that one part, which means the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from campaigns.models.privacy import MARKETING
from campaigns.segments.conditions import OPERATORS, check
from personalize.core.errors import InvalidInput

MODES = ("all", "any", "none")
PREFIX = "n."
ROOT = "r"
MOST_CONTROLS = 1_000
_NAME = re.compile(r"n\.(r(?:\.\d{1,3}){0,9})\.([a-z_]{1,12})")
_LIST = ("one_of", "none_of")
_DAYS = ("in_last_days", "not_in_last_days")
_FIRST = {"number": "at_least", "date": "in_last_days"}
_EVENT_TEXTS = ("event", "category", "sku", "since", "until")
_EVENT_NUMBERS = ("at_least", "at_most", "days")


@dataclass(slots=True)
class Row:
    """One condition, as typed: `what` is a field's name, did, did_not or bucket."""

    what: str = ""
    values: dict[str, str] = field(default_factory=dict)
    at: str = ""

    @property
    def is_blank(self) -> bool:
        """Just added: nothing was said yet."""
        return not self.what

    @property
    def is_unfinished(self) -> bool:
        """On the way: what it asks for is chosen, the answer is not typed yet."""
        return not any(self.values.get(key, "").strip() for key in ("value", "event", "split"))


@dataclass(slots=True)
class Group:
    mode: str = "all"
    parts: list[Group | Row] = field(default_factory=list)
    at: str = ROOT


# -- from the form -----------------------------------------------------------------------------------


def from_form(data: Mapping[str, str]) -> Group:
    """What was posted. Unknown names are left out; a part whose group is missing goes to the root."""
    nodes: dict[tuple[int, ...], dict[str, str]] = {}
    for name in list(data)[:MOST_CONTROLS]:
        if found := _NAME.fullmatch(name):
            path = tuple(int(step) for step in found[1].split(".")[1:])
            nodes.setdefault(path, {})[found[2]] = data[name]
    root = Group(mode=_mode(nodes.pop((), {}).get("mode")))
    groups: dict[tuple[int, ...], Group] = {(): root}
    for path in sorted(nodes):
        values = nodes[path]
        parent = groups.get(path[:-1], root)
        if "mode" in values:
            groups[path] = Group(mode=_mode(values["mode"]))
            parent.parts.append(groups[path])
        else:
            parent.parts.append(Row(values.pop("what", ""), values))
    return number(root)


def _mode(text: str | None) -> str:
    return text if text in MODES else "all"


def number(root: Group) -> Group:
    """Give each part its place; after every change of the tree."""

    def walk(group: Group) -> None:
        for place, part in enumerate(group.parts):
            part.at = f"{group.at}.{place}"
            if isinstance(part, Group):
                walk(part)

    walk(root)
    return root


def parts_of(root: Group) -> Iterator[Group | Row]:
    yield root
    for part in root.parts:
        if isinstance(part, Group):
            yield from parts_of(part)
        else:
            yield part


def change(root: Group, command: str) -> str:
    """Do what a button says (`add:r.0`, `group:r`, `remove:r.1`); the place that deserves the focus after it."""
    verb, _, at = command.partition(":")
    found = next((part for part in parts_of(root) if part.at == at), None)
    if verb in ("add", "group") and isinstance(found, Group):
        found.parts.append(Row() if verb == "add" else Group(mode="any", parts=[Row()]))
        number(root)
        last = found.parts[-1]
        return last.parts[0].at if isinstance(last, Group) else last.at
    if verb == "remove" and found is not None and found is not root:
        parent = next(p for p in parts_of(root) if isinstance(p, Group) and found in p.parts)
        parent.parts = [part for part in parent.parts if part is not found]
        number(root)
        return parent.parts[-1].at if parent.parts else parent.at
    return at


# -- to a filter -------------------------------------------------------------------------------------


def to_filter(root: Group, kinds: Mapping[str, str]) -> dict[str, Any]:
    """The tree; check it with `conditions.check`. Empty groups are left out, and so are rows just added."""
    return _tree(root, kinds) or {}


def _tree(part: Group | Row, kinds: Mapping[str, str]) -> dict[str, Any] | None:
    if isinstance(part, Row):
        return None if part.is_blank else row_filter(part, kinds)
    inner = [tree for each in part.parts if (tree := _tree(each, kinds))]
    if not inner:
        return None
    return {"not": {"any": inner}} if part.mode == "none" else {part.mode: inner}


def problems(root: Group, kinds: Mapping[str, str]) -> dict[str, str]:
    """What is wrong, by place. A row that was just added is not complete, which is no error before saving."""
    found = {}
    for part in parts_of(root):
        if isinstance(part, Row):
            if part.is_blank:
                found[part.at] = "Choose what it asks for, or take this line out."
                continue
            try:
                check(row_filter(part, kinds))
            except InvalidInput as error:
                found[part.at] = _first_upper(str(error))
        elif not part.parts and part is not root:
            found[part.at] = "This group is empty: add a condition, or take it out."
    return found


def _first_upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def without(root: Group, places: Mapping[str, str]) -> Group:
    """A copy without what stands at these places: the part of a form that can be counted already."""

    def keep(group: Group) -> Group:
        kept: list[Group | Row] = []
        for part in group.parts:
            if part.at not in places:
                kept.append(keep(part) if isinstance(part, Group) else part)
        return Group(group.mode, kept, group.at)

    return keep(root)


def row_filter(row: Row, kinds: Mapping[str, str]) -> dict[str, Any]:
    given = {key: text.strip() for key, text in row.values.items() if text.strip()}
    if row.what in ("did", "did_not"):
        tree: dict[str, Any] = {row.what: given.get("event", "")}
        tree |= {key: given[key] for key in _EVENT_TEXTS[1:] if key in given}
        tree |= {key: _number(given[key]) for key in _EVENT_NUMBERS if key in given}
        return tree
    if row.what == "bucket":
        return {
            "bucket": given.get("split", ""),
            "from": _number(given.get("from", "0")),
            "to": _number(given.get("to", "")),
        }
    kind = kinds.get(row.what, "text")
    operators = OPERATORS[kind]
    op = operator_of(given.get("op", ""), kind)
    tree = {"field": row.what, "op": op}
    if kind == "consent" and given.get("purpose", MARKETING) != MARKETING:
        tree["purpose"] = given["purpose"]
    if "{}" not in operators[op]:
        return tree
    text = given.get("value", "")
    if op in _LIST:
        return {**tree, "value": [line.strip() for line in text.splitlines() if line.strip()]}
    if kind == "boolean":
        return {**tree, "value": {"yes": True, "no": False}.get(text, text)}
    if kind == "number" or op in _DAYS:
        return {**tree, "value": _number(text)}
    return {**tree, "value": text}


def operator_of(given: str, kind: str) -> str:
    """The operator chosen, or the one that a new line of this kind begins with."""
    return given if given in OPERATORS[kind] else _FIRST.get(kind, next(iter(OPERATORS[kind])))


def _number(text: str) -> int | float | str:
    """The number that is written there, or the text, for the check to refuse."""
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            continue
    return text


# -- from a filter -----------------------------------------------------------------------------------


def from_filter(tree: object) -> Group:
    """A filter that `check` let through, as the form shows it."""
    part = _part(tree) if isinstance(tree, dict) and tree else Group()
    return number(part if isinstance(part, Group) else Group(parts=[part]))


def _part(tree: Mapping[str, Any]) -> Group | Row:
    if "not" in tree:
        inner = tree["not"]
        return Group("none", [_part(each) for each in inner["any"]] if "any" in inner else [_part(inner)])
    for mode in ("all", "any"):
        if mode in tree:
            return Group(mode, [_part(each) for each in tree[mode]])
    if "bucket" in tree:
        return Row(
            "bucket",
            {"split": tree["bucket"], "from": str(tree.get("from", 0)), "to": str(tree["to"])},
        )
    for verb in ("did", "did_not"):
        if verb in tree:
            rest = {key: str(value) for key, value in tree.items() if key != verb}
            return Row(verb, {"event": tree[verb], **rest})
    rest = {"purpose": tree["purpose"]} if "purpose" in tree else {}
    return Row(tree["field"], {"op": tree["op"], "value": _text(tree.get("value", "")), **rest})


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "\n".join(map(str, value)) if isinstance(value, list) else str(value)
