"""What must be exact: values, numbers, addresses, the button."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator

from generation.writer import channels, numerals, values
from generation.writer.checks.copy import Copy, Rule, finding
from generation.writer.sentences import sentences, word_set
from generation.writer.types import Channel, Finding, Severity


def unknown_values(copy: Copy) -> Iterator[Finding]:
    """Names that are no value of the brief, a name where none may stand, and braces that are no value."""
    known = set(values.mapping(copy.brief))
    for place in copy.texts:
        text = place[2]
        covered = [m.span() for m in values.REFERENCE.finditer(text)]
        for match in values.REFERENCE.finditer(text):
            name = match.group(1)
            if name == values.FIRST_NAME:
                if not channels.SPECS[copy.channel].first_name:
                    message = "an ad may not address a person by name"
                    yield finding("ads.first_name", Severity.BLOCKING, message, place, match.span())
            elif name not in known:
                message = f"{match.group(0)} is not a value of this campaign"
                yield finding("values.unknown", Severity.BLOCKING, message, place, match.span())
        for match in values.BRACES.finditer(text):
            if not any(start <= match.start() and match.end() <= end for start, end in covered):
                message = "braces that name no value"
                yield finding("values.malformed", Severity.BLOCKING, message, place, match.span())


def button(copy: Copy) -> Iterator[Finding]:
    """A button that is not the brief's: its words are decided once, with the campaign, and no rule reads them here."""
    said = copy.fields.get("cta", "")
    for index, text in enumerate(channels.items(said) if "cta" in copy.fields else []):
        if text != copy.brief.cta:
            message = f"the button is not the campaign's: {copy.brief.cta}"
            yield finding("button.changed", Severity.BLOCKING, message, ("cta", index, text))


def missing_values(copy: Copy) -> Iterator[Finding]:
    """Values that each piece must mention. A link stands behind the button or the ad, except in a text message."""
    said = {n for _, _, text in copy.texts for n in values.names(text)}
    behind = set() if copy.channel is Channel.SMS else set(values.links(copy.brief))
    for name in copy.brief.must_mention:
        if name not in said and name not in behind:
            message = f"{values.reference(name)} must be mentioned"
            yield Finding("values.missing", Severity.BLOCKING, message)


_JOINTS = word_set("and or is are was for from at to of with by than as but then only")


def repeated_values(copy: Copy) -> Iterator[Finding]:
    """The same value twice in one sentence ("{{deposit}} is {{deposit}}").

    Said of two things side by side ("{{reward}} off for you and {{reward}} off for them") it is a warning.
    """
    for place in copy.texts:
        for start, sentence in sentences(place[2]):
            for name, count in Counter(values.names(sentence)).items():
                if count > 1:
                    message = f"{values.reference(name)} stands twice in one sentence"
                    severity = Severity.WARNING if _side_by_side(sentence, name) else Severity.BLOCKING
                    span = (start, start + len(sentence))
                    yield finding("values.repeated", severity, message, place, span)


def _side_by_side(sentence: str, name: str) -> bool:
    pieces = sentence.split(values.reference(name))
    if len(pieces) != 3 or not re.search(r",|\band\b", pieces[1]):
        return False
    after = [re.match(r"\s*([^\W\d_]+)", piece) for piece in pieces[1:]]
    return all(m is not None and m.group(1).lower() not in _JOINTS for m in after)


def numbers(copy: Copy) -> Iterator[Finding]:
    """Digits and numerals of any script, fractions, currency and percent signs outside values."""
    for place in copy.texts:
        for start, end, kind in _outside(place[2], _number_kind):
            message = f"{kind} outside a value"
            yield finding("numbers.outside_values", Severity.BLOCKING, message, place, (start, end))


def _number_kind(char: str) -> str:
    # Wider than the categories of numbers: 五 is a letter to them.
    if char.isnumeric() or char in numerals.CJK or char in numerals.SIGNS:
        return "a number"
    if unicodedata.category(char) == "Sc":
        return "a currency sign"
    return "a percent sign" if char in "%٪‰‱％﹪" else ""


def _outside(text: str, kind_of: Callable[[str], str]) -> Iterator[tuple[int, int, str]]:
    """Runs of characters of one kind outside value references."""
    covered = [m.span() for m in values.REFERENCE.finditer(text)]
    at = 0
    while at < len(text):
        kind = kind_of(text[at])
        if not kind or any(start <= at < end for start, end in covered):
            at += 1
            continue
        end = at + 1
        while end < len(text) and kind_of(text[end]) == kind:
            end += 1
        yield at, end, kind
        at = end


_ADDRESS = re.compile(
    r"https?:|www\.|\S*@\S*|//|\b[\w-]+\.(?:[a-z]{2,}|xn--\w+)\b(?<!\be\.g)(?<!\bi\.e)(?<!\ba\.m)(?<!\bp\.m)",
    re.IGNORECASE,
)


def addresses(copy: Copy) -> Iterator[Finding]:
    """Links, domains, e-mail addresses and handles outside values."""
    for place in copy.texts:
        for match in _ADDRESS.finditer(place[2]):
            message = "an address outside a value"
            yield finding("links.outside_values", Severity.BLOCKING, message, place, match.span())


RULES: tuple[Rule, ...] = (
    unknown_values,
    button,
    missing_values,
    repeated_values,
    numbers,
    addresses,
)
