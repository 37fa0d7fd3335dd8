"""What came back: once each, on the right delivery, acted on at once."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from campaigns import consent, people
from campaigns.models import Profile
from delivery import outcomes
from delivery.models import Delivery, DeliveryStatus, Outcome
from delivery.outcomes import OutcomeInput
from generation.models import Status
from personalize.core.errors import InvalidInput
from tests import factories
from tests.delivery import scenes

pytestmark = pytest.mark.django_db


@pytest.fixture
def delivery() -> Delivery:
    row: Delivery = factories.DeliveryFactory(piece__reviewed_by=scenes.somebody())
    return row


def report(delivery: Delivery, kind: str, **changes: Any) -> OutcomeInput:
    values = {"event_id": f"{kind}-1", "occurred_at": timezone.now(), "delivery_id": delivery.pk}
    return OutcomeInput(kind=kind, **{**values, **changes})


def may_get_mail(delivery: Delivery) -> bool:
    people = Profile.objects.filter(pk=delivery.piece.profile_id)
    return consent.may_receive(people, channel="email").exists()


def test_a_report_is_kept_once_however_often_it_comes(delivery: Delivery) -> None:
    item = report(delivery, "purchased", amount=Decimal("29.00"))

    first = outcomes.record(items=[item, item])
    second = outcomes.record(items=[item])

    assert (first.created, first.duplicates) == (1, 1)
    assert (second.created, second.duplicates) == (0, 1)
    assert Outcome.objects.get().amount == Decimal("29.00")


@pytest.mark.parametrize("by", ["message_id", "delivery_id", "piece_id"])
def test_a_report_names_its_delivery_in_three_ways(delivery: Delivery, by: str) -> None:
    factories.DeliveryFactory(piece__reviewed_by=scenes.somebody())
    names = {"message_id": delivery.message_id, "delivery_id": delivery.pk, "piece_id": delivery.piece_id}
    item = OutcomeInput(kind="clicked", event_id="e", occurred_at=timezone.now(), **{by: names[by]})

    outcomes.record(items=[item])

    assert Outcome.objects.get().delivery == delivery


def test_a_report_about_nothing_of_ours_is_said_to_be_so(delivery: Delivery) -> None:
    strange = report(delivery, "clicked", delivery_id=None, message_id="<x@elsewhere>", event_id="strange")

    result = outcomes.record(items=[report(delivery, "opened"), strange])

    assert (result.created, result.unknown) == (1, ("strange",))


def test_a_late_bounce_of_an_old_address_leaves_the_new_one(delivery: Delivery) -> None:
    profile = delivery.piece.profile
    old = profile.email
    Delivery.objects.filter(pk=delivery.pk).update(address_hash=consent.address_hash(old))
    people.upsert(
        items=[people.ProfileInput(profile.external_id, email="moved@mail.example")], source="the CRM"
    )

    outcomes.record(items=[report(delivery, "bounced")])

    assert consent.is_suppressed(address=old, channel="email")
    assert not consent.is_suppressed(address="moved@mail.example", channel="email")
    assert may_get_mail(delivery)


@pytest.mark.parametrize("kind", ["bounced", "complained", "unsubscribed"])
def test_bounce_complaint_and_unsubscribe_stop_everything_at_once(delivery: Delivery, kind: str) -> None:
    waiting = factories.PieceFactory(
        profile=delivery.piece.profile, status=Status.APPROVED, reviewed_by=scenes.somebody()
    )

    outcomes.record(items=[report(delivery, kind)])

    waiting.refresh_from_db()
    assert waiting.status == Status.WITHDRAWN
    assert not may_get_mail(delivery)


@pytest.mark.parametrize(
    ("kind", "changes"), [("opened", {}), ("purchased", {}), ("bounced", {"permanent": False})]
)
def test_anything_else_stops_nothing(delivery: Delivery, kind: str, changes: dict[str, Any]) -> None:
    outcomes.record(items=[report(delivery, kind, **changes)])

    assert may_get_mail(delivery)


def test_an_old_report_does_not_undo_a_new_yes(delivery: Delivery) -> None:
    item = report(delivery, "unsubscribed")
    outcomes.record(items=[item])
    consent.record(
        profile_id=delivery.piece.profile_id, channel="email", status="given", source="form", explicit=True
    )

    outcomes.record(items=[item])

    assert may_get_mail(delivery)


def test_a_report_settles_an_uncertain_end(delivery: Delivery) -> None:
    Delivery.objects.filter(pk=delivery.pk).update(status=DeliveryStatus.UNKNOWN, finished_at=None)
    piece = delivery.piece
    type(piece).objects.filter(pk=piece.pk).update(status=Status.UNKNOWN, delivered_at=None)

    outcomes.record(items=[report(delivery, "delivered")])

    piece.refresh_from_db()
    delivery.refresh_from_db()
    assert (piece.status, delivery.status) == (Status.DELIVERED, DeliveryStatus.HANDED_OVER)


@pytest.mark.parametrize("changes", [{"kind": "exploded"}, {"event_id": ""}, {"event_id": "x" * 201}])
def test_a_bad_report_stores_nothing(delivery: Delivery, changes: dict[str, Any]) -> None:
    good = report(delivery, "opened", event_id="good")
    bad = {"kind": "opened", "event_id": "bad", "occurred_at": timezone.now(), **changes}

    with pytest.raises(InvalidInput):
        outcomes.record(items=[good, OutcomeInput(**bad)])

    assert not Outcome.objects.exists()
