"""What stands for a missing first name, and what may stand as one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generation import naming


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hi {{first_name}},", "Hello,"),
        ("Hello {{first_name}}!", "Hello!"),
        ("Dear {{first_name}},\n\nYour pan is here.", "Hello,\n\nYour pan is here."),
        ("Hey there {{first_name}},", "Hello,"),
        ("{{first_name}},\n\nYour pan is here.", "Hello,\n\nYour pan is here."),
        ("Good morning {{first_name}},", "Good morning,"),
        ("Hello {{first_name}} and welcome back.", "Hello and welcome back."),
        ("Welcome, {{first_name}}. Good to see you.", "Welcome. Good to see you."),
        ("Thank you {{first_name}}.", "Thank you."),
        ("{{first_name}}, your stove is ready.", "Your stove is ready."),
        ("It is here. {{first_name}}, your stove is ready.", "It is here. Your stove is ready."),
        ("{{first_name}}, {{price}} is all it costs.", "{{price}} is all it costs."),
        ("Well, {{first_name}}, here it is.", "Well, here it is."),
        ("Still thinking it over, {{first_name}}?", "Still thinking it over?"),
        ("Just for you, {{first_name}}", "Just for you"),
        ("A pan for {{first_name}}", "A pan for you"),
        ("Made for {{first_name}} and friends", "Made for you and friends"),
        ("{{first_name}}'s kitchen", "Your kitchen"),
        ("It fits {{first_name}}’s kitchen.", "It fits your kitchen."),
        ("Nothing to see here.", "Nothing to see here."),
    ],
)
def test_without_a_name_the_sentence_still_reads_well(text: str, expected: str) -> None:
    assert naming.without(text) == expected


@pytest.mark.parametrize(
    "text", ["{{first_name}} loves coffee.", "We told {{first_name}} already.", "{{first_name}}"]
)
def test_a_sentence_that_needs_the_name_is_for_a_person(text: str) -> None:
    with pytest.raises(naming.NameNeeded):
        naming.without(text)


@pytest.mark.parametrize("name", ["Ada", "Anna Lena", "O’Brien", "J.", "J.R.", "李", "Zoë", "Müller-Lü"])
def test_names_of_people_may_stand(name: str) -> None:
    assert naming.usable(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "  ",
        "evil.com",
        "http://evil",
        "1234",
        "a" * 41,
        "{{price}}",
        "<b>Ada</b>",
        ".-",
        "a@b.example",
        "A\x00da",
    ],
)
def test_what_is_no_name_is_left_out(name: str) -> None:
    assert naming.usable(name) == ""


def test_white_space_in_a_name_becomes_one_blank() -> None:
    assert naming.usable("  Anna\r\nLena ") == "Anna Lena"


@given(
    st.lists(
        st.sampled_from(
            [
                "{{first_name}}",
                "Hi ",
                ", ",
                ". ",
                "\n\n",
                "for ",
                "'s ",
                "your pan",
                "! ",
                "and ",
                "{{price}}",
            ]
        ),
        max_size=9,
    ).map("".join)
)
def test_no_reference_is_ever_left(text: str) -> None:
    try:
        result = naming.without(text)
    except naming.NameNeeded:
        return

    assert "first_name" not in result
    assert result.count("{{price}}") == text.count("{{price}}")
