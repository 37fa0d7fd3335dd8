"""How a piece is built: lengths, beginnings and ends, nothing said twice."""

from __future__ import annotations

import re
from collections.abc import Iterator

from generation.writer import channels, values
from generation.writer.checks.copy import Copy, Place, Rule, finding
from generation.writer.sentences import BREAKS, ends_finished, last_word, normal, sentences, word_set
from generation.writer.types import Channel, Finding, Severity


def lengths(copy: Copy) -> Iterator[Finding]:
    """Filled lengths in the channel's own unit, and how many items a list field has."""
    texts = values.mapping(copy.brief)
    for spec in channels.SPECS[copy.channel].fields:
        value = copy.fields.get(spec.name, "")
        held = channels.items(value)
        severity = Severity.BLOCKING if spec.hard else Severity.WARNING
        for index, text in enumerate(held):
            filled = values.preview(text, texts)
            limit, size = channels.limit_of(spec, filled), channels.length(filled, spec.measure)
            place = (spec.name, index, text)
            if size > limit:
                unit = spec.measure.value.replace("_", " ")
                yield finding("length.over", severity, f"{size} {unit}, the limit is {limit}", place)
            elif size < spec.at_least:
                message = f"{size} words, {spec.at_least} are wanted"
                yield finding("length.under", Severity.WARNING, message, place)
        if spec.items and not spec.items[0] <= len(held) <= spec.items[1]:
            message = f"{len(held)} {spec.name}, wanted are {spec.items[0]} to {spec.items[1]}"
            yield Finding("length.items", Severity.BLOCKING, message, spec.name)


def empty(copy: Copy) -> Iterator[Finding]:
    for spec in channels.SPECS[copy.channel].fields:
        for index, text in enumerate(channels.items(copy.fields.get(spec.name, ""))):
            if not values.REFERENCE.sub("x", text).strip(" \n.,;:!?-\"'"):
                yield Finding("shape.empty", Severity.BLOCKING, f"{spec.name} is empty", spec.name, index)


_WITHOUT_END = {"subject", "headlines", "headline", "description", "title"}  # titles need no full stop
# A verb or preposition may end a text that has its subject or object before it: "titles to choose from", "ready when
# you are", "the book you asked for".
_STRANDED = re.compile(
    r"\b(?:to [^\W\d_]+|you(?:['’]\w+)?|we|they|it|he|she|that|which|who|what|how|where|"
    r"someone|something|about|sit|one)\b.*\b(?:for|from|with|without|of|is|are|was|were|than)$"
    r"|\b(?:about|like|do|with) that$|\b(?:this|that|here) (?:it|they) (?:is|are)$|\bit is$",
    re.IGNORECASE,
)


def unfinished(copy: Copy) -> Iterator[Finding]:
    """A text or unit that breaks off."""
    broken = {u.text for u in copy.units if u.label in channels.SENTENCE_LABELS and not ends_finished(u.text)}
    for place in copy.texts:
        name, _, text = place
        if not text.strip():
            continue
        tail = text.rstrip()
        if not tail.endswith("}}") and not ends_finished(tail) and last_word(tail) in BREAKS:
            stranded = name in _WITHOUT_END and _STRANDED.search(tail) is not None
            severity = Severity.WARNING if stranded else Severity.BLOCKING
            yield finding("shape.unfinished", severity, "the text breaks off", place)
        elif name not in _WITHOUT_END and not tail.endswith("}}") and not ends_finished(tail):
            yield finding("shape.no_end", Severity.WARNING, "no full stop at the end", place)
        for unit_text in broken:
            at = text.find(unit_text)
            if unit_text and at >= 0 and name == "body" and not unit_text.endswith("}}"):
                span = (at, at + len(unit_text))
                yield finding("shape.unfinished", Severity.BLOCKING, "the sentence breaks off", place, span)


def repeated_sentences(copy: Copy) -> Iterator[Finding]:
    """A sentence said twice in one text (blocking) or in two of them, and a long phrase said twice (warnings)."""
    said: dict[str, tuple[str, int]] = {}
    phrases: set[tuple[str, ...]] = set()
    for place in copy.texts:
        for start, sentence in sentences(place[2]):
            span = (start, start + len(sentence))
            wording = normal(sentence)
            words = wording.split()
            if len(words) > 2 and wording in said:
                severity = Severity.BLOCKING if said[wording] == place[:2] else Severity.WARNING
                yield finding("repetition.sentence", severity, "said before", place, span)
                continue
            said[wording] = place[:2]
            grams = {tuple(words[i : i + 7]) for i in range(len(words) - 6)}
            if grams & phrases:
                message = "a long phrase said before"
                yield finding("repetition.phrase", Severity.WARNING, message, place, span)
            phrases |= grams


_TWICE = word_set("that had very bye so hello hi la toot ha ho no knock choo tick ding yum woof now there")
_DOUBLED = re.compile(r"\b([^\W\d_]+)(?:\s+\1\b)+", re.IGNORECASE)


def repeated_words(copy: Copy) -> Iterator[Finding]:
    """A word or a short phrase doubled, unless something told doubles it itself (a product named Demi Demi)."""
    told = "\n".join(
        [copy.brief.brand.name, *(f.text for f in copy.brief.facts), *(p.name for p in copy.products)]
    ).lower()
    for place in copy.texts:
        for match in _DOUBLED.finditer(place[2]):
            doubled = f"{match.group(1)} {match.group(1)}".lower()
            if match.group(1).lower() not in _TWICE and doubled not in told:
                yield finding("repetition.word", Severity.BLOCKING, "a word doubled", place, match.span())
        for start, end, comma in _loops(place[2]):
            severity = Severity.WARNING if comma else Severity.BLOCKING
            yield finding("repetition.loop", severity, "a phrase doubled", place, (start, end))


def _loops(text: str) -> Iterator[tuple[int, int, bool]]:
    """Spans of two to six words said twice running, and whether a comma parts the two ("we grind, we grind").

    By words: a regular expression would take quadratic time. A value is one word.
    """
    words = [
        (m.group(0).lower(), m.start(), m.end()) for m in re.finditer(r"\{\{\w+\}\}|\w+|[.:;!?\n]", text)
    ]
    for size in range(2, 7):
        for i in range(len(words) - 2 * size + 1):
            one, other = words[i : i + size], words[i + size : i + 2 * size]
            if [w[0] for w in one] == [w[0] for w in other] and all(w[0][0] not in ".:;!?\n" for w in one):
                if len({w[0] for w in one}) == 1:
                    continue  # one word again and again: repetition.word
                yield one[0][1], other[-1][2], "," in text[one[-1][2] : other[0][1]]


def identical_items(copy: Copy) -> Iterator[Finding]:
    """Headlines or descriptions that say the same words."""
    for name, value in copy.fields.items():
        if not isinstance(value, list):
            continue
        seen: dict[str, int] = {}
        for index, text in enumerate(value):
            wording = normal(text)
            if wording and wording in seen:
                message = f"the same as number {seen[wording] + 1}"
                yield finding("shape.identical", Severity.BLOCKING, message, (name, index, text))
            seen.setdefault(wording, index)


def shouting(copy: Copy) -> Iterator[Finding]:
    for place in copy.texts:
        for match in re.finditer(r"\b[A-Z]{3,}(?:\s+[A-Z]{2,}){2,}\b", place[2]):
            yield finding("words.shouting", Severity.WARNING, "capitals throughout", place, match.span())
        if _is_google_headline(copy, place) and "!" in place[2]:
            message = "Google refuses exclamation marks in headlines"
            yield finding("shape.exclamation", Severity.BLOCKING, message, place)


def _is_google_headline(copy: Copy, place: Place) -> bool:
    return copy.channel is Channel.GOOGLE_RSA and place[0] == "headlines"


RULES: tuple[Rule, ...] = (
    lengths,
    empty,
    unfinished,
    repeated_sentences,
    repeated_words,
    identical_items,
    shouting,
)
