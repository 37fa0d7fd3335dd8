"""Outcomes over the API."""

from __future__ import annotations

import pytest

from campaigns.models import Suppression
from delivery.models import Outcome
from tests.api.world import WHEN

pytestmark = pytest.mark.django_db


def outcome(world, **changes):
    return {
        "event_id": "e-1",
        "kind": "clicked",
        "occurred_at": WHEN,
        "message_id": world.delivery.message_id,
        **changes,
    }


def test_outcomes_are_stored_once_and_strangers_named(api, world):
    items = [
        outcome(world),
        outcome(world, event_id="e-2", kind="purchased", amount="12.50"),
        outcome(world, event_id="e-3", message_id="<other@example.com>"),
        outcome(world, event_id="e-4", kind="loved"),
        outcome(world, event_id="e-5", piece_id=world.delivery.piece_id),
    ]

    first = api.post("outcomes", {"items": items}).json()
    again = api.post("outcomes", {"items": items[:2]}).json()

    assert (first["created"], first["refused"], first["unknown"]) == (2, 2, ["e-3"])
    assert [result["index"] for result in first["results"]] == [3, 4]
    assert (again["created"], again["duplicates"]) == (0, 2)
    assert Outcome.objects.count() == 2


def test_complaint_stops_everything_to_that_address(api, world):
    body = outcome(world, kind="complained", piece_id=world.delivery.piece_id)
    del body["message_id"]

    api.post("outcomes", {"items": [body]})

    assert Suppression.objects.filter(reason="complained").exists()
    assert api.get("profiles/c-2").json()["reachable"] == []
