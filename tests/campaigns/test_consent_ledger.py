"""Consent by channel and purpose: the present state, and every statement that led to it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from campaigns import consent, people, segments
from campaigns.consent import ConsentInput
from campaigns.models import AttributeDefinition, Consent, ConsentEntry, Profile
from campaigns.people import ProfileInput
from personalize.core.errors import InvalidInput
from tests.factories import AttributeDefinitionFactory, ProfileFactory, PurposeFactory

pytestmark = pytest.mark.django_db


def say(profile: Profile, status: str, **more: object) -> bool:
    return consent.record(profile_id=profile.pk, channel="email", status=status, source="form", **more)  # type: ignore[arg-type]


def told(profile: Profile) -> list[tuple[str, str, bool]]:
    rows = ConsentEntry.objects.filter(profile=profile).order_by("pk")
    return list(rows.values_list("purpose", "status", "counted"))


def may(profile: Profile, purpose: str = "marketing") -> bool:
    mine = Profile.objects.filter(pk=profile.pk)
    return consent.may_receive(mine, channel="email", purpose=purpose).exists()


def test_what_changes_the_state_is_written_down_and_what_repeats_it_is_not() -> None:
    ada = ProfileFactory()
    assert say(ada, "given", proof="form 7, wording 2", by="dora")
    assert not say(ada, "given")
    assert say(ada, "withdrawn")
    assert not say(ada, "given")  # an import that repeats itself
    assert say(ada, "given", explicit=True)
    assert told(ada) == [
        ("marketing", "given", True),
        ("marketing", "withdrawn", True),
        ("marketing", "given", True),
    ]
    first = ConsentEntry.objects.order_by("pk")[0]
    assert (first.proof, first.recorded_by, first.source) == ("form 7, wording 2", "dora", "form")


def test_a_proof_is_kept_even_of_what_changes_nothing() -> None:
    ada = ProfileFactory()
    say(ada, "given")
    say(ada, "given", proof="double opt-in 81")
    assert told(ada) == [("marketing", "given", True), ("marketing", "given", False)]


def test_a_yes_is_for_its_purpose_alone() -> None:
    PurposeFactory(slug="research")
    ada = ProfileFactory()
    say(ada, "given", purpose="research")
    assert may(ada, "research") and not may(ada)
    say(ada, "given")
    assert may(ada) and Consent.objects.count() == 2


def test_a_no_without_a_purpose_is_for_all_of_the_channel() -> None:
    PurposeFactory(slug="research")
    ada = ProfileFactory()
    say(ada, "given", purpose="research")
    say(ada, "given")
    say(ada, "withdrawn", purpose="research")
    assert may(ada) and not may(ada, "research")
    say(ada, "given", purpose="research", explicit=True)
    say(ada, "withdrawn")
    assert not may(ada) and not may(ada, "research")


def test_a_no_in_the_same_call_reaches_a_purpose_given_there() -> None:
    PurposeFactory(slug="research")
    now = timezone.now()
    said = [
        ConsentInput("email", "given", "form", at=now - timedelta(days=2), purpose="research"),
        ConsentInput("email", "withdrawn", "form", at=now - timedelta(days=1)),
    ]
    people.upsert(items=[ProfileInput("a", "a@b.example", consents=said)], source="test")
    assert set(Consent.objects.values_list("purpose", "status")) == {
        ("marketing", "withdrawn"),
        ("research", "withdrawn"),
    }


def test_unknown_purposes_are_refused_whole() -> None:
    ada = ProfileFactory()
    with pytest.raises(InvalidInput, match="no purpose of this name"):
        say(ada, "given", purpose="resale")
    assert not ConsentEntry.objects.exists() and not Consent.objects.exists()


def test_segments_ask_for_a_purpose() -> None:
    PurposeFactory(slug="research")
    say(ProfileFactory(external_id="a"), "given", purpose="research")
    tree = {"field": "consent.email", "op": "is", "value": "given", "purpose": "research"}
    assert Profile.objects.filter(segments.to_query(tree)).count() == 1
    assert Profile.objects.filter(segments.to_query({**tree, "purpose": "marketing"})).count() == 0
    assert segments.describe(tree) == "people whose consent to E-mail for research is given"


def test_what_becomes_protected_can_be_used_nowhere_any_more() -> None:
    """No segment, so no campaign and no ad can be aimed by it; no trait, so no text can speak of it."""
    AttributeDefinitionFactory(name="illness", label="Illness")
    ProfileFactory(attributes={"illness": "flu"})
    tree = {"all": [{"field": "attributes.illness", "op": "is", "value": "flu"}]}
    segments.check(tree)
    AttributeDefinition.objects.update(is_protected=True)
    for ask in (segments.check, segments.describe, segments.to_query):
        with pytest.raises(InvalidInput):
            ask(tree)
    assert "attributes.illness" not in segments.fields()
