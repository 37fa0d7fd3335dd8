"""One address under several ids: whoever said no is not written to because a list knows them by another id."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from campaigns import consent, people
from campaigns.models import ConsentEntry, Profile
from campaigns.people import ConsentInput, ProfileInput
from tests.factories import PurposeFactory

pytestmark = pytest.mark.django_db

YES, NO = ConsentInput("email", "given"), ConsentInput("email", "withdrawn")


def ada(external_id: str, *said: ConsentInput, email: str | None = "Ada@postbox.example") -> ProfileInput:
    return ProfileInput(external_id, email=email, consents=said)


def upsert(*items: ProfileInput) -> people.UpsertResult:
    return people.upsert(items=items, source="test")


def mailable() -> set[str]:
    found = consent.may_receive(Profile.objects.all(), channel="email")
    return set(found.values_list("external_id", flat=True))


def test_a_yes_under_another_id_is_not_taken_and_the_caller_is_told() -> None:
    upsert(ada("a", NO))
    result = upsert(ProfileInput("other", email="b@postbox.example", consents=[YES]), ada("b", YES))

    assert mailable() == {"other"}
    assert [(place, problem.field, problem.refuses) for place, problem in result.left_out] == [
        (1, "consent.email", False)
    ]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_within_one_call_too_in_any_order(order: tuple[int, int]) -> None:
    both = [ada("a", NO), ada("b", YES)]
    upsert(*(both[place] for place in order))

    assert mailable() == set()


def test_an_item_without_an_address_speaks_of_the_stored_one() -> None:
    upsert(ada("a", NO), ada("b"))
    upsert(ada("b", YES, email=None))

    assert mailable() == set()


def test_only_an_answer_given_anew_counts_and_another_purpose_is_another_question() -> None:
    upsert(ada("a", NO))
    upsert(ada("b", ConsentInput("email", "given", explicit=True)))
    assert mailable() == {"b"}

    PurposeFactory(slug="news")
    upsert(ada("c", ConsentInput("email", "withdrawn", purpose="news"), email="c@postbox.example"))
    upsert(ada("d", YES, email="c@postbox.example"))
    assert mailable() == {"b", "d"}


def test_a_no_holds_for_every_id_that_said_yes_before_it_and_for_no_later_yes() -> None:
    upsert(ada("a", YES), ada("b", YES), ada("c", YES, email="c@postbox.example"))
    now = timezone.now()
    key = Profile.objects.get(external_id="a").pk
    assert mailable() == {"a", "b", "c"}

    consent.record(
        profile_id=key, channel="email", status="withdrawn", source="crm", at=now - timedelta(days=1)
    )
    assert mailable() == {"a", "b", "c"}  # older than what both have said since
    consent.record(profile_id=key, channel="email", status="withdrawn", source="crm")
    assert mailable() == {"c"}


def test_the_same_person_again_and_other_channels_are_left_alone() -> None:
    upsert(ada("a", NO))
    upsert(ada("a", ConsentInput("push", "given")), ada("b", ConsentInput("push", "given")))

    pushed: Any = consent.may_receive(Profile.objects.all(), channel="push")
    assert set(pushed.values_list("external_id", flat=True)) == {"a", "b"}


ANEW = ConsentInput("email", "given", explicit=True)


def moved(*said: ConsentInput) -> ProfileInput:
    """b, who agreed at another address, now has ada's."""
    return ada("b", *said, email="ADA@postbox.example")


@pytest.mark.parametrize("said", [(), (YES,)])
def test_a_yes_does_not_follow_its_person_to_an_address_that_said_no(said: tuple[ConsentInput, ...]) -> None:
    upsert(ada("a", NO), ada("b", YES, email="b@postbox.example"))
    assert mailable() == {"b"}

    upsert(moved(*said))
    assert mailable() == set()
    entry = ConsentEntry.objects.get(profile__external_id="b", status="withdrawn")
    assert entry.counted and "another id" in entry.source


def test_nor_when_that_no_comes_in_the_same_call_or_is_older_than_the_yes() -> None:
    before = replace(NO, at=timezone.now() - timedelta(days=300))
    upsert(ada("a"), ada("b", YES, email="b@postbox.example"))
    upsert(moved(), ada("a", before, email=None))

    assert mailable() == set()


@pytest.mark.parametrize("in_one_call", [True, False])
def test_a_yes_given_anew_for_the_new_address_counts(in_one_call: bool) -> None:
    now = timezone.now()
    no, yes = replace(NO, at=now - timedelta(days=300)), replace(YES, at=now - timedelta(days=200))
    anew = replace(ANEW, at=now - timedelta(days=1))
    upsert(ada("a", no), ada("b", yes, email="b@postbox.example"), ada("c", ANEW))
    upsert(*([moved(anew)] if in_one_call else [moved(), moved(anew)]))

    assert mailable() == {"b", "c"}  # c agreed for themselves: what is taken back from b is b's alone


def test_an_unchanged_address_and_another_purpose_take_nothing_back() -> None:
    PurposeFactory(slug="news")
    upsert(
        ada("a", NO),
        ada("b", ANEW),
        ada("c", ConsentInput("email", "withdrawn", purpose="news"), email="c@x.example"),
    )
    upsert(ada("b"), ada("d", YES, email="d@postbox.example"))
    upsert(ada("d", email="c@x.example"))

    assert mailable() == {"b"} | {"d"}


def test_a_telephone_number_is_an_address_too() -> None:
    no, yes = ConsentInput("sms", "withdrawn"), ConsentInput("sms", "given")
    upsert(
        ProfileInput("a", phone="+442079460000", consents=[no]),
        ProfileInput("b", phone="+442079460001", consents=[yes]),
    )
    upsert(ProfileInput("b", phone="+442079460000"))

    assert not consent.may_receive(Profile.objects.all(), channel="sms").exists()
