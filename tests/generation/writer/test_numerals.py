"""Number words: found where they claim, left alone in idioms, allowed where anything told says the number."""

from __future__ import annotations

import pytest

from generation.writer import claims, numerals
from generation.writer.types import Fact, Reader, Severity, Value, ValueKind
from tests.generation.writer import small

READER = Reader("new", ("comes two evenings a week", "has three dogs"))


def blocked(text: str, *facts: str, values: tuple[Value, ...] = ()) -> list[str]:
    brief = small.brief()
    told = tuple(Fact(f"f{n}", fact) for n, fact in enumerate(facts, start=20))
    brief = small.brief(facts=(*brief.facts, *told), values=(*brief.values, *values))
    sources = claims.Sources.of(brief, READER)
    found = claims.find(text, sources, is_ad=False)
    return [text[c.start : c.end] for c in found if c.severity is Severity.BLOCKING]


@pytest.mark.parametrize(
    "text",
    [
        "Go twice as far.",
        "Every kayak is half price.",
        "Half the price of last year.",
        "Take half off.",
        "Two thirds off in June.",
        "A third of the price.",
        "Three quarters of an hour on the lake.",
        "On your fifth visit the kayak is yours.",
        "Every second hire is ours to pay.",
        "Ninety-nine kayaks wait.",
        "Seven kayaks wait.",
        "A hundred and five kayaks.",
        "Dozens of people came.",
        "Nine out of ten say so.",
        "The fleet doubled this year.",
        "Two-for-one on Mondays.",
        "Thirty-five for half a day.",
        "For twelve months.",
    ],
)
def test_a_number_nobody_said_is_stopped(text: str) -> None:
    assert blocked(text)


@pytest.mark.parametrize(
    "text",
    [
        "One of our quiet mornings.",
        "All at one go.",
        "A second pair of eyes.",
        "Once or twice.",
        "Think twice before the rain.",
        "No two mornings look the same.",
        "The two of you could paddle.",
        "A day or two on the water.",
        "At first light.",
        "The eleventh hour.",
        "A third-party app.",
        "On cloud nine.",
        "Half asleep on the water.",
        "A quarter past.",
        "One kayak is enough.",
        "First come, first served.",
        "A double room by the lake.",
        "Watch George the Third row.",
    ],
)
def test_idioms_and_small_words_pass(text: str) -> None:
    assert blocked(text) == []


def test_what_is_told_may_be_said_in_other_words() -> None:
    assert blocked("Come twice a week with the three dogs.") == []
    assert blocked("Bring a fourth dog.") == []
    assert blocked("Half a day on the water.") == []  # half-day hire is a fact
    assert blocked("All four lessons.") == ["four"]
    assert blocked("All four lessons.", values=(Value("lessons", "4 lessons", ValueKind.QUANTITY),)) == []
    assert blocked("Every third hire is ours.", "the third hire is on us") == []
    assert blocked("Kayaks are half price.", "kayaks are half price on Mondays") == []
    assert blocked("Six weeks of paddling.", "courses last six weeks") == []


def test_prices_and_times_of_day_license_no_count() -> None:
    assert numerals.said("$4 until 7am, 15% off from 9:30") == frozenset()
    assert numerals.said("4 lessons, twenty-five seats, half an hour") >= {4.0, 25.0, 0.5}


def test_an_idiom_hides_no_claim_beside_it() -> None:
    assert blocked("Once or twice, seven kayaks waited.") == ["seven"]


def test_worth() -> None:
    assert numerals.worth("two hundred and five", "run") == {205.0}
    assert numerals.worth("three thousand", "run") == {3000.0}
    assert numerals.worth("a third", "part") == {1 / 3}
