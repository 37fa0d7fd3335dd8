"""Named values: `{{name}}` in, exact text out. Plain replacement from an allow-list; nothing is ever evaluated."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from generation.writer.types import Brief, ValueKind

FIRST_NAME = "first_name"  # the reader's, put in at rendering; delivery decides what stands for a missing one
FIRST_NAME_STAND_IN = "Alexandra"  # what a name counts as while its length isn't known

NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
REFERENCE = re.compile(r"\{\{([a-z][a-z0-9_]{0,39})\}\}")
BRACES = re.compile(r"[{}]+")


class ValueProblem(ValueError):
    """A text names a value that does not exist, or its braces are not a value's."""


def is_name(name: str) -> bool:
    """Whether `name` may name a campaign's value: lower-case, at most 40 characters, not the reserved one."""
    return NAME.fullmatch(name) is not None and name != FIRST_NAME


def reference(name: str) -> str:
    return "{{" + name + "}}"


def names(text: str) -> list[str]:
    """Value names in the order they stand, repeats included."""
    return REFERENCE.findall(text)


def fill(text: str, mapping: Mapping[str, str]) -> str:
    """Put every value in, in one pass, so that a value's own braces stay what they are.

    Raises ValueProblem for a name that `mapping` lacks and for braces that are no `{{name}}`.
    """
    parts: list[str] = []
    at = 0
    for match in REFERENCE.finditer(text):
        parts.append(_plain(text[at : match.start()]))
        name = match.group(1)
        if name not in mapping:
            raise ValueProblem(f"no value is named {name!r}")
        parts.append(mapping[name])
        at = match.end()
    parts.append(_plain(text[at:]))
    return "".join(parts)


def _plain(text: str) -> str:
    if BRACES.search(text):
        raise ValueProblem("braces stand in the text that are no {{name}}")
    return text


def preview(text: str, mapping: Mapping[str, str]) -> str:
    """Like `fill`, for measuring: unknown names stay, and the reader's name has a usual length."""

    def put(match: re.Match[str]) -> str:
        name = match.group(1)
        if name == FIRST_NAME and name not in mapping:
            return FIRST_NAME_STAND_IN
        return mapping.get(name, match.group(0))

    return REFERENCE.sub(put, text)


def mapping(brief: Brief) -> dict[str, str]:
    """Name to text of a brief's values."""
    return {value.name: value.text for value in brief.values}


def links(brief: Brief) -> list[str]:
    """Names of the values that are links: placed by the layout, never written by the model."""
    return [value.name for value in brief.values if value.kind is ValueKind.LINK]


def show(text: str, mapping: Mapping[str, str]) -> str:
    """The text with each value's meaning beside its name, as the model reads it: `{{price}} ($35)`."""

    def put(match: re.Match[str]) -> str:
        shown = mapping.get(match.group(1))
        return match.group(0) if shown is None else f"{match.group(0)} ({shown})"

    return REFERENCE.sub(put, text)


def unique(found: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(found))
