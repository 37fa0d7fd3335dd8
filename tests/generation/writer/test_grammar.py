"""Harper's notes: real faults with their place in the template, nothing on good copy."""

from __future__ import annotations

import subprocess
import sys

import pytest

from generation.writer import checks
from generation.writer.checks import grammar
from generation.writer.types import Channel, Fields, Finding, Reader
from tests.generation.writer import small


def found(body: str) -> list[Finding]:
    fields: Fields = {"subject": "A quiet lake", "preheader": "", "body": body, "cta": "Book a kayak"}
    findings = checks.check(small.brief(), Channel.EMAIL, fields, Reader("new"))
    return [f for f in findings if f.rule.startswith("grammar.")]


@pytest.mark.parametrize(
    ("body", "at"),
    [
        ("You is ready for {{price}} mornings.", "is"),
        ("From {{open_time}} we opens the gate.", "opens"),
        ("It is {{price}} for a hour away.", "a"),
        ("You didn't bought the gloves.", "bought"),
    ],
)
def test_a_fault_is_found_where_it_stands_in_the_template(body: str, at: str) -> None:
    (hit,) = found(body)
    assert body[hit.start : hit.end] == at


@pytest.mark.parametrize(
    "body",
    [
        "Half a day is {{price}}. Quiet, cold and yours.",
        "Free Boathouse Parking",
        "The colour of the lake, the color of the sky.",
        "Brightwater opens at {{open_time}}.",
        "The shop has new owners, and they roast on Mondays.",
        "You two have met.",
    ],
)
def test_good_copy_gets_no_note(body: str) -> None:
    assert found(body) == []


def test_a_fault_inside_a_value_is_not_the_writers() -> None:
    assert grammar._template_span(3, 5, [(0, 2, 0, 2, False), (2, 9, 2, 12, True)]) is None


def test_the_rate() -> None:
    assert grammar.notes_per_100_words([]) == 0.0
    assert grammar.notes_per_100_words(["You is here and all is well with the quiet lake."]) == pytest.approx(
        100 / 11
    )
    assert 0 < grammar.HUMAN_RATE < 1


def test_a_note_on_words_of_the_brief_is_the_briefs() -> None:
    given = "You is a name for a lake."
    text = "You is here and all is well with the quiet lake."
    assert grammar.notes_per_100_words([text, text], ["", given]) == pytest.approx(100 / 22)
    assert grammar.notes_per_100_words(["We swim in the the lake."], [given]) > 0


def test_all_rules_exist_in_the_installed_harper() -> None:
    assert set(grammar._linter().get_default_lint_config()) >= grammar.COUNTED


def test_harper_is_not_loaded_with_the_checks() -> None:
    code = "import sys; from generation.writer import checks; sys.exit(bool({'harper', 'torch'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
