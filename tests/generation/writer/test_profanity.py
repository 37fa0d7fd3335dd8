"""Coarse words are found whole, and never inside honest ones."""

from __future__ import annotations

import pytest

from generation.writer import checks, profanity
from generation.writer.types import BrandVoice, Channel, Fields, Reader, Severity
from tests.generation.writer import small


def found(text: str, **brief: object) -> dict[str, Severity]:
    fields: Fields = {"subject": text, "preheader": "", "body": "", "cta": "Book a kayak"}
    findings = checks.check(small.brief(**brief), Channel.EMAIL, fields, Reader("new"))
    return {f.rule: f.severity for f in findings if f.rule in ("words.profane", "words.coarse")}


def test_strong_words_stop_and_mild_ones_are_marked() -> None:
    assert found("What the fuck, a lake") == {"words.profane": Severity.BLOCKING}
    assert found("A bloody good lake") == {"words.coarse": Severity.WARNING}


@pytest.mark.parametrize(
    "text",
    [
        "Scunthorpe",
        "a cockerel at dawn",
        "cocktails and peacocks",
        "shiitake mushrooms",
        "Dickens by the lake",
        "a Dick Francis novel",
        "blue tits on the feeder",
        "titbits",
        "Penistone and Sussex",
        "Essex assassins",
        "class assignments",
        "grapes and rapeseed",
        "therapists",
        "Matsushita",
        "a pussy willow",
        "Cumbria, cum laude",
        "Maine coons and raccoons",
        "spices",
        "fire retardant",
        "Arsenal at home",
        "a scrap of paper",
        "the git log",
        "analysis",
        "Buttermere",
        "Hancock",
        "Hitchcock",
        "Cockermouth",
        "Wankel",
        "hello Shelley",
        "bass and brass",
        "faggot of herbs bundle",
    ],
)
def test_honest_words_pass(text: str) -> None:
    strong = [1 for _, is_strong, _, _ in profanity.find(text) if is_strong]
    assert not strong
    if "faggot" not in text:
        assert found(text) == {}


def test_a_brand_may_say_its_own_words() -> None:
    brand = BrandVoice("The Bloody Oar", "kayaks", "rude", ())
    assert found("Come to the Bloody Oar", brand=brand) == {}
    assert found("A damn good oar", brand=brand) == {"words.coarse": Severity.WARNING}
