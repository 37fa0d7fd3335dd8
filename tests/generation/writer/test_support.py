"""What must rest on something told."""

from __future__ import annotations

from dataclasses import replace

from generation.writer import checks
from generation.writer.types import Channel, Fields, Finding, Reader, Severity, WrittenUnit
from tests.generation.writer import small

READER = Reader("new", ("bought paddling gloves last week",))
TRUE = "The paddling gloves you bought are meant for a quiet lake."
INVENTED = "Grandmothers in Vienna sing beautiful operas."


def found(body: str, *units: WrittenUnit, rule: str) -> list[Finding]:
    fields: Fields = {"subject": "A quiet lake", "preheader": "Early.", "body": body, "cta": "Book a kayak"}
    findings = checks.check(small.brief(), Channel.EMAIL, fields, READER, units)
    return [f for f in findings if f.rule == rule]


def test_an_unfaithful_unit_is_marked_where_it_stands() -> None:
    unit = WrittenUnit("2", ("f1",), INVENTED, 0.0, faith=0.1)
    body = f"{TRUE} {INVENTED}"
    (hit,) = found(body, unit, rule="claims.unsupported")
    assert body[hit.start : hit.end] == INVENTED and hit.severity is Severity.WARNING
    assert found(body, replace(unit, faith=0.9), rule="claims.unsupported") == []
    assert found(TRUE, unit, rule="claims.unsupported") == [], "the sentence was edited away"


def test_a_sentence_of_a_persons_own_that_shares_no_word_is_noted() -> None:
    (hit,) = found(f"{TRUE} {INVENTED}", rule="claims.unsourced")
    assert hit.severity is Severity.NOTE
    written = WrittenUnit("2", ("f1",), INVENTED, 0.0)
    assert found(f"{TRUE} {INVENTED}", written, rule="claims.unsourced") == []
    assert found("See you soon.", rule="claims.unsourced") == []
