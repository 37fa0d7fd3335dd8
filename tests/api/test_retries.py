"""Writes that are sent again, sent at once, and interrupted."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import OperationalError, connection

from campaigns import people
from campaigns.models import Campaign, Profile
from personalize.core import idempotency
from personalize.core.models import IdempotencyRecord
from tests.api.world import BY_NAME, WRITES, campaign_body

every_write = pytest.mark.parametrize("operation", WRITES, ids=lambda operation: operation.name)


def at_once(calls):
    def run(call):
        try:
            return call()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


@pytest.mark.django_db
@every_write
def test_same_key_and_request_gets_the_same_answer_and_does_nothing(operation, world, api, writer):
    path, body = operation.request(world)
    first = api.call(operation.method, path, body, Idempotency_Key='"k-1"')
    audit = list(IdempotencyRecord.objects.values_list("pk", flat=True))

    again = api.call(operation.method, path, body, Idempotency_Key="k-1")

    assert again.status_code == first.status_code and again["Idempotent-Replayed"] == "true"
    assert not first.has_header("Idempotent-Replayed")
    if operation.name != "compose":  # which answers what is true by then
        assert strip(again) == strip(first)
    assert again.get("Location") == first.get("Location")
    assert list(IdempotencyRecord.objects.values_list("pk", flat=True)) == audit
    other = api.call(operation.method, path + "?x=1", body, Idempotency_Key="k-1")
    assert (other.status_code, other.json()["type"]) == (422, "/problems/idempotency_key_reused")


def strip(response):
    if not response.content:
        return None
    body = response.json()
    if response.status_code < 400:
        assert response["Content-Type"] == "application/json"
    return body


@pytest.mark.django_db
def test_refusals_are_replayed_too_and_faults_of_the_server_are_not(api, world, monkeypatch):
    body = campaign_body(brand="nobody")
    first = api.post("campaigns", body, Idempotency_Key="k")
    again = api.post("campaigns", body, Idempotency_Key="k")
    assert (first.status_code, again.status_code) == (400, 400) and again["Idempotent-Replayed"] == "true"

    def broken(**_):
        raise RuntimeError("Ada's row")

    monkeypatch.setattr(people, "upsert", broken)
    failed = api.put("profiles/z-1", {"first_name": "Ada"}, Idempotency_Key="k-2")
    monkeypatch.undo()
    repaired = api.put("profiles/z-1", {"first_name": "Ada"}, Idempotency_Key="k-2")

    assert (failed.status_code, repaired.status_code) == (500, 201)
    assert "Ada" not in failed.content.decode()


@pytest.mark.django_db
def test_spacing_and_order_of_the_body_do_not_matter_its_content_does(api, world):
    raw = b'{"first_name": "Ada",  "last_name":"L"}'
    turned = b'{"last_name": "L", "first_name": "Ada"}'

    assert api.call("PUT", "profiles/z-1", raw=raw, Idempotency_Key="k").status_code == 201
    assert api.call("PUT", "profiles/z-1", raw=turned, Idempotency_Key="k").status_code == 201
    assert api.put("profiles/z-1", {"first_name": "Ida"}, Idempotency_Key="k").status_code == 422
    assert api.put("profiles/z-2", {"first_name": "Ada"}, Idempotency_Key="k").status_code == 422
    assert api.put("profiles/z-1", {}, Idempotency_Key="two words").status_code == 400


@pytest.mark.django_db
def test_work_of_a_request_that_crashed_is_free_after_a_while(api, world):
    operation = BY_NAME["upsert_profile"]
    path, body = operation.request(world)
    api.put(path, body, Idempotency_Key="k")
    Profile.objects.filter(external_id="new-1").delete()
    IdempotencyRecord.objects.update(status_code=None, body=None)

    soon = api.put(path, body, Idempotency_Key="k")
    record = IdempotencyRecord.objects.get()
    record.claimed_at -= idempotency.STALE_AFTER
    record.save()
    later = api.put(path, body, Idempotency_Key="k")

    assert (soon.status_code, soon.json()["type"]) == (409, "/problems/idempotency_in_progress")
    assert int(soon["Retry-After"]) > 0
    assert later.status_code == 201


@pytest.mark.django_db(transaction=True)
def test_twenty_at_once_under_one_key_do_the_work_once(api, world):
    body = campaign_body()

    answers = at_once([lambda: api.post("campaigns", body, Idempotency_Key="k")] * 20)

    assert {answer.status_code for answer in answers} <= {201, 409}
    made = [answer for answer in answers if answer.status_code == 201]
    assert sum("Idempotent-Replayed" not in answer for answer in made) == 1
    assert all(answer.json()["type"] == "/problems/idempotency_in_progress"
               for answer in answers if answer.status_code == 409)  # fmt: skip
    assert Campaign.objects.filter(slug="summer-pans").count() == 1


@pytest.mark.django_db(transaction=True)
def test_twenty_at_once_on_one_profile_lose_nothing(api, world):
    from tests.factories import AttributeDefinitionFactory

    for number in range(20):
        AttributeDefinitionFactory(name=f"a{number}", label="x")

    answers = at_once(
        [lambda n=n: api.put("profiles/busy", {"attributes": {f"a{n}": f"v{n}"}}) for n in range(20)]
    )

    assert sorted(answer.status_code for answer in answers) == [200] * 19 + [201]
    assert api.get("profiles/busy").json()["attributes"] == {f"a{n}": f"v{n}" for n in range(20)}


@pytest.mark.django_db(transaction=True)
def test_bulk_calls_over_the_same_people_in_opposite_order_all_succeed(api, world):
    ids = [f"b-{n}" for n in range(40)]

    def send(order, value):
        items = [{"external_id": one, "first_name": value} for one in order]
        return api.post("profiles/bulk", {"items": items})

    answers = at_once([lambda n=n: send(ids if n % 2 else ids[::-1], "Ab"[n % 2] + "ob") for n in range(12)])

    assert {answer.status_code for answer in answers} == {200}
    assert Profile.objects.filter(external_id__startswith="b-").count() == 40


@pytest.mark.django_db(transaction=True)
def test_victim_of_a_deadlock_is_tried_again(api, world, monkeypatch):
    calls = []
    real = people.upsert

    def deadlocks_twice(**arguments):
        calls.append(1)
        if len(calls) < 3:
            raise deadlock()
        return real(**arguments)

    monkeypatch.setattr(people, "upsert", deadlocks_twice)

    assert api.put("profiles/z-1", {"first_name": "Ada"}).status_code == 201
    assert len(calls) == 3
    monkeypatch.setattr(people, "upsert", lambda **_: (_ for _ in ()).throw(deadlock()))
    answer = api.put("profiles/z-2", {"first_name": "Ada"})
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/unavailable")
    assert int(answer["Retry-After"]) > 0


def deadlock():
    import psycopg

    error = OperationalError("deadlock detected")
    error.__cause__ = psycopg.errors.DeadlockDetected()
    return error


@pytest.mark.django_db(transaction=True)
def test_crash_after_the_work_leaves_neither_work_nor_answer(api, world, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError

    monkeypatch.setattr(idempotency, "store", broken)

    answer = api.put("profiles/z-1", {"first_name": "Ada"}, Idempotency_Key="k")

    assert answer.status_code == 500
    assert not Profile.objects.filter(external_id="z-1").exists()
