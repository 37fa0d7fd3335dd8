"""Products come in clean, with words to speak of them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns import products
from campaigns.models import Product
from campaigns.products import ProductInput, noun_phrase
from campaigns.traits.words import is_sayable
from personalize.core.errors import InvalidInput


@pytest.mark.parametrize(
    ("name", "phrase"),
    [
        ("HAND GRINDER 250ML", "a hand grinder"),
        ("Ferry Moka Pot", "a ferry moka pot"),
        ("Egg Cups, set of 4", "egg cups"),
        ("SET/9 CHRISTMAS T-LIGHTS", "a set of christmas t-lights"),
        ("SET OF 6 HERB TINS", "a set of herb tins"),
        ("REGENCY MILK JUG PINK", "a pink regency milk jug"),
        ("Orange Press (steel)", "an orange press"),
        ("Unicorn Mug", "a unicorn mug"),
        ("Hour Glass", "an hour glass"),
        ("Oyster Knife - with guard", "an oyster knife"),
        ("Scissors", "scissors"),
        ("A4 Notebook", "a notebook"),
        ("Canvas", "a canvas"),
        ("The Kettle", "a kettle"),
        ("POSTAGE", ""),
        ("Bank Charges", ""),
        ("12345", ""),
        ("", ""),
    ],
)
def test_names_become_noun_phrases(name: str, phrase: str) -> None:
    assert noun_phrase(name) == phrase


@given(st.text(max_size=200))
def test_a_derived_phrase_can_always_be_said(name: str) -> None:
    phrase = noun_phrase(name)
    assert phrase == "" or (is_sayable(phrase) and len(phrase) <= 80 and products.spoken(phrase) == phrase)


@pytest.mark.django_db
def test_upsert_keeps_what_is_not_given_and_the_phrase_follows_the_name() -> None:
    first = products.upsert(
        items=[ProductInput("1", "HAND GRINDER", category="Coffee-Gear", price="29", currency="gbp")]
    )
    assert (first.created, first.updated) == (1, 0)
    second = products.upsert(
        items=[ProductInput("1", "OAK GRINDER"), ProductInput("1", price=Decimal("31.5"))]
    )
    assert (second.created, second.updated, second.ids) == (0, 1, first.ids)
    row = Product.objects.get()
    assert (row.noun_phrase, row.category, str(row.price), row.currency) == (
        "an oak grinder",
        "coffee gear",
        "31.50",
        "GBP",
    )
    products.upsert(items=[ProductInput("1", noun_phrase="our finest grinder")])
    products.upsert(items=[ProductInput("1", "New Name")])
    assert Product.objects.get().noun_phrase == "our finest grinder"
    products.upsert(items=[ProductInput("1", noun_phrase="")])
    products.upsert(items=[ProductInput("1", "Newer Name")])
    assert Product.objects.get().noun_phrase == ""
    before = Product.objects.values().get()
    assert products.upsert(items=[ProductInput("1", "Newer Name")]).unchanged == 1
    assert Product.objects.values().get() == before


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"sku": ""}, "sku"),
        ({"sku": "x" * 65}, "sku"),
        ({"price": "-1"}, "price"),
        ({"price": "much"}, "price"),
        ({"currency": "pounds"}, "currency"),
        ({"url": "javascript:alert(1)"}, "url"),
        ({"url": "https://a b.example"}, "url"),
        ({"name": "x" * 201}, "name"),
    ],
)
def test_what_cannot_be_used_stores_nothing(change: dict[str, Any], field: str) -> None:
    bad = ProductInput(**{"sku": "2", "name": "Pan", **change})
    with pytest.raises(InvalidInput) as caught:
        products.upsert(items=[ProductInput("1", "Pot"), bad])
    assert (caught.value.field, caught.value.row) == (field, 1)
    assert not Product.objects.exists()


@pytest.mark.django_db
def test_a_phrase_with_digits_is_left_out() -> None:
    result = products.upsert(items=[ProductInput("1", "Pot", noun_phrase="a 2 l pot")])
    assert [problem.field for _, problem in result.left_out] == ["noun_phrase"]
    assert Product.objects.get().noun_phrase == "a pot"
