"""Per channel: its fields, the units they are written in, and the limits, each with its source.

The only place where a limit is written down. Labels are those of the plan: S subject, P preheader, G greeting,
1 and 2 first and next sentence of a paragraph, H and D Google headline and description, T, MH and MD Meta text,
headline and description, LI and LH LinkedIn intro and headline, X and LK SMS text and link, PT and PB push.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from generation.writer import values
from generation.writer.types import Channel, Fields, FieldValue, PlanUnit, WrittenUnit


class Measure(StrEnum):
    """How a text's length is counted."""

    CHARACTERS = "characters"
    DOUBLE_WIDTH = "double_width"  # East Asian wide and full-width characters count two (Google Ads)
    SEPTETS = "septets"  # GSM-7 septets; a text outside that alphabet is counted in UTF-16 units
    WORDS = "words"


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """One field of a channel. `limit` is for the filled text, per item when the field is a list."""

    name: str
    labels: tuple[str, ...]
    limit: int
    measure: Measure
    hard: bool  # over it the platform refuses or charges more; otherwise it cuts, or readers do
    source: str
    at_least: int = 0  # words wanted, for a body
    items: tuple[int, int] | None = None  # least and most items of a list field
    planned: tuple[int, int] = (1, 1)  # how many the planner asks for


@dataclass(frozen=True, slots=True)
class ChannelSpec:
    channel: Channel
    fields: tuple[FieldSpec, ...]
    first_name: bool  # may a reader's name stand in it? Never in an ad
    is_ad: bool

    def field(self, name: str) -> FieldSpec:
        for spec in self.fields:
            if spec.name == name:
                return spec
        raise KeyError(f"{self.channel} has no field {name!r}")

    def field_of(self, label: str) -> FieldSpec:
        for spec in self.fields:
            if label in spec.labels:
                return spec
        raise KeyError(f"{self.channel} has no unit {label!r}")


_GOOGLE = "https://support.google.com/google-ads/answer/7684791 (double-width characters count two)"
_META = "https://www.facebook.com/business/ads-guide (recommended; longer text is cut in the feed)"
_LINKEDIN = (
    "https://business.linkedin.com/advertise/ads/sponsored-content/single-image-ads-specs (recommended)"
)
_SMS = "https://www.twilio.com/docs/glossary/what-sms-character-limit (one segment)"
_EMAIL = "house rule: what common mail clients show; RFC 5322 allows 998 a line"
_PUSH = "house rule: what a locked phone shows without cutting"

SPECS: Mapping[Channel, ChannelSpec] = {
    Channel.EMAIL: ChannelSpec(
        Channel.EMAIL,
        (
            FieldSpec("subject", ("S",), 60, Measure.CHARACTERS, False, _EMAIL),
            FieldSpec("preheader", ("P",), 90, Measure.CHARACTERS, False, _EMAIL),
            FieldSpec(
                "body",
                ("G", "1", "2"),
                170,
                Measure.WORDS,
                False,
                "house rule: read in half a minute",
                at_least=30,
                planned=(5, 7),
            ),
            FieldSpec("cta", ("CTA",), 40, Measure.CHARACTERS, False, "house rule: one line on a button"),
        ),
        first_name=True,
        is_ad=False,
    ),
    Channel.GOOGLE_RSA: ChannelSpec(
        Channel.GOOGLE_RSA,
        (
            FieldSpec(
                "headlines",
                ("H",),
                30,
                Measure.DOUBLE_WIDTH,
                True,
                _GOOGLE,
                items=(3, 15),
                planned=(5, 8),
            ),
            FieldSpec(
                "descriptions",
                ("D",),
                90,
                Measure.DOUBLE_WIDTH,
                True,
                _GOOGLE,
                items=(2, 4),
                planned=(3, 4),
            ),
        ),
        first_name=False,
        is_ad=True,
    ),
    Channel.META_AD: ChannelSpec(
        Channel.META_AD,
        (
            FieldSpec("primary_text", ("T",), 125, Measure.CHARACTERS, False, _META),
            FieldSpec("headline", ("MH",), 40, Measure.CHARACTERS, False, _META),
            FieldSpec("description", ("MD",), 30, Measure.CHARACTERS, False, _META),
        ),
        first_name=False,
        is_ad=True,
    ),
    Channel.LINKEDIN_AD: ChannelSpec(
        Channel.LINKEDIN_AD,
        (
            FieldSpec("intro", ("LI",), 150, Measure.CHARACTERS, False, _LINKEDIN),
            FieldSpec("headline", ("LH",), 70, Measure.CHARACTERS, False, _LINKEDIN),
        ),
        first_name=False,
        is_ad=True,
    ),
    Channel.SMS: ChannelSpec(
        Channel.SMS,
        (FieldSpec("text", ("X", "LK"), 160, Measure.SEPTETS, True, _SMS),),
        first_name=True,
        is_ad=False,
    ),
    Channel.PUSH: ChannelSpec(
        Channel.PUSH,
        (
            FieldSpec("title", ("PT",), 40, Measure.CHARACTERS, False, _PUSH),
            FieldSpec("body", ("PB",), 110, Measure.CHARACTERS, False, _PUSH),
        ),
        first_name=True,
        is_ad=False,
    ),
}

UCS2_SEGMENT = 70  # UTF-16 units in one SMS segment outside GSM-7, same source as _SMS

UNIT_NAMES: Mapping[str, str] = {
    "S": "subject",
    "P": "preheader",
    "G": "greeting",
    "1": "opening sentence of a paragraph",
    "2": "next sentence",
    "H": "headline",
    "D": "description",
    "T": "ad text",
    "MH": "ad headline",
    "MD": "ad description",
    "LI": "ad intro",
    "LH": "ad headline",
    "X": "text message",
    "LK": "link",
    "PT": "notification title",
    "PB": "notification text",
    "CTA": "button",
}

SENTENCE_LABELS = frozenset({"P", "1", "2", "D", "T", "LI", "X", "PB"})  # end in a full stop
TITLE_LABELS = frozenset({"S", "H", "MH", "MD", "LH", "PT"})
MOST_SENTENCES: Mapping[str, int] = {"D": 2, "T": 2, "LI": 2, "X": 2, "PB": 2}  # otherwise one


def least_words(label: str) -> int:
    """A unit of fewer words says nothing."""
    return 3 if label in SENTENCE_LABELS else 2


# Basic character set of 3GPP TS 23.038; those of the extension table take two septets.
GSM7 = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM7_EXTENSION = frozenset("^{}\\[~]|€\f")


def is_gsm7(text: str) -> bool:
    return all(c in GSM7 or c in GSM7_EXTENSION for c in text)


def length(text: str, measure: Measure) -> int:
    """Length of a filled text in the measure's unit."""
    match measure:
        case Measure.WORDS:
            return len(text.split())
        case Measure.DOUBLE_WIDTH:
            return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
        case Measure.SEPTETS:
            if is_gsm7(text):
                return sum(2 if c in GSM7_EXTENSION else 1 for c in text)
            return len(text.encode("utf-16-le")) // 2
        case Measure.CHARACTERS:
            return len(text)


def limit_of(spec: FieldSpec, text: str) -> int:
    """The limit that holds for this filled text; only for SMS does it depend on the text."""
    if spec.measure is Measure.SEPTETS and not is_gsm7(text):
        return UCS2_SEGMENT
    return spec.limit


def filled_length(text: str, spec: FieldSpec, texts: Mapping[str, str]) -> int:
    """Length of a template text once its values stand in it; the reader's name is counted at a usual length."""
    return length(values.preview(text, texts), spec.measure)


def items(value: FieldValue) -> list[str]:
    """A field's texts, whether it holds one or a list."""
    return list(value) if isinstance(value, list) else [value]


def assemble(channel: Channel, units: Iterable[WrittenUnit | PlanUnit], cta: str) -> Fields:
    """Put written units into the channel's fields: paragraphs of a body, items of a list, one text otherwise."""
    spec = SPECS[channel]
    fields: Fields = {f.name: [] if f.items else "" for f in spec.fields}
    for unit in units:
        place = spec.field_of(unit.label)
        held = fields[place.name]
        if isinstance(held, list):
            held.append(unit.text)
        elif not held:
            fields[place.name] = unit.text
        else:
            fields[place.name] = held + ("\n\n" if unit.label == "1" else " ") + unit.text
    if channel is Channel.EMAIL:
        fields["cta"] = cta
    return fields
