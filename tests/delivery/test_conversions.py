"""Purchases are put down to the message they followed, once, by the rule that is written down."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from campaigns.models import Profile
from delivery import conversions, outcomes
from delivery.models import Delivery, Outcome
from delivery.outcomes import OutcomeInput
from tests import factories
from tests.delivery import scenes

pytestmark = pytest.mark.django_db

NOW = timezone.now()
HOUR = timedelta(hours=1)


def left(profile: Profile, ago: timedelta, **changes: Any) -> Delivery:
    at = NOW - ago
    row: Delivery = factories.DeliveryFactory(
        piece__profile=profile, piece__reviewed_by=scenes.somebody(), begun_at=at, finished_at=at, **changes
    )
    return row


def bought(profile: Profile, ago: timedelta = HOUR, **changes: Any) -> Any:
    values = {"name": "purchased", "amount": Decimal("29.00"), "quantity": 1, **changes}
    return factories.EventFactory(profile=profile, occurred_at=NOW - ago, product=None, **values)


def clicked(delivery: Delivery, at: datetime, *, counted: bool = True) -> None:
    item = OutcomeInput(
        kind="clicked", event_id=f"c{delivery.pk}", occurred_at=at, delivery_id=delivery.pk, counted=counted
    )
    outcomes.record(items=[item])


@pytest.fixture
def profile() -> Profile:
    made: Profile = factories.ProfileFactory()
    return made


def of(delivery: Delivery) -> list[tuple[Decimal | None, str]]:
    rows = Outcome.objects.filter(delivery=delivery, kind="purchased").order_by("pk")
    return [(row.amount, row.detail) for row in rows]


def test_a_purchase_counts_for_the_message_before_it_and_once(profile: Profile) -> None:
    delivery = left(profile, 5 * HOUR)
    event = bought(profile)

    assert [conversions.attribute() for _ in range(3)] == [1, 0, 0]
    assert of(delivery) == [(Decimal("29.00"), "after the message")]
    assert Outcome.objects.get().event_id == f"event:{event.message_id}"
    assert Outcome.objects.get().occurred_at == event.occurred_at


def test_of_several_messages_the_clicked_one_and_else_the_last(profile: Profile) -> None:
    early, late = left(profile, 50 * HOUR), left(profile, 5 * HOUR)
    bought(profile, 3 * HOUR)
    conversions.attribute()
    assert (len(of(early)), len(of(late))) == (0, 1)

    clicked(early, NOW - 2 * HOUR)
    bought(profile, 1 * HOUR)
    conversions.attribute()
    assert of(early) == [(Decimal("29.00"), "after a click")]
    assert len(of(late)) == 1


@pytest.mark.parametrize("counted", [True, False])
def test_a_click_after_the_purchase_or_of_a_machine_decides_nothing(counted: bool, profile: Profile) -> None:
    early, late = left(profile, 50 * HOUR), left(profile, 5 * HOUR)
    clicked(early, NOW - (0 * HOUR if counted else 4 * HOUR), counted=counted)
    bought(profile)

    conversions.attribute()

    assert (len(of(early)), len(of(late))) == (0, 1)


@pytest.mark.parametrize(
    ("message_ago", "event"),
    [
        (timedelta(days=8), {}),  # too long ago
        (HOUR / 2, {}),  # it left after the purchase
        (5 * HOUR, {"name": "viewed"}),
        (5 * HOUR, {"quantity": -1}),  # goods that came back
        (5 * HOUR, {"amount": Decimal("-5.00")}),
    ],
)
def test_what_is_no_conversion_of_a_message(
    message_ago: timedelta, event: dict[str, Any], profile: Profile
) -> None:
    left(profile, message_ago)
    bought(profile, **event)

    assert conversions.attribute() == 0


def test_a_message_that_did_not_arrive_or_went_to_another_sells_nothing(profile: Profile) -> None:
    left(factories.ProfileFactory(), 5 * HOUR)
    unsure = left(profile, 5 * HOUR)
    Delivery.objects.filter(pk=unsure.pk).update(status="failed")
    bought(profile)

    assert conversions.attribute() == 0


def test_window_and_events_are_settings(profile: Profile, settings: Any) -> None:
    settings.ATTRIBUTION_DAYS, settings.ATTRIBUTION_EVENTS = 30, ["signed_up"]
    delivery = left(profile, timedelta(days=20))
    bought(profile, name="signed_up", amount=None, quantity=None)

    assert conversions.attribute() == 1
    assert of(delivery) == [(None, "after the message")]


def test_what_came_in_long_ago_is_looked_at_when_asked(profile: Profile) -> None:
    left(profile, 5 * HOUR)
    event = bought(profile)
    type(event).objects.filter(pk=event.pk).update(received_at=NOW - timedelta(days=30))

    assert conversions.attribute() == 0
    assert conversions.attribute(since=NOW - timedelta(days=31)) == 1


def test_the_command_looks_further_back(profile: Profile, capsys: pytest.CaptureFixture[str]) -> None:
    left(profile, 5 * HOUR)
    event = bought(profile)
    type(event).objects.filter(pk=event.pk).update(received_at=NOW - timedelta(days=30))

    call_command("attribute_conversions")
    call_command("attribute_conversions", since=f"{NOW - timedelta(days=31):%Y-%m-%d}")

    assert capsys.readouterr().out.splitlines() == [
        "0 conversions put down to messages.",
        "1 conversions put down to messages.",
    ]
    with pytest.raises(CommandError, match="2024-05-01"):
        call_command("attribute_conversions", since="yesterday")
