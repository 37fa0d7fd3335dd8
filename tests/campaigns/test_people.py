"""People come in clean, whole or not at all, and go for good."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from campaigns import consent, people
from campaigns.models import Consent, Event, Profile, Suppression
from campaigns.people import ConsentInput, ProfileInput
from generation.models import Piece
from personalize.core.errors import InvalidInput
from tests.factories import AttributeDefinitionFactory, EventFactory, PieceFactory, ProfileFactory

pytestmark = pytest.mark.django_db


def upsert(*items: ProfileInput, **options: Any) -> people.UpsertResult:
    return people.upsert(items=items, source="test", **options)


def test_new_people_are_stored_in_their_normal_form() -> None:
    AttributeDefinitionFactory(name="country")
    result = upsert(
        ProfileInput(
            external_id=" a-1 ",
            email="Ada.L+x@Postbox.EXAMPLE",
            phone="07700 900123",
            first_name=" Ada \u200b\n ✨",
            locale="en_gb",
            time_zone="europe/london",
            attributes={"country": "GB"},
        )
    )
    ada = Profile.objects.get()
    assert (result.created, result.updated, result.ids) == (1, 0, {"a-1": ada.pk})
    assert (ada.external_id, ada.email, ada.phone) == ("a-1", "Ada.L+x@postbox.example", "+447700900123")
    assert (ada.first_name, ada.locale, ada.time_zone) == ("Ada", "en-GB", "Europe/London")
    assert ada.email_hash == consent.address_hash("ada.l+x@postbox.example")
    assert ada.phone_hash == consent.address_hash("+447700900123")
    assert ada.id_hash == consent.address_hash("a-1")
    assert ada.traits_at is None


def test_what_is_not_given_stays_and_empty_text_clears() -> None:
    for name in ("city", "cooks"):
        AttributeDefinitionFactory(name=name)
    upsert(
        ProfileInput("a", email="a@b.example", first_name="Ada", attributes={"city": "Leeds", "cooks": "x"})
    )
    upsert(ProfileInput("a", first_name="Adah", attributes={"cooks": None}))
    ada = Profile.objects.get()
    assert (ada.email, ada.first_name, ada.attributes) == ("a@b.example", "Adah", {"city": "Leeds"})
    upsert(ProfileInput("a", email=""))
    ada.refresh_from_db()
    assert (ada.email, ada.email_hash, ada.first_name) == ("", "", "Adah")


def test_repeating_changes_nothing_and_counts_as_unchanged() -> None:
    item = ProfileInput("a", email="a@b.example", first_name="Ada")
    upsert(item)
    before = Profile.objects.values().get()
    result = upsert(item)
    assert (result.created, result.updated, result.unchanged) == (0, 0, 1)
    assert Profile.objects.values().get() == before


def test_traits_are_due_only_when_attributes_changed() -> None:
    AttributeDefinitionFactory(name="cooks")
    upsert(ProfileInput("a", attributes={"cooks": "outdoors"}))
    Profile.objects.update(traits_at=timezone.now())
    upsert(ProfileInput("a", first_name="Ada", attributes={"cooks": "outdoors"}))
    assert Profile.objects.get().traits_at is not None
    upsert(ProfileInput("a", attributes={"cooks": "indoors"}))
    assert Profile.objects.get().traits_at is None


def test_one_person_twice_in_a_batch_is_merged_in_order() -> None:
    result = upsert(
        ProfileInput("a", email="old@b.example", first_name="Ada"), ProfileInput("a", email="new@b.example")
    )
    ada = Profile.objects.get()
    assert (ada.email, ada.first_name) == ("new@b.example", "Ada")
    assert (result.created, result.unchanged) == (1, 1)


def test_attributes_nobody_defined_are_dropped_and_named() -> None:
    AttributeDefinitionFactory(name="city")
    result = upsert(ProfileInput("a", attributes={"city": "Leeds", "shoe_size": "44", "mood": "x"}))
    assert result.ignored_attributes == {"shoe_size", "mood"}
    assert Profile.objects.get().attributes == {"city": "Leeds"}


def test_attributes_are_typed_by_their_definition() -> None:
    for name, kind in (("spend", "number"), ("vip", "boolean"), ("since", "date"), ("city", "text")):
        AttributeDefinitionFactory(name=name, kind=kind)
    given = {"spend": "1,234.50", "vip": "yes", "since": "3 March 2021", "city": "  Le\x00eds "}
    upsert(ProfileInput("a", attributes=given))
    assert Profile.objects.get().attributes == {
        "spend": 1234.5, "vip": True, "since": "2021-03-03", "city": "Le eds".replace(" ", ""),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("item", "field"),
    [
        (ProfileInput(""), "external_id"),
        (ProfileInput("x" * 129), "external_id"),
        (ProfileInput("a\nb"), "external_id"),
        (ProfileInput("a", email="not-an-address"), "email"),
        (ProfileInput("a", email="two@at@signs.example"), "email"),
        (ProfileInput("a", email="double..dots@b.example"), "email"),
        (ProfileInput("a", email="h@b.example\nBcc: everyone@b.example"), "email"),
        (ProfileInput("a", email="a@b.test"), "email"),
        (ProfileInput("a", phone="12", locale="en-GB"), "phone"),
        (ProfileInput("a", phone="+1 555-0101"), "phone"),
        (ProfileInput("a", time_zone="Europe/Ottersby"), "time_zone"),
        (ProfileInput("a", locale="English, please"), "locale"),
        (ProfileInput("a", consents=[ConsentInput("meta_ad", "given")]), "consents"),
    ],
)
def test_what_cannot_be_used_refuses_the_whole_batch(item: ProfileInput, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        upsert(ProfileInput("good", email="good@b.example"), item)
    assert (caught.value.field, caught.value.row) == (field, 1)
    assert not Profile.objects.exists()
    assert [problem.field for problem in people.check(item) if problem.refuses] == [field]


def test_messages_quote_no_value() -> None:
    item = ProfileInput(
        "a", email="queer\u00fc@secret.example", phone="zebra", first_name="<zebra>", time_zone="zebra"
    )
    assert not [
        problem for problem in people.check(item) if "zebra" in problem.message or "ü" in problem.message
    ]
    assert len(people.check(item)) == 4


def test_a_bad_name_costs_only_itself() -> None:
    result = upsert(ProfileInput("a", email="a@b.example", first_name="<script>alert(1)</script>"))
    assert Profile.objects.get().first_name == ""
    assert [(index, problem.field) for index, problem in result.left_out] == [(0, "first_name")]


@pytest.mark.parametrize(("phone", "lenient"), [("555-0101", False), ("+1 555-0101", True)])
def test_a_number_of_no_country_or_leniently_a_bad_one_costs_only_itself(phone: str, lenient: bool) -> None:
    result = upsert(ProfileInput("a", email="a@b.example", phone=phone), lenient=lenient)
    assert Profile.objects.get().phone == ""
    assert result.left_out[0][1].field == "phone"


def test_consent_comes_with_the_person() -> None:
    at = datetime(2024, 5, 1, tzinfo=UTC)
    upsert(ProfileInput("a", email="a@b.example", consents=[ConsentInput("email", "given", at=at)]))
    row = Consent.objects.get()
    assert (row.channel, row.status, row.source, row.recorded_at) == ("email", "given", "test", at)


def test_batches_larger_than_one_statement(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(people, "BATCH", 3)
    upsert(ProfileInput("p3", first_name="Old"))
    result = upsert(*(ProfileInput(f"p{n}", first_name="Ada") for n in range(8)))
    assert (result.created, result.updated, len(result.ids)) == (7, 1, 8)
    assert Profile.objects.filter(first_name="Ada").count() == 8


def test_statements_do_not_grow_with_the_batch(django_assert_max_num_queries: Any) -> None:
    items = [ProfileInput(f"p{n}", email=f"p{n}@b.example") for n in range(200)]
    with django_assert_max_num_queries(8):
        upsert(*items)


def test_erasing_reaches_everything_and_outlives_a_reimport() -> None:
    profile = ProfileFactory(external_id="a", email="ada@b.example", consents=["email", "sms", "push"])
    EventFactory(profile=profile)
    PieceFactory(profile=profile)
    people.erase(external_id="a", by=None)
    assert not (Profile.objects.exists() or Event.objects.exists() or Piece.objects.exists())
    assert set(Suppression.objects.values_list("channel", "reason")) == {
        ("email", "erased"), ("sms", "erased"), ("push", "erased"),
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute("SELECT string_agg(s::text, ' ') FROM campaigns_suppression s")
        kept = cursor.fetchone()[0]
    assert "ada@" not in kept and "b.example" not in kept
    upsert(ProfileInput("a", email="ADA@b.example", consents=[ConsentInput("email", "given")]))
    assert Profile.objects.count() == 1
    assert not consent.may_receive(Profile.objects.all(), channel="email").exists()


def test_erasing_somebody_unknown_says_so() -> None:
    with pytest.raises(people.UnknownProfile):
        people.erase(external_id="nobody", by=None)


def test_a_failure_in_the_middle_stores_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: object) -> int:
        raise RuntimeError("the lights went out")

    monkeypatch.setattr(consent, "record_many", fail)
    with pytest.raises(RuntimeError):
        upsert(ProfileInput("a", consents=[ConsentInput("email", "given")]))
    assert not Profile.objects.exists()


def test_region_of_a_phone_follows_country_then_locale() -> None:
    AttributeDefinitionFactory(name="country")
    upsert(
        ProfileInput("fr", phone="06 12 34 56 78", attributes={"country": "France"}, locale="en-GB"),
        ProfileInput("gb", phone="07700 900123", locale="en-GB"),
        ProfileInput("us", phone="(212) 555-0123", region="US", locale="en-GB"),
    )
    assert dict(Profile.objects.values_list("external_id", "phone")) == {
        "fr": "+33612345678", "gb": "+447700900123", "us": "+12125550123",
    }  # fmt: skip


def test_consent_recorded_in_the_future_counts_from_now() -> None:
    ahead = timezone.now() + timedelta(days=400)
    upsert(ProfileInput("a", consents=[ConsentInput("email", "given", at=ahead)]))
    assert Consent.objects.get().recorded_at <= timezone.now()
