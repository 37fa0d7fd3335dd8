"""Segment's Python SDK from PyPI, unmodified, against a running server."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from segment.analytics.client import Client as Sdk

from campaigns.models import Event, Profile, TrackedMessage
from personalize.core import ratelimits
from personalize.core.models import ApiKey
from tests.factories import AttributeDefinitionFactory
from tests.tracking.sender import Sender, agreed, did, person, statuses

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(params=[False, True], ids=["plain", "gzip"])
def sdk(request: pytest.FixtureRequest, live_server: Any) -> Iterator[Sdk]:
    failures: list[Any] = []
    client = Sdk(
        Sender().plain,
        host=live_server.url,
        gzip=request.param,
        on_error=lambda error, batch: failures.append(error),
    )
    yield client
    client.shutdown()
    assert failures == []


def test_every_call_of_the_sdk(sdk: Sdk) -> None:
    AttributeDefinitionFactory(name="plan", kind="text")
    AttributeDefinitionFactory(name="group_plan", kind="text")
    then = datetime.now(UTC) - timedelta(days=3)
    sdk.page(anonymous_id="visitor", category="Docs", name="Home", properties={"title": "Welcome"})
    sdk.identify(
        "u1",
        {
            "email": "ada@example.com",
            "plan": "gold",
            "born": datetime(1990, 1, 2),
            "consents": {"email": True},
        },
        anonymous_id="visitor",
    )
    sdk.track(
        "u1",
        "Order Completed",
        {"products": [{"sku": "A", "price": 2}, {"sku": "B", "price": 3}]},
        timestamp=then,
    )
    sdk.track("u1", "Odd", {"nan": float("nan"), "nested": {"a": [1]}, "fine": 1})
    sdk.screen("u1", "Basket")
    sdk.group("u1", "acme", {"plan": "pro"})
    sdk.track("old", "Read")
    sdk.alias("old", "u1")
    sdk.track("u1", "注文完了")
    sdk.flush()

    assert sorted(did("u1")) == ["odd", "page_viewed", "purchased", "purchased", "read", "screen_viewed"]
    ada = person("u1")
    assert (ada.email, ada.attributes) == ("ada@example.com", {"plan": "gold", "group_plan": "pro"})
    assert agreed("u1") == {"email": "given"}
    assert Profile.objects.get(merged_into=None) == ada
    assert statuses() == {"stored": 8, "refused": 1}
    bought = Event.objects.filter(name="purchased")
    assert all(abs(event.occurred_at - then) < timedelta(minutes=1) for event in bought)


def test_a_message_sent_again_by_the_sdk_is_stored_once(sdk: Sdk) -> None:
    for _ in range(3):
        for number in range(30):
            sdk.track("u1", "Read", message_id=f"m{number}")
        sdk.flush()

    assert len(did("u1")) == TrackedMessage.objects.count() == 30


def test_what_is_over_the_limit_is_sent_again_by_the_sdk(sdk: Sdk, settings: Any) -> None:
    settings.API_REQUESTS_PER_MINUTE = 60
    key = ApiKey.objects.get()
    for _ in range(60):
        ratelimits.charge(key=key, policies=[ratelimits.Policy(ratelimits.REQUESTS, 60)])
    sdk.track("u1", "Read", message_id="m1")
    sdk.flush()

    assert did("u1") == ["read"]
