"""Which text a unit may hold, judged from the outside: for writers whose tokens are not ours to ban.

The same promises as constraints.py, which keeps them while decoding: no digit of any script, no sign of money or
percent, no address, no markup, no name but those of the unit's plan, each at most once, the required ones in it, the
limit kept with the values filled in. What a server sends is judged here and never trusted.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from generation.writer import channels, checks, prompts, values
from generation.writer.checks import exact, shape, support, words
from generation.writer.trimming import trim
from generation.writer.types import Brief, Channel, Fields, Plan, PlanUnit, Request, Severity, WrittenUnit
from generation.writer.vocabulary import After, allowed, follows, kind, text_length

LONGEST_ANSWER = 4_000  # characters of an answer that are looked at
MOST_WORDS = 40  # in one unit, where the field has no limit in characters
LEAST_WORDS = 12  # what each unit of a field that is limited in words can count on


@dataclass(frozen=True, slots=True)
class UnitRules:
    """What holds for one unit. Lengths are those of `text_length`, `costs` those of the filled values."""

    names: tuple[str, ...]
    required: tuple[str, ...]
    costs: Mapping[str, int]
    limit: int  # 0 for none
    words: int  # most words
    least_words: int
    sentences: int
    sentence: bool  # ends in a full stop
    gsm7: bool
    exclaim: bool


def limit_of(brief: Brief, request: Request, plan: Plan, unit: PlanUnit) -> int:
    """How long the unit's text may be, in its channel's measure; 0 where words are counted over the whole field."""
    spec = channels.SPECS[request.channel].field_of(unit.label)
    texts = values.mapping(brief)
    limit = 0 if spec.measure is channels.Measure.WORDS else spec.limit
    if spec.measure is channels.Measure.SEPTETS:
        shown = [texts[n] for u in plan for n in (*u.values, *values.names(u.text)) if n in texts]
        if not all(map(channels.is_gsm7, shown)):
            limit = channels.UCS2_SEGMENT
    for other in plan:  # what shares the field: the link of a text message
        if other is not unit and limit and not spec.items and other.label in spec.labels:
            limit -= channels.filled_length(other.text, spec, texts) + 1
    return limit


def rules_for(
    brief: Brief, request: Request, plan: Plan, at: int, written: Sequence[WrittenUnit] = ()
) -> UnitRules:
    """The rules of the plan's unit number `at`, with `written` standing before it."""
    unit = plan[at]
    spec = channels.SPECS[request.channel].field_of(unit.label)
    texts = values.mapping(brief)
    limit, most = limit_of(brief, request, plan, unit), MOST_WORDS
    if spec.measure is channels.Measure.WORDS:
        said = sum(channels.filled_length(u.text, spec, texts) for u in written if u.label in spec.labels)
        ahead = sum(u.label in spec.labels for u in plan[at + 1 :])
        most = max(LEAST_WORDS, min(MOST_WORDS, spec.limit - said - LEAST_WORDS * ahead))
    avoids_exclaiming = any(a.lower().startswith("exclamation") for a in brief.brand.avoid)
    return UnitRules(
        names=tuple(n for n in unit.values if n in texts),
        required=tuple(n for n in unit.required if n in texts),
        costs={n: channels.length(texts[n], spec.measure) for n in unit.values if n in texts},
        limit=limit,
        words=most,
        least_words=channels.least_words(unit.label),
        sentences=channels.MOST_SENTENCES.get(unit.label, 1),
        sentence=unit.label in channels.SENTENCE_LABELS,
        gsm7=request.channel is Channel.SMS,
        exclaim=unit.label != "H" and not avoids_exclaiming,
    )


# -- the judge --------------------------------------------------------------------------------------------------


def legal(text: str, rules: UnitRules) -> bool:
    """Whether `text` may stand as it is: its characters, its values, its length and its end."""
    size = _size(text, rules)
    if size is None or (rules.limit and size > rules.limit):
        return False
    if not set(rules.required) <= set(values.names(text)):
        return False
    if text != text.strip() or not rules.least_words <= len(text.split()) <= rules.words:
        return False
    if sum(1 for _ in checks.sentences(text)) > rules.sentences:
        return False
    return not rules.sentence or checks.ends_finished(text)


# Letters and marks to Unicode, and nothing to the eye.
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U00010000-\U0010ffff]"
)


def _size(text: str, rules: UnitRules) -> int | None:
    """The text's length with its values filled in; None if a character or a name in it may not stand there."""
    if _INVISIBLE.search(text):
        return None
    before, run, used, at = After.START, 0, 0, 0
    left = set(rules.names)
    while at < len(text):
        found = values.REFERENCE.match(text, at)
        if found:
            name = found.group(1)
            if name not in left or not follows(before, "{"):
                return None
            left.remove(name)
            before, run, used, at = After.VALUE, 0, used + rules.costs[name], found.end()
            continue
        char = text[at]
        run = run + 1 if char in "wW" else 0
        if run > 2 or not allowed(char, rules.gsm7, rules.exclaim) or not follows(before, char):
            return None
        before, used, at = kind(char), used + text_length(char), at + 1
    return used


_RULES = (*exact.RULES, *shape.RULES, *words.RULES, *support.RULES)  # grammar never blocks
_OF_THE_WHOLE = ("length.", "shape.", "values.missing", "button.")


def objections(text: str, brief: Brief, request: Request, unit: PlanUnit) -> list[str]:
    """Rules of checks.py that would stop a piece with this unit, those about the piece as a whole left out."""
    spec = channels.SPECS[request.channel].field_of(unit.label)
    fields: Fields = {spec.name: [text] if spec.items else text}
    copy = checks.Copy(brief, request.channel, fields, request.reader, (), request.products)
    return [
        f.rule
        for rule in _RULES
        for f in rule(copy)
        if f.severity is Severity.BLOCKING and f.field == spec.name and not f.rule.startswith(_OF_THE_WHOLE)
    ]


# -- from an answer to a text -----------------------------------------------------------------------------------

_NOTE = re.compile(r"^\s*(?:\[[^\]]*\]\s*|[-*•>#]+\s+)+")
_LABEL = re.compile(
    r"^(?:subject(?: line)?|preheader|sentence|headline|description|ad text|message|title|text|line)\s*:\s*",
    re.IGNORECASE,
)
_WRAPPED = "\"“”„«»*_`' "
_LOOSE = re.compile(r"\{\{?\s*([a-z][a-z0-9_]{0,39})\s*\}?\}")


def settled(answer: str, rules: UnitRules, texts: Mapping[str, str], *, cut: bool) -> str:
    """The line that an answer means, brought to a decent end; "" when nothing in it may stand.

    Chat models think aloud, quote, label and number what they write; that is taken off. A value written out (`$35`)
    becomes its name again, if this unit may say it. The text returned is legal.
    """
    if "<think>" in answer or "</think>" in answer:
        head, closed, tail = answer.rpartition("</think>")
        answer = tail if closed else head
    lines = [line for line in map(_undressed, answer[:LONGEST_ANSWER].splitlines()) if line]
    lines = [line for line in lines if not line.endswith(":")] or lines
    if not lines:
        return ""
    text = _values_back(unicodedata.normalize("NFC", lines[0]), rules, texts)
    text = re.sub(r"\s+", " ", text).strip()
    cut = cut and len(lines) == 1
    for part in _beginnings(text, rules.sentences):
        whole = part == text
        trimmed = trim(
            part,
            sentence=rules.sentence,
            cut=cut and whole,
            ended=not (cut and whole),
            required=rules.required,
        )
        if legal(trimmed, rules):
            return trimmed
    return ""


def _undressed(line: str) -> str:
    line = _NOTE.sub("", line).strip(_WRAPPED)
    return _LABEL.sub("", line).strip(_WRAPPED)


def _values_back(text: str, rules: UnitRules, texts: Mapping[str, str]) -> str:
    text = _LOOSE.sub(
        lambda m: values.reference(m.group(1)) if m.group(1) in rules.names else m.group(0), text
    )
    for name in sorted(rules.names, key=lambda n: -len(texts[n])):
        if values.reference(name) not in text and len(texts[name]) > 1:
            exact = rf"(?<![\w{{.,-]){re.escape(texts[name])}(?![\w}}]|[.,]\d)"
            text = re.sub(exact, lambda m, name=name: values.reference(name), text, count=1)  # type: ignore[misc]
    return text


def _beginnings(text: str, sentences: int) -> Iterator[str]:
    """The text's first sentences: as many as the unit may have, then fewer."""
    found = list(checks.sentences(text))
    for count in range(min(sentences, len(found)), 0, -1):
        start, sentence = found[count - 1]
        yield text[: start + len(sentence)] if count < len(found) else text


# -- when no answer will do -------------------------------------------------------------------------------------


def plainest(brief: Brief, request: Request, unit: PlanUnit, rules: UnitRules) -> str:
    """The unit in the plainest words, whatever brief and profile hold: what can be said of it within the rules.

    Legal but for the least number of words, except where the required values alone are longer than the limit.
    """
    loose = replace(rules, least_words=1)
    sources = (
        prompts.plainly(brief, request, unit),
        brief.cta,
        brief.brand.about,
        brief.brand.name,
        "Take a look at this",
    )
    legal_one = ""
    for source in sources:
        text = _fitted(source, loose)
        if legal(text, loose):
            if not objections(text, brief, request, unit):
                return text
            legal_one = legal_one or text
    return legal_one or text


def _fitted(source: str, rules: UnitRules) -> str:
    """As many words of the source as fit, each without the characters that may not stand, then the missing values."""
    text, cut = "", False
    for word in source.split():
        kept = "".join(_kept(word, rules))
        longer = f"{text} {kept}".strip()
        if (
            not kept
            or _size(longer, rules) is None
            or sum(1 for _ in checks.sentences(longer)) > rules.sentences
        ):
            continue
        if not _has_room(longer, rules):
            cut = True
            break
        text = longer
    text = text[:1].upper() + text[1:]
    text = trim(text, sentence=False, cut=False, ended=not cut, required=rules.required)
    missing = [values.reference(n) for n in rules.required if values.reference(n) not in text]
    if missing:
        text = " ".join([text.rstrip(" .,;:!?…。！？-–—"), *missing]).strip()
    if rules.sentence:
        text = trim(text, sentence=True, cut=False, ended=False, required=rules.required)
    return text


def _kept(word: str, rules: UnitRules) -> Iterator[str]:
    word = unicodedata.normalize("NFC", word)
    for number, part in enumerate(values.REFERENCE.split(word)):
        if number % 2:
            yield values.reference(part)
        else:
            yield "".join(
                c for c in part if allowed(c, rules.gsm7, rules.exclaim) and not _INVISIBLE.match(c)
            )


def _has_room(text: str, rules: UnitRules) -> bool:
    """Whether the missing values and a full stop still fit behind the text."""
    missing = [n for n in rules.required if values.reference(n) not in text]
    size = (_size(text, rules) or 0) + sum(rules.costs[n] + 1 for n in missing) + 1
    return (not rules.limit or size <= rules.limit) and len(text.split()) + len(missing) <= rules.words
