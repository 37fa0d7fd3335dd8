"""Words that may not stand in copy: those the brand avoids, coarse ones, markup and leftovers of the prompt."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from generation.writer import avoiding, profanity, values
from generation.writer.checks.copy import Copy, Rule, finding
from generation.writer.types import Finding, Severity


def avoided_words(copy: Copy) -> Iterator[Finding]:
    """Words the brand avoids; see avoiding.py."""
    for place in copy.texts:
        for entry, match in avoiding.found(copy.brief.brand.avoid, place[2]):
            message = f"the brand avoids “{entry}”"
            yield finding("words.avoided", Severity.BLOCKING, message, place, match.span())


def coarse_words(copy: Copy) -> Iterator[Finding]:
    """Profanity, unless the brand, a fact or a value says the word itself. What a CRM says licenses none."""
    brand = copy.brief.brand
    told = [brand.name, brand.about, brand.voice, copy.brief.goal, copy.brief.cta]
    told += [f.text for f in copy.brief.facts] + list(values.mapping(copy.brief).values())
    allowed = {text[start:end].lower() for text in told for _, _, start, end in profanity.find(text)}
    for place in copy.texts:
        for rule, strong, start, end in profanity.find(place[2]):
            if place[2][start:end].lower() not in allowed:
                severity = Severity.BLOCKING if strong else Severity.WARNING
                yield finding(rule, severity, "a coarse word", place, (start, end))


_MARKUP = re.compile(r"[<>\[\]`*_#|\\~^]")
_HIDDEN = frozenset(("Cc", "Cf", "Co", "Cn", "Cs", "Zl", "Zp"))


def markup(copy: Copy) -> Iterator[Finding]:
    """Markup, and characters no reader sees (control, direction, zero width)."""
    for place in copy.texts:
        outside = values.REFERENCE.sub(lambda m: " " * len(m.group(0)), place[2])
        for match in _MARKUP.finditer(outside):
            yield finding("leftover.markup", Severity.BLOCKING, "markup in the text", place, match.span())
        for at, char in enumerate(place[2]):
            newline = char == "\n" and place[0] == "body"
            if unicodedata.category(char) in _HIDDEN and not newline:
                yield finding("leftover.hidden", Severity.BLOCKING, "a hidden character", place, (at, at + 1))


_LEAK = re.compile(
    r"(?:^|\n|[.!?]\s)\s*(?:plan|say|write|subject|preheader|headline|description|reader|brief|facts?|brand|channel|"
    r"output|copy|user|assistant|system|instruction|answer|sentence)\s*:(?!\s*\{\{)"
    r"|\b(?:language model|as an ai|copywriter|system prompt|previous instructions?|above instructions?|"
    r"ignore (?:all|the|any|every)|im_start|im_end|endoftext|the readers?)\b|\b[frp]\d\b",
    re.IGNORECASE,
)


def leakage(copy: Copy) -> Iterator[Finding]:
    """Words of the prompt's own form, and of attempts to command the writer.

    "The reader" is a leftover unless the campaign is about one: a card reader, a magazine's.
    """
    brief = copy.brief
    told = [brief.brand.name, brief.brand.about, brief.goal, *(f.text for f in brief.facts)]
    readers = re.search(r"\b(?:e-?)?readers?\b", " ".join(told), re.IGNORECASE) is not None
    for place in copy.texts:
        for match in _LEAK.finditer(place[2]):
            if readers and match.group(0).lower().startswith("the reader"):
                continue
            message = "reads like an instruction, not like copy"
            yield finding("leftover.prompt", Severity.BLOCKING, message, place, match.span())


RULES: tuple[Rule, ...] = (avoided_words, coarse_words, markup, leakage)
