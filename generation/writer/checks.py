"""What is wrong with a piece: pure rules, each a function from the copy to findings with their place in it.

`check` runs them all. A rule's name is stable: it is stored, counted and shown. Claims have their own module,
claims.py; this one holds values, shape, words and leftovers.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from generation.writer import channels, claims, values
from generation.writer.types import (
    Brief,
    Channel,
    Draft,
    Fields,
    Finding,
    Product,
    Reader,
    Request,
    Severity,
    WrittenUnit,
)


@dataclass(frozen=True, slots=True)
class Copy:
    """A piece as the rules see it."""

    brief: Brief
    channel: Channel
    fields: Fields
    reader: Reader
    units: tuple[WrittenUnit, ...] = ()
    products: tuple[Product, ...] = ()
    texts: tuple[tuple[str, int, str], ...] = field(init=False)  # (field, index, text), the button left out

    def __post_init__(self) -> None:
        found = [
            (name, index, text)
            for name, value in self.fields.items()
            if name != "cta"
            for index, text in enumerate(channels.items(value))
        ]
        object.__setattr__(self, "texts", tuple(found))


Rule = Callable[[Copy], Iterator[Finding]]


def check(
    brief: Brief,
    channel: Channel,
    fields: Fields,
    reader: Reader,
    units: Sequence[WrittenUnit] = (),
    products: Sequence[Product] = (),
) -> list[Finding]:
    """Everything the rules find, blocking ones first. An empty list is a clean piece."""
    copy = Copy(brief, channel, fields, reader, tuple(units), tuple(products))
    found = list(dict.fromkeys(finding for rule in RULES for finding in rule(copy)))
    order = list(Severity)
    return sorted(found, key=lambda f: order.index(f.severity))


def check_draft(brief: Brief, request: Request, draft: Draft) -> list[Finding]:
    return check(brief, draft.channel, draft.fields, request.reader, draft.units, request.products)


def _finding(
    rule: str,
    severity: Severity,
    message: str,
    place: tuple[str, int, str],
    span: tuple[int, int] | None = None,
) -> Finding:
    name, index, text = place
    start, end = span or (0, len(text))
    return Finding(rule, severity, message, name, index, start, end)


# -- values -----------------------------------------------------------------------------------------------------


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
                    yield _finding(
                        "ads.first_name",
                        Severity.BLOCKING,
                        "an ad may not address a person by name",
                        place,
                        match.span(),
                    )
            elif name not in known:
                message = f"{match.group(0)} is not a value of this campaign"
                yield _finding("values.unknown", Severity.BLOCKING, message, place, match.span())
        for match in values.BRACES.finditer(text):
            if not any(start <= match.start() and match.end() <= end for start, end in covered):
                yield _finding(
                    "values.malformed", Severity.BLOCKING, "braces that name no value", place, match.span()
                )


def button(copy: Copy) -> Iterator[Finding]:
    """A button that is not the brief's: its words are decided once, with the campaign, and no rule reads them here."""
    said = copy.fields.get("cta", "")
    for index, text in enumerate(channels.items(said) if "cta" in copy.fields else []):
        if text != copy.brief.cta:
            message = f"the button is not the campaign's: {copy.brief.cta}"
            yield _finding("button.changed", Severity.BLOCKING, message, ("cta", index, text))


def missing_values(copy: Copy) -> Iterator[Finding]:
    """Values that each piece must mention. A link stands behind the button or the ad, except in a text message."""
    said = {n for _, _, text in copy.texts for n in values.names(text)}
    behind = set() if copy.channel is Channel.SMS else set(values.links(copy.brief))
    for name in copy.brief.must_mention:
        if name not in said and name not in behind:
            message = f"{values.reference(name)} must be mentioned"
            yield Finding("values.missing", Severity.BLOCKING, message)


def repeated_values(copy: Copy) -> Iterator[Finding]:
    """The same value twice in one sentence ("{{deposit}} is {{deposit}}")."""
    for place in copy.texts:
        for start, sentence in sentences(place[2]):
            for name, count in Counter(values.names(sentence)).items():
                if count > 1:
                    message = f"{values.reference(name)} stands twice in one sentence"
                    yield _finding(
                        "values.repeated", Severity.BLOCKING, message, place, (start, start + len(sentence))
                    )


def numbers(copy: Copy) -> Iterator[Finding]:
    """Digits of any script, currency and percent signs outside values."""
    for place in copy.texts:
        for start, end, kind in _outside(place[2], _number_kind):
            yield _finding(
                "numbers.outside_values", Severity.BLOCKING, f"{kind} outside a value", place, (start, end)
            )


def _number_kind(char: str) -> str:
    if char.isnumeric():  # wider than the categories of numbers: 五 is a letter to them
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
            yield _finding(
                "links.outside_values", Severity.BLOCKING, "an address outside a value", place, match.span()
            )


# -- shape ------------------------------------------------------------------------------------------------------


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
                yield _finding("length.over", severity, f"{size} {unit}, the limit is {limit}", place)
            elif size < spec.at_least:
                yield _finding(
                    "length.under", Severity.WARNING, f"{size} words, {spec.at_least} are wanted", place
                )
        if spec.items and not spec.items[0] <= len(held) <= spec.items[1]:
            message = f"{len(held)} {spec.name}, wanted are {spec.items[0]} to {spec.items[1]}"
            yield Finding("length.items", Severity.BLOCKING, message, spec.name)


def empty(copy: Copy) -> Iterator[Finding]:
    for spec in channels.SPECS[copy.channel].fields:
        for index, text in enumerate(channels.items(copy.fields.get(spec.name, ""))):
            if not values.REFERENCE.sub("x", text).strip(" \n.,;:!?-\"'"):
                yield Finding("shape.empty", Severity.BLOCKING, f"{spec.name} is empty", spec.name, index)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


BREAKS = _words(
    "a an the and or but nor of for from with without than if because while that which whose your our their its my "
    "is are was were very"
)  # words that end no text, not even a title
DANGLING = BREAKS | _words(
    "a an the and or but nor of to for from with without by at in on into onto as than if because while that "
    "which who whose your our their its my is are was were be been can could will would should may must has have "
    "had do does not any so very more most when where no until before after between about up it's you're we're i'm"
)
ENDINGS = (".", "!", "?", "…", "。", "！", "？")


def ends_finished(text: str) -> bool:
    """Whether a sentence has come to its end: a closing mark, quotes and brackets aside."""
    return text.rstrip(" )\"'”’»").endswith(ENDINGS)


def last_word(text: str) -> str:
    words = re.findall(r"[^\W\d_]+(?:['’][^\W\d_]+)*", text.lower())
    return words[-1].replace("’", "'") if words else ""


_WITHOUT_END = {"subject", "headlines", "headline", "description", "title"}  # titles need no full stop


def unfinished(copy: Copy) -> Iterator[Finding]:
    """A text or unit that breaks off."""
    broken = {u.text for u in copy.units if u.label in channels.SENTENCE_LABELS and not ends_finished(u.text)}
    for place in copy.texts:
        name, _, text = place
        if not text.strip():
            continue
        tail = text.rstrip()
        if not tail.endswith("}}") and not ends_finished(tail) and last_word(tail) in BREAKS:
            yield _finding("shape.unfinished", Severity.BLOCKING, "the text breaks off", place)
        elif name not in _WITHOUT_END and not tail.endswith("}}") and not ends_finished(tail):
            yield _finding("shape.no_end", Severity.WARNING, "no full stop at the end", place)
        for unit_text in broken:
            at = text.find(unit_text)
            if unit_text and at >= 0 and name == "body" and not unit_text.endswith("}}"):
                span = (at, at + len(unit_text))
                yield _finding("shape.unfinished", Severity.BLOCKING, "the sentence breaks off", place, span)


def sentences(text: str) -> Iterator[tuple[int, str]]:
    """Sentences with their offsets; a paragraph's end is a sentence's end."""
    for match in re.finditer(r"[^\s.!?…][^\n]*?(?:[.!?…]+(?=\s|$)|(?=\n|$))", text):
        yield match.start(), match.group(0)


def _normal(text: str) -> str:
    return " ".join(re.findall(r"\w+", unicodedata.normalize("NFKC", text).lower()))


def repetition(copy: Copy) -> Iterator[Finding]:
    """A sentence said twice (blocking), a long phrase said twice, a word doubled (warnings)."""
    said: dict[str, str] = {}
    phrases: dict[tuple[str, ...], str] = {}
    for place in copy.texts:
        for start, sentence in sentences(place[2]):
            span = (start, start + len(sentence))
            normal = _normal(sentence)
            words = normal.split()
            if len(words) > 2 and normal in said:
                yield _finding("repetition.sentence", Severity.BLOCKING, "said before", place, span)
                continue
            said[normal] = sentence
            grams = {tuple(words[i : i + 7]) for i in range(len(words) - 6)}
            if any(g in phrases for g in grams):
                yield _finding(
                    "repetition.phrase", Severity.WARNING, "a long phrase said before", place, span
                )
            phrases.update(dict.fromkeys(grams, sentence))
        for match in re.finditer(r"\b([^\W\d_]+)(?:\s+\1\b)+", place[2], re.IGNORECASE):
            if match.group(1).lower() not in ("that", "had", "very", "bye", "so"):
                yield _finding("repetition.word", Severity.BLOCKING, "a word doubled", place, match.span())
        for span in _loops(place[2]):
            yield _finding("repetition.loop", Severity.BLOCKING, "a phrase doubled", place, span)


def _loops(text: str) -> Iterator[tuple[int, int]]:
    """Spans of two to six words said twice running. By words: a regular expression would take quadratic time."""
    words = [(m.group(0).lower(), m.start(), m.end()) for m in re.finditer(r"\w+|[.:;!?\n]", text)]
    for size in range(2, 7):
        for i in range(len(words) - 2 * size + 1):
            one, other = words[i : i + size], words[i + size : i + 2 * size]
            if [w[0] for w in one] == [w[0] for w in other] and all(w[0][0].isalnum() for w in one):
                yield one[0][1], other[-1][2]


def identical_items(copy: Copy) -> Iterator[Finding]:
    """Headlines or descriptions that say the same words."""
    for name, value in copy.fields.items():
        if not isinstance(value, list):
            continue
        seen: dict[str, int] = {}
        for index, text in enumerate(value):
            normal = _normal(text)
            if normal and normal in seen:
                message = f"the same as number {seen[normal] + 1}"
                yield _finding("shape.identical", Severity.BLOCKING, message, (name, index, text))
            seen.setdefault(normal, index)


# -- words and leftovers ----------------------------------------------------------------------------------------

_SIGNS = {"exclamation": re.compile(r"[!！]"), "emoji": re.compile(r"[\u2600-\u27bf\U0001f000-\U0001faff]")}


def avoided_words(copy: Copy) -> Iterator[Finding]:
    """Words the brand avoids, whole and in any case; "exclamation marks" and "emoji" mean the signs."""
    for entry in copy.brief.brand.avoid:
        sign = next((p for word, p in _SIGNS.items() if entry.lower().startswith(word)), None)
        if not entry.strip():
            continue
        pattern = sign or re.compile(rf"(?<!\w){re.escape(entry.strip())}(?!\w)", re.IGNORECASE)
        for place in copy.texts:
            for match in pattern.finditer(place[2]):
                yield _finding(
                    "words.avoided", Severity.BLOCKING, f"the brand avoids “{entry}”", place, match.span()
                )


_MARKUP = re.compile(r"[<>\[\]`*_#|\\~^]")
_HIDDEN = frozenset(("Cc", "Cf", "Co", "Cn", "Cs", "Zl", "Zp"))


def markup(copy: Copy) -> Iterator[Finding]:
    """Markup, and characters no reader sees (control, direction, zero width)."""
    for place in copy.texts:
        outside = values.REFERENCE.sub(lambda m: " " * len(m.group(0)), place[2])
        for match in _MARKUP.finditer(outside):
            yield _finding("leftover.markup", Severity.BLOCKING, "markup in the text", place, match.span())
        for at, char in enumerate(place[2]):
            newline = char == "\n" and place[0] == "body"
            if unicodedata.category(char) in _HIDDEN and not newline:
                yield _finding(
                    "leftover.hidden", Severity.BLOCKING, "a hidden character", place, (at, at + 1)
                )


_LEAK = re.compile(
    r"(?:^|\n|[.!?]\s)\s*(?:plan|say|write|subject|preheader|headline|description|reader|brief|facts?|brand|channel|"
    r"output|copy|user|assistant|system|instruction|answer|sentence)\s*:"
    r"|\b(?:language model|as an ai|copywriter|system prompt|previous instructions?|above instructions?|"
    r"ignore (?:all|the|any|every)|im_start|im_end|endoftext|the readers?)\b|\b[frp]\d\b",
    re.IGNORECASE,
)


def leakage(copy: Copy) -> Iterator[Finding]:
    """Words of the prompt's own form, and of attempts to command the writer."""
    for place in copy.texts:
        for match in _LEAK.finditer(place[2]):
            yield _finding(
                "leftover.prompt",
                Severity.BLOCKING,
                "reads like an instruction, not like copy",
                place,
                match.span(),
            )


def shouting(copy: Copy) -> Iterator[Finding]:
    for place in copy.texts:
        for match in re.finditer(r"\b[A-Z]{3,}(?:\s+[A-Z]{2,}){2,}\b", place[2]):
            yield _finding("words.shouting", Severity.WARNING, "capitals throughout", place, match.span())
        if copy.channel is Channel.GOOGLE_RSA and place[0] == "headlines" and "!" in place[2]:
            message = "Google refuses exclamation marks in headlines"
            yield _finding("shape.exclamation", Severity.BLOCKING, message, place)


def spoken_claims(copy: Copy) -> Iterator[Finding]:
    """Every rule of claims.py, over every text."""
    sources = claims.Sources.of(copy.brief, copy.reader, copy.products)
    is_ad = channels.SPECS[copy.channel].is_ad
    for place in copy.texts:
        for claim in claims.find(place[2], sources, is_ad=is_ad):
            yield _finding(claim.rule, claim.severity, claim.message, place, (claim.start, claim.end))


RULES: tuple[Rule, ...] = (
    unknown_values,
    button,
    missing_values,
    repeated_values,
    numbers,
    addresses,
    lengths,
    empty,
    unfinished,
    repetition,
    identical_items,
    avoided_words,
    markup,
    leakage,
    shouting,
    spoken_claims,
)
