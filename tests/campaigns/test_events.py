"""Each event once, and only of people we know."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from campaigns import events
from campaigns.events import EventInput
from campaigns.models import Event, Profile
from personalize.core.errors import InvalidInput
from tests.factories import ProductFactory, ProfileFactory

pytestmark = pytest.mark.django_db
AT = datetime(2025, 5, 1, 9, 30, tzinfo=UTC)


def event(message_id: str = "m1", **more: Any) -> EventInput:
    return EventInput(
        **{"message_id": message_id, "external_id": "a", "name": "purchased", "occurred_at": AT, **more}
    )


def test_an_event_is_stored_whole_and_makes_the_person_due() -> None:
    ada = ProfileFactory(external_id="a")
    pot = ProductFactory(sku="pot")
    result = events.record(
        items=[
            event(
                name="Cart Left",
                sku="pot",
                quantity=2,
                amount="58.005",
                properties={"size": "L", "gift": True},
            )
        ]
    )
    assert (result.created, result.duplicates) == (1, 0)
    row = Event.objects.get()
    assert (row.profile, row.name, row.product, row.quantity, str(row.amount)) == (
        ada,
        "cart_left",
        pot,
        2,
        "58.00",
    )
    assert row.properties == {"size": "L", "gift": True}
    assert Profile.objects.get().traits_at is None


def test_delivered_again_it_changes_nothing() -> None:
    ada = ProfileFactory(external_id="a")
    events.record(items=[event(), event()])
    Profile.objects.update(traits_at=timezone.now())
    result = events.record(items=[event(quantity=99), event("m2")][:1])
    assert (result.created, result.duplicates) == (0, 1)
    assert Event.objects.get().quantity is None
    ada.refresh_from_db()
    assert ada.traits_at is not None


def test_of_a_repeated_message_the_first_counts() -> None:
    ProfileFactory(external_id="a")
    result = events.record(items=[event(quantity=1), event(quantity=2)])
    assert (result.created, result.duplicates, Event.objects.get().quantity) == (1, 1, 1)


def test_unknown_people_and_products_are_named() -> None:
    ProfileFactory(external_id="a")
    result = events.record(items=[event(sku="gone"), event("m2", external_id="nobody")])
    assert (result.created, result.unknown_profiles, result.unknown_products) == (1, {"nobody"}, {"gone"})
    assert Event.objects.get().properties == {"sku": "gone"}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"message_id": ""}, "message_id"),
        ({"external_id": ""}, "external_id"),
        ({"name": "123"}, "name"),
        ({"name": "drop table;--" * 9}, "name"),
        ({"occurred_at": datetime(2025, 5, 1)}, "occurred_at"),
        ({"occurred_at": timezone.now() + timedelta(days=3)}, "occurred_at"),
        ({"occurred_at": datetime(1960, 5, 1, tzinfo=UTC)}, "occurred_at"),
        ({"quantity": 1.5}, "quantity"),
        ({"amount": "lots"}, "amount"),
    ],
)
def test_what_cannot_be_used_stores_nothing(change: dict[str, Any], field: str) -> None:
    ProfileFactory(external_id="a")
    with pytest.raises(InvalidInput) as caught:
        events.record(
            items=[event(), event("m2", **change) if "message_id" not in change else event(**change)]
        )
    assert (caught.value.field, caught.value.row) == (field, 1)
    assert not Event.objects.exists()


def test_properties_are_flat_short_and_without_secrets() -> None:
    ProfileFactory(external_id="a")
    given = {
        "size": "L",
        "nested": {"a": 1},
        "card_number": "x",
        "note": "4929831749382741",
        "long": "x" * 999,
    }
    result = events.record(items=[event(properties={**given, **{f"p{n}": n for n in range(30)}})])
    kept = Event.objects.get().properties
    assert kept.keys() >= {"size", "p0"}
    assert not kept.keys() & {"nested", "card_number", "note", "long"}
    assert len(kept) == 20
    assert len(result.left_out) == 4 + 11


def test_queries_do_not_grow_with_events(django_assert_max_num_queries: Any) -> None:
    ProfileFactory(external_id="a")
    with django_assert_max_num_queries(8):
        assert events.record(items=[event(f"m{n}") for n in range(300)]).created == 300
