"""Tags on links to the brand's own sites; signed addresses; nowhere to go but where the run said."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from delivery import links
from tests.delivery.test_rendering import letter

TAGS = {"utm_source": "letter", "utm_medium": "email", "utm_campaign": "spring & more"}
TAGGED = "utm_source=letter&utm_medium=email&utm_campaign=spring%20%26%20more"


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("https://shop.example/a", f"https://shop.example/a?{TAGGED}"),
        ("https://www.SHOP.example/a/", f"https://www.SHOP.example/a/?{TAGGED}"),
        ("https://shop.example/a?x=%2F&y=&x=+1#part", f"https://shop.example/a?x=%2F&y=&x=+1&{TAGGED}#part"),
        (
            "https://shop.example/?utm_source=theirs",
            "https://shop.example/?utm_source=theirs&utm_medium=email&utm_campaign=spring%20%26%20more",
        ),
        ("https://notshop.example/a", "https://notshop.example/a"),
        ("https://shop.example.evil.example/a", "https://shop.example.evil.example/a"),
        ("https://partner.example/pay?sig=abc", "https://partner.example/pay?sig=abc"),
    ],
)
def test_tags_go_on_own_sites_and_change_nothing_else(address: str, expected: str) -> None:
    assert links.tagged(address, tags=TAGS, own=["shop.example"]) == expected


def test_without_a_source_there_are_no_tags() -> None:
    campaign = letter().run.campaign

    assert links.tags_of(campaign) == {}
    campaign.utm_source = "letter"
    assert links.tags_of(campaign)["utm_campaign"] == campaign.slug


def test_without_a_list_the_senders_domain_is_the_own_site() -> None:
    brand = letter(brand={"sender_email": "hello@wrenandember.example"}).run.campaign.brand

    assert links.own_sites(brand) == ["wrenandember.example"]


@pytest.mark.parametrize("make", ["click", "view", "open"])
def test_tokens_are_signed_and_hold_nothing_personal(make: str) -> None:
    piece = letter(profile={"first_name": "Zebedee", "external_id": "crm-secret"})
    url, read = {
        "click": (links.click_url(piece, "link"), links.clicked),
        "view": (links.view_url(piece), links.viewed),
        "open": (links.pixel_url(piece).removesuffix(".gif"), links.opened),
    }[make]
    token = url.rstrip("/").rpartition("/")[2]

    assert read(token)
    for wrong in (token[:-1], token + "x", "x" + token, token.replace("1", "2", 1), "", "x" * 5000):
        assert read(wrong) is None
    assert not any(word in url for word in ("Zebedee", "crm-secret", "@", "postbox"))


def test_one_address_is_no_other() -> None:
    piece = letter()
    token = links.pixel_url(piece).removesuffix(".gif").rpartition("/")[2]

    assert links.opened(token) == piece.pk
    assert links.viewed(token) is None and links.clicked(token) is None


def test_a_mail_is_shown_in_a_browser_for_some_weeks() -> None:
    token = links.view_url(letter()).rstrip("/").rpartition("/")[2]

    with time_machine.travel(timezone.now() + timedelta(days=links.VIEW_DAYS - 1)):
        assert links.viewed(token) == 11
    with time_machine.travel(timezone.now() + timedelta(days=links.VIEW_DAYS + 1)):
        assert links.viewed(token) is None


def test_only_links_of_the_run_lead_anywhere() -> None:
    run = letter().run

    assert links.target(run, "link") == "https://wrenandember.example/cast-iron"
    assert links.target(run, "discount") == ""  # a value, and no link
    assert links.target(run, "nothing") == ""
    run.brief["values"][2]["text"] = "javascript:alert(1)"
    assert links.target(run, "link") == ""


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_token_is_read_without_a_fault(token: str) -> None:
    assert links.clicked(token) is None
    assert links.viewed(token) is None
    assert links.opened(token) is None
