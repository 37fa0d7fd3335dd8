"""People, consent, events and products over the API."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from campaigns import consent
from campaigns.models import Consent, Event, Product, Profile, Suppression
from generation.models import Piece
from personalize.core.models import IdempotencyRecord
from tests.api.world import EVENT, WHEN

pytestmark = pytest.mark.django_db

FULL = {
    "email": "Ada@Reader.Example",
    "phone": "020 7946 0001",
    "region": "GB",
    "first_name": "Ada",
    "last_name": "L",
    "locale": "en-GB",
    "time_zone": "Europe/London",
    "attributes": {"lives_near": "coast", "shoe_size": 7, "ssn": "900-00-0001"},
    "consents": [{"channel": "email", "status": "given", "source": "form", "at": WHEN}],
}


def test_upsert_creates_then_updates_and_keeps_what_is_not_sent(api, world):
    first = api.put("profiles/z-1", FULL)
    second = api.put("profiles/z-1", {"first_name": "Ida", "attributes": {"lives_near": None}})

    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["ignored_attributes"] == ["shoe_size"]
    assert [entry["field"] for entry in first.json()["left_out"]] == ["attribute.ssn"]
    found = api.get("profiles/z-1").json()
    assert (found["first_name"], found["email"], found["phone"]) == (
        "Ida",
        "Ada@reader.example",
        "+442079460001",
    )
    assert found["attributes"] == {}
    assert found["reachable"] == ["email"]
    assert found["consents"] == [
        {"channel": "email", "purpose": "marketing", "status": "given", "source": "form", "recorded_at": WHEN}
    ]


def test_ids_with_slashes_and_other_signs_are_found_again(api, world):
    for external_id, path in (
        ("a/b", "a/b"),
        ("ü 1", "%C3%BC%201"),
        ("x?y#z", "x%3Fy%23z"),
        ("consents", "consents"),
    ):
        assert api.put(f"profiles/{path}", {"first_name": "Q"}).status_code == 201
        assert Profile.objects.filter(external_id=external_id).exists()
        assert api.get(f"profiles/{path}").json()["external_id"] == external_id


def test_bad_fields_are_named_and_nothing_is_stored(api, world):
    bad = api.put("profiles/z-1", {"email": "nobody", "first_name": "Ada"})
    unknown = api.put("profiles/z-1", {"e_mail": "a@reader.example"})
    nested = api.put("profiles/z-1", {"consents": [{"channel": "email", "status": "yes", "source": "x"}]})

    assert bad.json()["errors"][0]["field"] == "email"
    assert unknown.json()["errors"][0]["pointer"] == "#/e_mail"
    assert "email" in unknown.json()["errors"][0]["message"]
    assert nested.json()["errors"][0]["pointer"] == "#/consents/0/status"
    assert {r.status_code for r in (bad, unknown, nested)} == {400}
    assert not Profile.objects.filter(external_id="z-1").exists()


def test_bulk_stores_the_good_and_reports_the_bad(api, world):
    items = [
        {"external_id": "z-1", "first_name": "Ada"},
        {"external_id": "z-2", "email": "nobody"},
        {"first_name": "no id"},
        "not an object",
        {"external_id": "z-3", "attributes": {"ssn": "900-00-0001"}, "misspelt": 1},
        {"external_id": "z-4", "attributes": {"ssn": "900-00-0001"}},
        {"external_id": "c-0"},
    ]

    answer = api.post("profiles/bulk", {"items": items, "source": "sync"}).json()

    assert (answer["created"], answer["updated"], answer["unchanged"], answer["refused"]) == (2, 0, 1, 4)
    assert [(r["index"], r["id"], r["result"]) for r in answer["results"]] == [
        (1, "z-2", "refused"),
        (2, None, "refused"),
        (3, None, "refused"),
        (4, "z-3", "refused"),
        (5, "z-4", "stored"),
    ]
    assert all(error["message"] for result in answer["results"] for error in result["errors"])
    assert set(Profile.objects.filter(external_id__startswith="z").values_list("external_id", flat=True)) == {
        "z-1",
        "z-4",
    }


def test_a_thousand_at_once_and_not_one_more(api, world):
    items = [{"external_id": f"m-{n}", "email": f"m{n}@reader.example"} for n in range(1001)]

    assert api.post("profiles/bulk", {"items": items}).status_code == 400
    assert api.post("profiles/bulk", {"items": items[:1000]}).json()["created"] == 1000


def test_repeated_consent_does_not_undo_a_no(api, world):
    said = {"channel": "email", "source": "page"}
    given, withdrawn = {**said, "status": "given"}, {**said, "status": "withdrawn"}

    assert api.post("profiles/c-0/consents", withdrawn).json()["status"] == "withdrawn"
    assert api.post("profiles/c-0/consents", given).json()["status"] == "withdrawn"
    api.put("profiles/c-0", {"consents": [given]})
    assert Consent.objects.get(profile=world.profile).status == "withdrawn"
    assert api.post("profiles/c-0/consents", {**given, "explicit": True}).json()["status"] == "given"
    assert api.post("profiles/nobody/consents", given).status_code == 404


def test_erasing_leaves_nothing_but_hashes(api, world):
    api.post("profiles/bulk", {"items": [{"external_id": "c-0", "email": "x"}]}, Idempotency_Key="k-1")
    assert IdempotencyRecord.objects.count() == 1

    assert api.delete("profiles/c-0").status_code == 204

    assert api.get("profiles/c-0").status_code == 404
    assert api.delete("profiles/c-0").status_code == 404
    assert not Piece.objects.filter(pk=world.piece.pk).exists()
    assert consent.is_suppressed(address="c0@reader.example", channel="email")
    assert not IdempotencyRecord.objects.exists()


def test_suppressing_keeps_a_hash_only(api, world):
    first = api.post("suppressions", {"address": "C0@reader.example"})
    again = api.post("suppressions", {"address": "c0@reader.example", "channel": "email"})

    assert (first.json(), again.json()) == ({"added": True}, {"added": False})
    assert "reader" not in json.dumps(list(Suppression.objects.values()), default=str)
    assert api.get("profiles/c-0").json()["reachable"] == []
    assert api.post("suppressions", {"address": "nobody"}).status_code == 400


def test_events_are_stored_once_whoever_sends_them_again(api, world):
    other = {**EVENT, "message_id": "m-2", "sku": "NOPE", "quantity": -2, "amount": "-12.50"}
    stranger = {**EVENT, "message_id": "m-3", "external_id": "stranger"}
    late = {**EVENT, "message_id": "m-4", "occurred_at": (timezone.now() + timedelta(days=9)).isoformat()}

    first = api.post("events", {"items": [EVENT, other, stranger, late, {"name": "x"}]}).json()
    again = api.post("events", {"items": [EVENT, other]}).json()

    assert (first["created"], first["duplicates"], first["refused"]) == (2, 0, 2)
    assert (first["unknown_profiles"], first["unknown_products"]) == (["stranger"], ["NOPE"])
    assert [(result["index"], result["result"]) for result in first["results"]] == [
        (3, "refused"),
        (4, "refused"),
    ]
    assert (again["created"], again["duplicates"]) == (0, 2)
    assert Event.objects.count() == 2


def test_products_are_upserted_and_listed_with_filters(api, world):
    items = [
        {"sku": "PAN-1", "name": "Cast iron pan", "category": "pans", "price": "40.00", "currency": "GBP"},
        {"sku": "PAN-2", "name": "Old pan", "category": "pans", "is_available": False},
        {"sku": "PAN-3", "price": "-1"},
        {"sku": "PAN-4", "currency": "pounds"},
    ]

    answer = api.post("products", {"items": items}).json()

    assert (answer["created"], answer["refused"]) == (2, 2)
    listed = api.get("products?category=pans&is_available=true").json()["items"]
    assert [(product["sku"], product["price"]) for product in listed] == [("PAN-1", "40.00")]
    assert len(api.get("products?category=pans").json()["items"]) == 2
    api.post("products", {"items": [{"sku": "PAN-1", "price": "45"}]})
    assert Product.objects.get(sku="PAN-1").name == "Cast iron pan"


def test_a_no_of_an_address_holds_under_another_id_and_each_call_says_so(api, world):
    no = {
        "email": "eve@reader.example",
        "consents": [{"channel": "email", "status": "withdrawn", "source": "form"}],
    }
    yes = {
        "email": "eve@reader.example",
        "consents": [{"channel": "email", "status": "given", "source": "form"}],
    }
    api.put("profiles/e-1", no)

    one = api.put("profiles/e-2", yes).json()
    many = api.post(
        "profiles/bulk", {"items": [{"external_id": "e-0"}, {"external_id": "e-3", **yes}]}
    ).json()

    assert [entry["field"] for entry in one["left_out"]] == ["consent.email"]
    assert [(row["index"], row["id"], row["result"]) for row in many["results"]] == [(1, "e-3", "stored")]
    assert not consent.may_receive(
        Profile.objects.filter(email="eve@reader.example"), channel="email"
    ).exists()
