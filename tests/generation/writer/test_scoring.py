"""Parts of facts, and which candidate of a unit is chosen."""

from __future__ import annotations

import pytest

from generation.writer import aims, facts, scoring
from generation.writer.planning import trait_ids
from generation.writer.types import Fact, PlanUnit
from tests.generation.writer import small


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("bikes and dogs sail free", ["bikes and dogs sail free"]),
        ("Solo allows ten a month; Office has no limit", ["Solo allows ten a month", "Office has no limit"]),
        # what leans on the words before it stays with them
        ("it used to be bad; it is now ground on board", ["it used to be bad; it is now ground on board"]),
        ("open until {{close}}; walk-ins are fine", ["open until {{close}}", "walk-ins are fine"]),
        ("tea at {{price}}. Cake is free on Sundays.", ["tea at {{price}}", "Cake is free on Sundays"]),
        (
            "wiring diagram included; have an electrician install it",
            ["wiring diagram included; have an electrician install it"],
        ),
        (
            "the power stays on; a text comes the evening before",
            ["the power stays on; a text comes the evening before"],
        ),
        ("; ; ", ["; ; "]),
    ],
)  # fmt: skip
def test_parts(text: str, parts: list[str]) -> None:
    assert facts.parts_of(text) == parts


def test_parts_are_named_after_their_fact() -> None:
    brief = small.brief(
        facts=(Fact("f1", "Solo allows ten; Office has no limit"), Fact("f2", "dogs sail free"))
    )
    assert [f.id for f in facts.parts(brief)] == ["f1.1", "f1.2", "f2"]
    assert facts.wholes(["f1.2", "r1", "f1.1", "p1"]) == ("f1", "r1", "p1")


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("a tasting of wines at {{time}}, in the cellar", "a tasting of wines at {{time}}"),
        ("led by Margaret Vane, who buys in the region", "led by Margaret Vane"),
        # what bounds or turns a fact stays with it
        ("free delivery, for members", ""),
        ("{{off}} off lenses, except tinted ones", ""),
        ("open daily, until {{end}}", ""),
        ("tea, with cake", ""),  # too little is left
        ("one clause alone", ""),
    ],
)
def test_what_only_says_more_may_be_left_out(text: str, rest: str) -> None:
    assert facts.shorter(text) == rest


def test_the_part_that_a_text_says() -> None:
    brief = small.brief(facts=(Fact("f1", "Solo allows ten documents; Office has no monthly limit"),))
    assert facts.parts_said(brief, ["f1"], "With Office there is no monthly limit.") == ("f1.2",)
    assert facts.parts_said(brief, ["f1", "r1"], "Hello.") == ("f1", "r1")


REQUEST = small.requests(1)[0]


def verdicts(unit: PlanUnit, *texts: str, said: tuple[str, ...] = ()) -> list[scoring.Verdict]:
    aim = aims.of(small.brief(), REQUEST, unit, said)
    attempts = [scoring.Attempt(t, (-0.4,) * 8, faults=aims.faults(small.brief(), REQUEST, t)) for t in texts]
    return scoring.Judge().judge(aim, attempts)


PARKING = PlanUnit("1", ("f3",))
GOOD = "There is free parking at the boathouse."


@pytest.mark.parametrize(
    "worse",
    [
        "The weather on the mountain is wonderful.",  # says something else
        "Free parking at the boathouse comes with breakfast and towels.",  # adds
        "I like free parking at the boathouse.",  # speaks of itself
        "Hurry, the award-winning boathouse has free parking.",  # a claim without a fact
    ],
)
def test_what_says_its_fact_and_no_more_is_preferred(worse: str) -> None:
    good, bad = verdicts(PARKING, GOOD, worse)
    assert good.score > bad.score


def test_repeating_a_line_costs() -> None:
    fresh, again = verdicts(PARKING, GOOD)[0], verdicts(PARKING, GOOD, said=(GOOD,))[0]
    assert again.score < fresh.score - 1


def test_faith_falls_with_invention() -> None:
    good, bad = verdicts(PARKING, GOOD, "Our lifeguards teach the butterfly stroke to penguins.")
    assert good.faith > 0.5 > bad.faith


def test_reasons_are_the_shares_of_the_score() -> None:
    verdict = verdicts(PARKING, GOOD)[0]
    assert sum(scoring.describe(verdict).values()) == pytest.approx(verdict.score, abs=0.6)
    assert "likely" in scoring.describe(verdict)


def test_an_aim_holds_the_other_facts_and_traits() -> None:
    request = REQUEST
    aim = aims.of(small.brief(), request, PlanUnit("1", ("r1", "f1")), ())
    assert any("{{price}}" in line for line in aim.lines) and aim.about_reader
    assert not any("{{price}}" in other for other in aim.others)
    assert len(aim.others) == 4 + len(trait_ids(request)) - 1


def test_light_words_cost_less_than_rare_ones() -> None:
    light = scoring.light_words()
    assert light["tim"] < 0.1 and min(light.values()) == 0.0 and max(light.values()) < 1


def test_a_doubtful_candidate_gives_way_to_a_sure_one() -> None:
    def verdict(score: float, faith: float) -> scoring.Verdict:
        return scoring.Verdict(score, faith, {})

    assert scoring.best([verdict(2, 0.5), verdict(1, 0.9), verdict(0, 0.95)], [0, 1, 2]) == 1
    assert scoring.best([verdict(2, 0.78), verdict(1, 0.9)], [0, 1]) == 0  # not doubtful
    assert scoring.best([verdict(2, 0.5), verdict(1, 0.7)], [0, 1]) == 1  # none is sure: the surest
    assert scoring.best([verdict(2, 0.5), verdict(1, 0.9)], [0]) == 0  # the other was given up
