"""A 'no' is stronger than a repeated 'yes', and an address on the list stays there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from campaigns import consent, people
from campaigns.models import Consent, Profile, Suppression
from campaigns.people import ConsentInput, ProfileInput
from personalize.core.errors import InvalidInput
from tests.factories import ProfileFactory

pytestmark = pytest.mark.django_db
DAY = datetime(2024, 5, 1, tzinfo=UTC)


def say(
    profile: Profile, status: str, *, days: int = 0, explicit: bool = False, channel: str = "email"
) -> bool:
    return consent.record(
        profile_id=profile.pk, channel=channel, status=status, source="test",
        at=DAY + timedelta(days=days), explicit=explicit,
    )  # fmt: skip


def status() -> str:
    return Consent.objects.get().status


def reachable(channel: str = "email") -> set[str]:
    found = consent.may_receive(Profile.objects.all(), channel=channel)
    return set(found.values_list("external_id", flat=True))


@pytest.mark.parametrize(
    ("first", "second", "days", "explicit", "left"),
    [
        ("given", "withdrawn", 1, False, "withdrawn"),
        ("given", "withdrawn", 0, False, "withdrawn"),
        ("given", "withdrawn", -1, False, "given"),  # an old file; the person agreed since
        ("withdrawn", "given", 1, False, "withdrawn"),  # a re-import never re-subscribes
        ("withdrawn", "given", 1, True, "given"),
        ("withdrawn", "given", -1, True, "withdrawn"),
        ("given", "given", 1, False, "given"),
    ],
)
def test_which_statement_counts(first: str, second: str, days: int, explicit: bool, left: str) -> None:
    profile = ProfileFactory()
    say(profile, first, explicit=True)
    say(profile, second, days=days, explicit=explicit)
    assert status() == left
    # The same two in one batch end the same.
    Consent.objects.all().delete()
    consent.record_many(
        items=[
            (profile.pk, ConsentInput("email", first, at=DAY, explicit=True)),
            (profile.pk, ConsentInput("email", second, at=DAY + timedelta(days=days), explicit=explicit)),
        ]
    )
    assert status() == left


def test_channels_are_apart() -> None:
    profile = ProfileFactory()
    say(profile, "given")
    say(profile, "withdrawn", channel="sms")
    assert set(Consent.objects.values_list("channel", "status")) == {("email", "given"), ("sms", "withdrawn")}


def test_silence_is_no_consent() -> None:
    ProfileFactory(external_id="silent")
    ProfileFactory(external_id="yes", consents=["email"])
    ProfileFactory(external_id="no address", email="", consents=["email"])
    ProfileFactory(external_id="no hash", email_hash="", consents=["email"])
    assert reachable() == {"yes"}


def test_the_suppression_list_stops_each_channel_by_itself() -> None:
    profile = ProfileFactory(external_id="a", email="Ada@b.example", consents=["email", "sms", "push"])
    assert consent.suppress(address="ada@B.EXAMPLE", channel="email", reason="bounced")
    assert not consent.suppress(address="ada@b.example", channel="email", reason="bounced")
    assert consent.is_suppressed(address="ADA@b.example", channel="email")
    assert (reachable("email"), reachable("sms"), reachable("push")) == (set(), {"a"}, {"a"})
    consent.suppress(address=profile.phone, channel="sms", reason="manual")
    consent.suppress(address="a", channel="push", reason="manual")
    assert (reachable("sms"), reachable("push")) == (set(), set())


def test_another_profile_of_the_same_address_is_stopped_too() -> None:
    ProfileFactory(external_id="a", email="ada@b.example", consents=["email"])
    ProfileFactory(external_id="b", email="ADA@b.example", consents=["email"])
    consent.suppress(address="ada@b.example", channel="email", reason="unsubscribed")
    assert reachable() == set()


def test_a_graver_reason_stays() -> None:
    consent.suppress(address="a@b.example", channel="email", reason="unsubscribed")
    consent.suppress(address="a@b.example", channel="email", reason="complained")
    consent.suppress(address="a@b.example", channel="email", reason="unsubscribed")
    assert Suppression.objects.get().reason == "complained"


@pytest.mark.parametrize(
    ("reason", "lifted"), [("unsubscribed", True), ("erased", True), ("complained", False)]
)
def test_only_the_person_comes_back(reason: str, lifted: bool) -> None:
    profile = ProfileFactory(external_id="a", email="a@b.example", consents=["email"])
    consent.suppress(address="a@b.example", channel="email", reason=reason)
    again = ConsentInput("email", "given")
    people.upsert(items=[ProfileInput("a", email="a@b.example", consents=[again])], source="nightly sync")
    assert reachable() == set()
    consent.record(profile_id=profile.pk, channel="email", status="given", source="form", explicit=True)
    assert reachable() == ({"a"} if lifted else set())


def test_an_explicit_yes_from_before_the_unsubscription_lifts_nothing() -> None:
    profile = ProfileFactory(external_id="a", email="a@b.example")
    consent.suppress(address="a@b.example", channel="email", reason="unsubscribed")
    consent.record(
        profile_id=profile.pk, channel="email", status="given", source="form",
        at=timezone.now() - timedelta(days=1), explicit=True,
    )  # fmt: skip
    assert reachable() == set()


def test_only_hashes_are_kept() -> None:
    consent.suppress(address="ada@b.example", channel="email", reason="manual")
    row = Suppression.objects.get()
    assert len(row.address_hash) == 64
    assert "ada@" not in str(Suppression.objects.values().get())


def test_ads_address_nobody() -> None:
    profile = ProfileFactory()
    assert consent.address_of(profile, "meta_ad") == ""
    with pytest.raises(InvalidInput):
        consent.may_receive(Profile.objects.all(), channel="meta_ad")
    with pytest.raises(InvalidInput):
        consent.normalise_address("google_rsa", "x")
    with pytest.raises(InvalidInput):
        consent.record(profile_id=profile.pk, channel="meta_ad", status="given", source="x")


def test_may_receive_is_one_query_and_narrows_what_it_is_given(django_assert_num_queries: object) -> None:
    ProfileFactory(external_id="a", consents=["email"], lifecycle="vip")
    ProfileFactory(external_id="b", consents=["email"], lifecycle="new")
    with django_assert_num_queries(1):  # type: ignore[operator]
        found = consent.may_receive(Profile.objects.filter(lifecycle="vip"), channel="email")
        assert [profile.external_id for profile in found] == ["a"]
