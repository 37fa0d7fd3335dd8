"""One address under several ids: whoever said no is not written to because a list knows them by another id."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from campaigns import consent, people
from campaigns.models import Profile
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
