"""What keeps a campaign from being launched, and the frozen brief."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from campaigns import briefs
from campaigns.models import ValueKind
from tests.factories import CampaignFactory, FactFactory, ValueFactory

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("two of three is fine", ""),
        ("take {{discount}} off until {{end_date}}", ""),
        ("take 15 percent", "1"),
        ("٣ days", "٣"),
        ("½ price", "½"),
        ("Ⅻ months", "Ⅻ"),
        ("half price in €", "€"),
        ("all of it, 100", "1"),
        ("now % off", "%"),
        ("ten GBP", "GBP"),
        ("see www.shop.example", "www."),
        ("see https://shop.example", "https://"),
        ("write to me@shop", "me@s"),
    ],
)
def test_bare_number_finds_what_only_a_value_may_say(text: str, found: str) -> None:
    assert briefs.bare_number(text) == found


def test_a_whole_campaign_has_no_problem() -> None:
    assert briefs.problems(CampaignFactory()) == []


def test_every_gap_is_named_with_its_field() -> None:
    campaign = CampaignFactory(
        whole=False, goal="sell 3 pans", channels=["email", "meta_ad"], segment=None, audience=""
    )
    fields = [problem.field for problem in briefs.problems(campaign)]
    assert fields == ["goal", "facts", "cta_link", "must_mention", "segment", "audience"]


def test_a_fact_may_use_only_the_campaigns_own_values() -> None:
    campaign = CampaignFactory()
    FactFactory(campaign=campaign, text="for {{first_name}} only, at {{price}} with {a brace")
    messages = " ".join(problem.message for problem in briefs.problems(campaign))
    assert "{{first_name}}" in messages
    assert "{{price}}" in messages
    assert "stray brace" in messages


def test_an_expired_value_and_a_link_that_is_none_are_refused() -> None:
    campaign = CampaignFactory()
    ValueFactory(campaign=campaign, name="old", text="May", valid_until=timezone.now() - timedelta(minutes=1))
    ValueFactory(campaign=campaign, name="page", text="javascript:alert(1)", kind=ValueKind.LINK)
    ValueFactory(campaign=campaign, name="lines", text="one\ntwo")
    messages = [problem.message for problem in briefs.problems(campaign)]
    assert [message.split()[2] for message in messages] == ["lines", "old", "page"]


def test_a_value_nobody_says_cannot_be_mentioned() -> None:
    campaign = CampaignFactory(must_mention=["link"])
    assert [problem.field for problem in briefs.problems(campaign)] == ["must_mention"]


def test_a_second_link_cannot_be_mentioned() -> None:
    campaign = CampaignFactory(must_mention=["terms"])
    ValueFactory(campaign=campaign, name="terms", text="https://shop.example/terms", kind=ValueKind.LINK)
    FactFactory(campaign=campaign, text="the terms are at {{terms}}")
    assert ["terms is a link" in problem.message for problem in briefs.problems(campaign)] == [True]


def test_the_frozen_brief_is_plain_and_its_hash_knows_every_change() -> None:
    campaign = CampaignFactory()
    first = briefs.freeze(campaign)
    assert [fact["id"] for fact in first["facts"]] == ["f1", "f2", "f3"]
    assert briefs.brief_hash(first) == briefs.brief_hash(briefs.freeze(campaign))
    campaign.values.filter(name="discount").update(text="20%")
    assert briefs.brief_hash(first) != briefs.brief_hash(briefs.freeze(campaign))
    assert "sender_email" not in str(first)
