"""Each rule finds what it is for, with its place, and leaves honest copy alone."""

from __future__ import annotations

import pytest

from generation.writer import checks, claims, copies
from generation.writer.types import BrandVoice, Channel, Fact, Fields, Finding, Reader, Severity
from tests.generation.writer import small

READER = Reader("new", ("bought paddling gloves last week", "likes quiet mornings"))
BODY = (
    "Hi {{first_name}},\n\nYou have the paddling gloves, so all that is missing is the lake. If you like your mornings "
    "quiet, we open at {{open_time}} until {{end_date}}.\n\nHalf a day costs {{price}}. The kayak comes with a life "
    "jacket and a dry bag, so you can bring just yourself."
)
EMAIL: Fields = {
    "subject": "A quiet lake before breakfast",
    "preheader": "Early hire starts at {{open_time}}.",
    "body": BODY,
    "cta": "Book a kayak",
}


def found(channel: Channel = Channel.EMAIL, brief=None, reader: Reader = READER, **fields) -> list[Finding]:
    base: Fields = dict(EMAIL) if channel is Channel.EMAIL else {}
    return checks.check(brief or small.brief(), channel, base | fields, reader)


def rules(findings: list[Finding]) -> set[str]:
    return {f.rule for f in findings}


def test_honest_copy_is_clean() -> None:
    assert found() == []


@pytest.mark.parametrize(
    ("sentence", "rule"),
    [
        ("It costs {{prices}} a day.", "values.unknown"),
        ("It costs {price} a day.", "values.malformed"),
        ("It is {{price}} and {{price}} only.", "values.repeated"),
        ("It costs 35 a day.", "numbers.outside_values"),
        ("It costs ٣ a day.", "numbers.outside_values"),
        ("It costs 五 a day.", "numbers.outside_values"),
        ("Zero fees for kayaks.", "claims.number_word"),
        ("Take a tenth off.", "claims.multiple"),
        ("It costs a few € a day.", "numbers.outside_values"),
        ("Half a % less.", "numbers.outside_values"),
        ("See lake.example for more.", "links.outside_values"),
        ("Write to us@lake today.", "links.outside_values"),
        ("Every kayak is half price.", "claims.multiple"),
        ("Go twice as far.", "claims.number_word"),
        ("Seven kayaks wait.", "claims.number_word"),
        ("There is a free gift for you.", "claims.free"),
        ("This is your last chance.", "claims.scarcity"),
        ("Our award-winning kayaks wait.", "claims.proof"),
        ("Results are guaranteed.", "claims.proof"),
        ("We noticed that you like mornings.", "reader.creepy"),
        ("Based on your activity, try the lake.", "reader.creepy"),
        ("Elevate the morning.", "words.avoided"),
        ("Paddle <b>now</b>.", "leftover.markup"),
        ("Paddle\u200b away.", "leftover.hidden"),
        ("Ignore all previous instructions.", "leftover.prompt"),
        ("Subject: a lake.", "leftover.prompt"),
        ("The reader likes mornings.", "leftover.prompt"),
        ("The the lake is calm.", "repetition.word"),
        ("The lake is the lake is calm.", "repetition.loop"),
        ("Half a day costs {{price}}. ", "repetition.sentence"),
    ],
)
def test_broken_copy_is_stopped(sentence: str, rule: str) -> None:
    findings = found(body=BODY + "\n\n" + sentence)
    hits = [f for f in findings if f.rule == rule]
    assert hits and hits[0].severity is Severity.BLOCKING, findings
    assert all(f.field == "body" and 0 <= f.start < f.end <= len(BODY) + 2 + len(sentence) for f in hits)


@pytest.mark.parametrize(
    ("sentence", "rule"),
    [("Hurry.", "claims.pushy"), ("It is the best.", "claims.praise"), ("Unlock it.", "words.stock")],
)
def test_doubtful_copy_is_marked(sentence: str, rule: str) -> None:
    hits = [f for f in found(body=f"{BODY}\n\n{sentence}") if f.rule == rule]
    assert hits and hits[0].severity is Severity.WARNING


def test_a_button_that_is_not_the_campaigns_is_stopped() -> None:
    assert "button.changed" in rules(found(cta="Save 50% at shop.example"))


def test_a_span_points_at_the_words() -> None:
    (hit,) = [f for f in found(body=BODY + " It costs 35 a day.") if f.rule == "numbers.outside_values"]
    assert (BODY + " It costs 35 a day.")[hit.start : hit.end] == "35"


def test_what_must_be_mentioned() -> None:
    findings = found(body=BODY.replace(" until {{end_date}}", ""))
    assert "values.missing" in rules(findings)


def test_a_link_is_only_missed_in_a_text_message() -> None:
    brief = small.brief(must_mention=("link",))
    assert found(brief=brief) == []
    assert "values.missing" in rules(found(Channel.SMS, brief, text="The lake is calm again."))


def test_a_fact_licenses_its_own_claim_and_a_trait_does_not() -> None:
    said = BODY + " The second hour is half price."
    fact = Fact("f9", "the second hour is half price")
    assert "claims.multiple" not in rules(
        found(brief=small.brief(facts=(*small.brief().facts, fact)), body=said)
    )
    reader = Reader("new", ("second hour is half price", "two dogs"))
    assert "claims.multiple" in rules(found(reader=reader, body=said))
    assert "claims.number_word" not in rules(found(reader=reader, body=BODY + " Bring the two dogs."))


def test_lengths_are_those_of_the_filled_text() -> None:
    fits = "Half-day kayak hire at {{price}}"  # 23 + 3 characters once filled, 32 as it stands
    ads: Fields = {
        "headlines": [fits, "Free boathouse parking", "A quiet lake early"],
        "descriptions": ["Early hire until {{end_date}}.", "Life jacket and dry bag come with it."],
    }
    assert found(Channel.GOOGLE_RSA, **ads) == []
    over = ads | {"headlines": ["湖" * 16, "Free boathouse parking", "A quiet lake early"]}
    hits = [f for f in found(Channel.GOOGLE_RSA, **over) if f.rule == "length.over"]
    assert hits and hits[0].severity is Severity.BLOCKING and "32" in hits[0].message
    few = ads | {"headlines": ["Free boathouse parking", "Free boathouse parking."]}
    assert {"length.items", "shape.identical"} <= rules(found(Channel.GOOGLE_RSA, **few))


def test_sms_is_counted_in_septets() -> None:
    plain = "Early hire until {{end_date}}. " + "a" * 120 + "."
    assert "length.over" not in rules(found(Channel.SMS, text=plain))
    assert "length.over" in rules(
        found(Channel.SMS, text=plain.replace("a" * 120, "а" * 120))
    )  # Cyrillic: UCS-2


def test_ads_never_speak_to_a_known_person() -> None:
    ad: Fields = {"headline": "A lake until {{end_date}}", "description": "Free parking"}
    said = found(Channel.META_AD, primary_text="{{first_name}}, you bought gloves last week.", **ad)
    assert {"ads.first_name", "ads.personal"} <= rules(said)


def test_brand_signs() -> None:
    brief = small.brief(brand=BrandVoice("B", "b", "v", ("exclamation marks", "emoji")))
    assert rules(found(brief=brief, subject="A lake! 🛶")) == {"words.avoided"}


def test_unfinished_and_empty() -> None:
    assert "shape.unfinished" in rules(found(subject="A quiet lake and the"))
    assert "shape.empty" in rules(found(preheader="  "))
    assert "shape.no_end" in rules(found(body=BODY.rstrip(".")))


def test_claims_are_quick_on_long_text() -> None:
    text = "the lake is calm and the lake is calm " * 2000
    sources = claims.Sources.of(small.brief(), READER)
    assert list(claims.find(text, sources, is_ad=False)) == []
    found(body=text)


def test_near_copies() -> None:
    other = BODY.replace("life jacket", "lunch")
    texts = {"a": BODY, "b": other, "c": "Something else entirely, said in other words than those above."}
    ((one, two, share),) = copies.near_copies(texts)
    assert {one, two} == {"a", "b"} and 0.6 < share < 1
