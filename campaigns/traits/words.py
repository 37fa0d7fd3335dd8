"""Times, rhythms and values in words. Pure. Nothing here ever says a digit."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from enum import Enum

from campaigns.cleaning import plain
from campaigns.sensitive import word_set

MAX_TRAIT = 120  # characters, as the column holds
MAX_VALUE = 40
_SEASONS = ("winter", "spring", "summer", "autumn")


class Hemisphere(Enum):
    NORTH = 0
    SOUTH = 2  # seasons are half a year, two seasons, off
    TROPICS = None  # no seasons to speak of


_SOUTH = (
    "Australia/", "Antarctica/", "Pacific/Auckland", "Pacific/Chatham", "America/Argentina/", "America/Buenos_Aires",
    "America/Sao_Paulo", "America/Santiago", "America/Montevideo", "America/Asuncion", "America/Punta_Arenas",
    "Africa/Johannesburg", "Africa/Maputo", "Africa/Harare", "Africa/Windhoek", "Africa/Gaborone", "Africa/Maseru",
    "Africa/Mbabane", "Indian/Reunion", "Indian/Mauritius",
)  # fmt: skip
_TROPICS = (
    "Australia/Darwin", "Asia/Singapore", "Asia/Kuala_Lumpur", "Asia/Jakarta", "Asia/Manila", "Asia/Bangkok",
    "Asia/Ho_Chi_Minh", "Asia/Saigon", "Asia/Colombo", "Asia/Kolkata", "Asia/Calcutta", "Asia/Dhaka",
    "Africa/Nairobi", "Africa/Lagos", "Africa/Accra", "Africa/Abidjan", "Africa/Addis_Ababa", "Africa/Kampala",
    "Africa/Kinshasa", "Africa/Dakar", "Africa/Lusaka", "America/Bogota", "America/Lima", "America/Caracas",
    "America/Panama", "America/Guayaquil", "America/Costa_Rica", "America/Manaus", "America/Jamaica",
    "Pacific/Honolulu", "Pacific/Fiji", "Pacific/Guam",
)  # fmt: skip


def hemisphere(time_zone: str, default: str = "UTC") -> Hemisphere:
    """By the reader's time zone; `default` is the zone to go by when none is known."""
    zone = time_zone or default
    if zone in _TROPICS:
        return Hemisphere.TROPICS
    return Hemisphere.SOUTH if zone.startswith(_SOUTH) else Hemisphere.NORTH


def _season(moment: datetime, half: Hemisphere) -> tuple[int, str]:
    """A number that grows by one with each season, and its name. December begins one (as weather services count)."""
    number = (moment.year * 12 + moment.month) // 3
    return number, _SEASONS[(number + (half.value or 0)) % 4]


def when(moment: datetime, *, now: datetime, half: Hemisphere) -> str:
    """'recently', 'this spring', 'in spring', 'last autumn', 'over a year ago', 'a few years ago'."""
    days = (now - moment).days
    if days <= 21:
        return "recently"
    if days > 430:
        return "over a year ago" if days < 730 else "a few years ago" if days < 2_200 else "years ago"
    if half is Hemisphere.TROPICS:
        return "a few weeks ago" if days < 60 else "a few months ago" if days < 330 else "about a year ago"
    return _seasonal(moment, now, half, this="this ", same_year="in ")


def since(moment: datetime, *, now: datetime, half: Hemisphere) -> str:
    """'since spring', 'since last autumn', 'for over a year': what follows 'has not been back'."""
    days = (now - moment).days
    if days > 430:
        return "for over a year" if days < 730 else "for years"
    if half is Hemisphere.TROPICS or days < 60:
        return "for a few weeks" if days < 60 else "for months" if days < 330 else "for about a year"
    return "since " + _seasonal(moment, now, half, this="earlier this ", same_year="")


def _seasonal(moment: datetime, now: datetime, half: Hemisphere, *, this: str, same_year: str) -> str:
    then, name = _season(moment, half)
    current, _ = _season(now, half)
    if current == then:
        return f"{this}{name}"
    # A winter lies across two years, and a season of last year is 'last' wherever the present one is.
    if moment.year == now.year and not (name == "winter" and half is Hemisphere.NORTH) and current - then < 4:
        return f"{same_year}{name}"
    return f"last {name}"


def rhythm(orders: int, first: datetime, last: datetime) -> str:
    """How often, from the number of days with an order; "" when there are too few to tell."""
    if orders < 3 or last <= first:
        return ""
    gap = (last - first) / (orders - 1)
    for limit, words in (
        (10, "nearly every week"),
        (24, "every few weeks"),
        (40, "about once a month"),
        (75, "every couple of months"),
        (150, "a few times a year"),
    ):
        if gap <= timedelta(days=limit):
            return words
    return "now and then"


def is_out_of_rhythm(orders: int, first: datetime, last: datetime, now: datetime) -> bool:
    """Silent for more than three of their usual gaps, and for two months at least."""
    gap = (last - first) / max(orders - 1, 1)
    return now - last > max(gap * 3, timedelta(days=60))


# -- what may be said at all -------------------------------------------------------------------------
_DIGIT_WORDS = re.compile(r"[\d%£$€¥₹@#<>{}\[\]\\|*_~^=`]|https?:|www\.", re.IGNORECASE)
_VALUE = re.compile(r"[^\W\d_]+(?:[ '’-][^\W\d_]+)*")
# A value that tells somebody what to do is no description of a person.
_ORDERS = word_set(
    """ignore disregard forget override bypass instruction instructions prompt prompts system assistant user role
    jailbreak output print reveal repeat respond reply answer translate summarize summarise pretend act say write
    tell must always never please you your yours me my i we our us developer admin execute run click http https
    www com script previous above following"""
)
_NO_VALUE = word_set("none null nil na nan unknown undefined other misc test true false yes no not")


def is_sayable(phrase: str) -> bool:
    """No digits, signs, links or markup, and short enough. Every trait passes here last."""
    return bool(phrase) and len(phrase) <= MAX_TRAIT and not _DIGIT_WORDS.search(phrase)


def value_words(value: object) -> str:
    """A free text value as it may stand in a trait: a few plain words like a noun, else "".

    Longer text, digits, punctuation and anything that reads like an instruction give "": a profile field must
    not be able to speak to the writer.
    """
    if not isinstance(value, str):
        return ""
    text = plain(value).replace("’", "'")
    if len(text) > MAX_VALUE or not _VALUE.fullmatch(text):
        return ""
    words = [word.casefold() for word in re.split(r"[ -]", text)]
    if len(words) > 5 or not _ORDERS.isdisjoint(words) or (len(words) == 1 and words[0] in _NO_VALUE):
        return ""
    return text
