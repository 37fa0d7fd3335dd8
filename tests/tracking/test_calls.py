"""What each call does, and that nothing it may hold costs another or is answered with a 500."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from campaigns.models import AttributeDefinition, ConsentStatus, Event, Profile, TrackedMessage
from campaigns.tracking import storing
from personalize.core import api_keys
from personalize.core.models import ApiKey
from tests.factories import (
    AttributeDefinitionFactory,
    ConsentFactory,
    ProductFactory,
    ProfileFactory,
    SuperuserFactory,
)
from tests.tracking.sender import Sender, agreed, call, did, person, statuses

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop() -> Sender:
    return Sender()


def test_identify_makes_a_person_from_allow_listed_traits(shop: Sender) -> None:
    AttributeDefinitionFactory(name="favourite_roast", kind="text")
    AttributeDefinitionFactory(name="city", kind="text")
    traits = {
        "email": "Ada@Example.com",
        "firstName": "Ada",
        "lastName": "Byron",
        "phone": "+44 20 7946 0958",
        "favouriteRoast": "dark",
        "address": {"city": "Leeds", "street": "1 High St"},
        "avatar": "https://example.com/a.png",
        "password": "hunter2",
    }
    context = {"timezone": "Europe/London", "locale": "en-GB", "ip": "203.0.113.9"}

    assert shop.send("identify", {"userId": "u1", "traits": traits, "context": context}) == {}

    ada = person("u1")
    assert (ada.email, ada.first_name, ada.last_name) == ("Ada@example.com", "Ada", "Byron")
    assert (ada.phone, ada.locale, ada.time_zone) == ("+442079460958", "en-GB", "Europe/London")
    assert ada.attributes == {"favourite_roast": "dark", "city": "Leeds"}
    assert agreed("u1") == {}
    kept = json.dumps(list(TrackedMessage.objects.values("payload", "problems", "message_id")))
    assert "Leeds" not in kept and "hunter2" not in kept and "203.0" not in kept
    assert "attribute.avatar" in kept and "names a secret" in kept


def test_a_bad_value_costs_itself_and_an_empty_one_says_nothing(shop: Sender) -> None:
    shop.send("identify", {"userId": "u1", "traits": {"email": "a@example.com", "name": "Ada Byron"}})
    shop.send("identify", {"userId": "u1", "traits": {"email": "nonsense", "phone": "12", "firstName": ""}})

    assert (person("u1").email, person("u1").first_name) == ("a@example.com", "Ada")
    assert statuses() == {"stored": 2}


@pytest.mark.parametrize(
    ("traits", "expected"),
    [
        ({"consents": {"email": True, "sms": "no"}}, {"email": "given", "sms": "withdrawn"}),
        ({"consent_email": "yes", "consentPush": False}, {"email": "given", "push": "withdrawn"}),
        ({"unsubscribed": True, "consents": {"email": True}}, {"email": "withdrawn"}),
        ({"unsubscribed": False, "newsletter": True, "subscribed": True}, {}),
        ({"consents": {"fax": True, "email": "perhaps"}}, {}),
        ({"consents": "all"}, {}),
    ],
)
def test_consent_comes_from_explicit_fields_alone(shop: Sender, traits: Any, expected: Any) -> None:
    shop.send("identify", {"userId": "u1", "traits": traits})

    assert agreed("u1") == expected


def test_a_repeated_yes_undoes_no_no(shop: Sender) -> None:
    ConsentFactory(profile=ProfileFactory(external_id="u1"), channel="email", status=ConsentStatus.WITHDRAWN)

    shop.send("identify", {"userId": "u1", "traits": {"consents": {"email": True}}})

    assert agreed("u1") == {"email": "withdrawn"}


def test_an_older_identify_that_arrives_late_only_fills_gaps(shop: Sender) -> None:
    AttributeDefinitionFactory(name="plan", kind="text")
    now = datetime.now(UTC)
    new, old = ((now - timedelta(minutes=m)).isoformat() for m in (1, 30))
    shop.send("identify", {"userId": "u1", "timestamp": new, "traits": {"plan": "gold", "firstName": "Ada"}})
    shop.send("identify", {"userId": "u1", "timestamp": old, "traits": {"plan": "free", "lastName": "Byron"}})

    ada = person("u1")
    assert (ada.attributes, ada.first_name, ada.last_name) == ({"plan": "gold"}, "Ada", "Byron")


def test_track_page_and_screen_become_events(shop: Sender) -> None:
    product = ProductFactory(sku="POT-6")
    shop.batch(
        call("track", "m1", userId="u1", event="Product Viewed", properties={"sku": "POT-6", "price": 35}),
        call(
            "track",
            "m2",
            userId="u1",
            event="Article Read",
            properties={"topic": "brewing", "deep": {"a": 1}},
        ),
        call("page", "m3", userId="u1", name="Home", properties={"url": "https://x.example/?token=abc#a"}),
        call("screen", "m4", userId=42, name="Basket"),
        call("track", "m5", userId="u1", event="3D Model Turned"),
    )

    viewed = Event.objects.get(message_id="m1")
    assert (viewed.name, viewed.product, viewed.amount) == ("viewed", product, Decimal("35.00"))
    assert Event.objects.get(message_id="m2").properties == {"topic": "brewing"}
    home = Event.objects.get(message_id="m3")
    assert (home.name, home.properties) == ("page_viewed", {"url": "https://x.example/", "name": "Home"})
    assert did("42") == ["screen_viewed"]
    assert Event.objects.get(message_id="m5").name == "event_3d_model_turned"


def test_an_order_becomes_one_purchase_for_each_of_its_products(shop: Sender) -> None:
    ProductFactory(sku="POT-6")
    products = [
        {"product_id": "x1", "sku": "POT-6", "price": 35.5, "quantity": 2},
        {"product_id": "CUP", "price": "4,50", "quantity": 1},
        "nonsense",
    ]
    order = {"order_id": "77", "revenue": 75.5, "products": products}
    shop.batch(call("track", "m1", userId="u1", event="Order Completed", properties=order))
    shop.batch(call("track", "m1", userId="u1", event="Order Completed", properties=order))
    shop.batch(
        call("track", "m2", userId="u1", event="Order Refunded", properties={"products": products[:1]})
    )

    rows = Event.objects.order_by("message_id").values_list("message_id", "name", "quantity", "amount")
    assert list(rows) == [
        ("m1#1", "purchased", 2, Decimal("71.00")),
        ("m1#2", "purchased", 1, Decimal("4.50")),
        ("m2", "returned", -2, Decimal("71.00")),
    ]
    assert Event.objects.get(message_id="m1#2").properties == {"order_id": "77", "sku": "CUP"}


def test_group_traits_become_attributes(shop: Sender) -> None:
    for name in ("group_id", "group_plan"):
        AttributeDefinitionFactory(name=name, kind="text")
    shop.send("group", {"userId": "u1", "groupId": "acme", "traits": {"plan": "pro", "seats": 9}})

    assert person("u1").attributes == {"group_id": "acme", "group_plan": "pro"}


def test_clock_of_the_client_is_corrected(shop: Sender) -> None:
    """It is three hours behind; the event was ten minutes before sending."""
    now = datetime.now(UTC)
    sent, happened = now - timedelta(hours=3), now - timedelta(hours=3, minutes=10)
    shop.batch(
        call("track", "m1", userId="u1", event="a", timestamp=happened.isoformat()),
        call("track", "m2", userId="u1", event="b", originalTimestamp=happened.isoformat(), timestamp="x"),
        call(
            "track", "m3", userId="u1", event="c", originalTimestamp="2020-01-01T00:00:00Z",
            timestamp="2021-01-01T00:00:00Z", receivedAt="2021-01-01T00:00:01Z",
        ),
        sentAt=sent.isoformat(),
    )  # fmt: skip
    shop.batch(
        call("track", "m4", userId="u1", event="d", timestamp="2021-01-01T00:00:00Z"), sentAt="garbage"
    )

    at = dict(Event.objects.values_list("message_id", "occurred_at"))
    for message_id in ("m1", "m2"):
        assert abs(at[message_id] - (now - timedelta(minutes=10))) < timedelta(seconds=5)
    assert at["m3"] == at["m4"] == datetime(2021, 1, 1, tzinfo=UTC)


def test_each_message_is_stored_once_however_often_it_comes(shop: Sender) -> None:
    one = call("track", "m1", userId="u1", event="a")
    shop.batch(one, one, call("track", "m2", userId="u1", event="a"))
    shop.batch(one, call("track", "m3", userId="u1", event="a"))
    shop.send("track", one)
    # Another key is another source, and the message is the same.
    Sender().batch(one)

    assert did("u1") == ["a", "a", "a"]
    assert TrackedMessage.objects.count() == 3


def test_a_call_without_message_id_is_recognised_by_its_content_and_time(shop: Sender) -> None:
    timed = call("track", userId="u1", event="a", timestamp="2024-05-01T10:00:00Z")
    shop.batch(timed, sentAt="2024-05-01T10:00:00Z")
    shop.batch(timed, sentAt="2024-05-01T10:00:09Z")
    untimed = call("track", userId="u1", event="b")
    shop.batch(untimed, untimed)

    assert did("u1") == ["a", "b", "b"]


def test_a_refused_message_may_come_again_corrected(shop: Sender) -> None:
    answer = shop.batch(call("track", "m1", userId="u1"))
    assert answer["refused"][0]["field"] == "event"
    assert TrackedMessage.objects.get().message_id == "m1"

    assert shop.batch(call("track", "m1", userId="u1", event="a")) == {}
    assert statuses() == {"stored": 1}
    assert TrackedMessage.objects.get().message_id == ""


BAD: list[Any] = [
    None,
    7,
    "track",
    [],
    {},
    {"type": "teleport", "userId": "u"},
    {"type": {"a": 1}, "userId": "u"},
    call("track", event="a"),
    call("track", userId=True, event="a"),
    call("track", userId={"id": 1}, event="a"),
    call("track", userId="x" * 129, event="a"),
    call("track", userId="undefined", event="a"),
    call("track", anonymousId="00000000-0000-0000-0000-000000000000", event="a"),
    call("track", userId="u", event=""),
    call("track", userId="u", event=["a"]),
    call("track", userId="u", event="注文完了"),
    call("track", userId="u", event="a" * 65),
    call("track", userId="u", event="a", timestamp="yesterday"),
    call("track", userId="u", event="a", timestamp="2999-01-01T00:00:00Z"),
    call("track", userId="u", event="a", timestamp="0001-01-01T00:00:00Z"),
    call("track", userId="u", event="a", properties={"x": "y" * 33_000}),
    call("alias", userId="u"),
    call("alias", previousId="u"),
    call("group", userId="u"),
]


def test_bad_items_cost_nothing_else_and_are_shown_with_their_reason(shop: Sender) -> None:
    good = [call("track", f"m{n}", userId="good", event="a") for n in range(len(BAD))]
    answer = shop.batch(*[each for pair in zip(BAD, good, strict=True) for each in pair])

    assert len(did("good")) == len(BAD)
    assert statuses() == {"stored": len(BAD), "refused": len(BAD)}
    assert [each["index"] for each in answer["refused"]] == [2 * n for n in range(20)]
    refused = TrackedMessage.objects.filter(status="refused")
    assert all(row.problems and row.problems[0]["message"] for row in refused)
    assert Profile.objects.count() == 1


def test_odd_values_are_left_out_and_the_rest_is_kept(shop: Sender) -> None:
    odd = (
        '{"batch": [{"type": "track", "messageId": "m1", "userId": "u1", "event": "a", "properties": '
        '{"nan": NaN, "inf": 1e999, "big": %s, "nul": "a\\u0000b", "half": "\\ud800", "k\\u0000": 1, "fine": 2,'
        ' "card": "4111 1111 1111 1111"}},'
        '{"type": "identify", "messageId": "m2", "userId": "u2", "traits": [1], "context": "x"}]}'
    ) % ("9" * 5000)
    assert shop.raw("batch", odd.encode()).json() == {"success": True}

    kept = Event.objects.get(message_id="m1").properties
    assert kept["fine"] == 2 and kept["nul"] == "ab" and "card" not in kept
    assert Profile.objects.filter(external_id="u2").exists()


def test_gzip_and_its_bombs(shop: Sender) -> None:
    body = {"batch": [call("track", "m1", userId="u1", event="a")]}
    shop.send("batch", body, packed=True)
    assert did("u1") == ["a"]

    bomb = gzip.compress(b" " * 50_000_000)
    assert shop.raw("batch", bomb, Content_Encoding="gzip").json()["code"] == "too_large"
    assert shop.raw("batch", bomb[:100], Content_Encoding="gzip").json()["code"] == "invalid_gzip"
    assert shop.raw("batch", b"\x1f\x8bxx", Content_Encoding="gzip").json()["code"] == "invalid_gzip"
    assert shop.raw("batch", b"{}", Content_Encoding="br").json()["code"] == "unsupported_encoding"


@pytest.mark.parametrize(
    ("name", "body", "code"),
    [
        ("batch", b'{"batch": [' + b" " * 512_000 + b"]}", "too_large"),
        ("track", b'{"x": "' + b"y" * 33_000 + b'"}', "too_large"),
        ("batch", b"{", "invalid_json"),
        ("batch", b"[]", "invalid_json"),
        ("batch", b"\xff\xfe", "invalid_json"),
        ("batch", b"", "invalid_json"),
        ("batch", b'{"batch":' + b"[" * 200_000, "invalid_json"),
        ("batch", b'{"batch": {}}', "invalid_batch"),
        ("batch", b"{}", "invalid_batch"),
    ],
)
def test_requests_that_cannot_be_read_are_400(shop: Sender, name: str, body: bytes, code: str) -> None:
    response = shop.raw(name, body)

    assert (response.status_code, response.json()["code"]) == (400, code)
    assert response.json()["success"] is False and response.json()["message"]
    assert not TrackedMessage.objects.exists()


def test_a_batch_at_its_limit_is_taken(shop: Sender) -> None:
    calls = [
        call("track", f"m{n}", userId="u1", event="a", properties={"x": "y" * 150}) for n in range(2_000)
    ]
    body = json.dumps({"batch": calls}).encode()
    assert 450_000 < len(body) < 512_000

    assert shop.raw("import", body).status_code == 200
    assert Event.objects.count() == 2_000


def test_what_the_database_will_not_have_costs_itself_alone(
    shop: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the cause: here a trigger that refuses one event."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION spoil() RETURNS trigger AS $$ BEGIN IF NEW.name = 'spoilt' THEN "
            "RAISE EXCEPTION 'no'; END IF; RETURN NEW; END $$ LANGUAGE plpgsql;"
            "CREATE TRIGGER spoil BEFORE INSERT ON campaigns_event FOR EACH ROW EXECUTE FUNCTION spoil()"
        )
    calls = [call("track", f"m{n}", userId="u1", event="spoilt" if n == 3 else "a") for n in range(8)]

    assert [each["index"] for each in shop.batch(*calls)["refused"]] == [3]
    assert len(did("u1")) == 7
    assert statuses() == {"stored": 7, "refused": 1}


def test_a_database_that_is_away_is_a_503(shop: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    from django.db import OperationalError

    def away(**_: Any) -> Any:
        raise OperationalError("gone")

    monkeypatch.setattr(storing, "take_in", away)
    response = shop.raw("track", b'{"userId": "u", "event": "a"}')
    assert (response.status_code, response.json()["code"]) == (503, "unavailable")
    assert "Retry-After" not in response


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from(
    ["type", "userId", "anonymousId", "previousId", "groupId", "event", "name", "traits", "properties", "context",
     "timestamp", "originalTimestamp", "sentAt", "messageId", "receivedAt", "category"]
)  # fmt: skip
calls_of = st.dictionaries(names, json_values, max_size=10).map(
    lambda made: {**made, **({"type": made["type"]} if "type" in made else {})}
) | st.builds(
    lambda kind, user, more: {**more, "type": kind, "userId": user},
    st.sampled_from(["identify", "track", "page", "screen", "group", "alias"]),
    st.text(min_size=1, max_size=4) | st.integers(0, 9),
    st.dictionaries(names, json_values, max_size=8),
)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(calls=st.lists(calls_of | json_values, max_size=4))
def test_whatever_is_sent_every_item_is_settled(shop: Sender, calls: list[Any]) -> None:
    TrackedMessage.objects.all().delete()
    response = shop.raw("batch", json.dumps({"batch": calls}).encode())

    assert response.status_code == 200
    given_ids = [c["messageId"] for c in calls if isinstance(c, dict) and "messageId" in c]
    if not given_ids:
        assert TrackedMessage.objects.count() <= len(calls)
        made_twice = len(calls) - TrackedMessage.objects.count()
        assert (
            made_twice == 0
            or any(isinstance(c, dict) and c.get("timestamp") for c in calls)
            or any(isinstance(c, dict) and c.get("originalTimestamp") for c in calls)
        )


def test_a_key_needs_its_scope_and_its_person(shop: Sender) -> None:
    _key, plain = api_keys.create(name="x", scopes=["profiles:write"], acts_as=SuperuserFactory())
    assert Sender(plain=plain).raw("track", b"{}").status_code == 403
    assert ApiKey.objects.count() == 2 and AttributeDefinition.objects.count() == 0
