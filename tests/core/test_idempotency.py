"""One key, one piece of work: claims, replays, take-overs, and what a crash leaves."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from personalize.core import idempotency
from personalize.core.errors import InvalidInput
from personalize.core.models import IdempotencyRecord
from personalize.core.tasks import purge_idempotency
from tests.factories import ApiKeyFactory

HASH = "h" * 64


def begin(api_key, key="k", request_hash=HASH, **more):
    return idempotency.begin(api_key=api_key, key=key, request_hash=request_hash, **more)


@pytest.mark.parametrize(("header", "key"), [("abc", "abc"), ('"abc"', "abc"), (" a-1 ", "a-1"), ('"', '"')])
def test_key_is_read_bare_or_quoted(header, key):
    assert idempotency.read_key(header) == key


@pytest.mark.parametrize("header", ["", '""', "a b", "é", "x" * 256, "a\x00"])
def test_unusable_keys_are_refused(header):
    with pytest.raises(InvalidInput):
        idempotency.read_key(header)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.dictionaries(st.text(), inner)
)


@given(st.dictionaries(st.text(), json_values, min_size=2))
def test_same_json_in_another_order_is_the_same_request(data):
    turned = dict(reversed(data.items()))

    assert hashed(data) == hashed(turned)


def test_method_path_and_body_each_make_another_request():
    assert (
        len({hashed({"a": 1}), hashed({"a": "1"}), hashed({"a": 1}, "PUT"), hashed({"a": 1}, path="/y")}) == 4
    )


def hashed(data, method="POST", path="/x"):
    return idempotency.hash_request(method=method, path=path, data=data)


@pytest.mark.django_db
def test_second_request_is_refused_while_the_first_works_then_replayed():
    api_key = ApiKeyFactory()
    claim = begin(api_key)

    with pytest.raises(idempotency.InProgress):
        begin(api_key)
    idempotency.store(claim, status_code=201, body={"id": 7}, headers={"Location": "/7", "Date": "x"})
    record = begin(api_key)

    assert (record.status_code, record.body, record.headers) == (201, {"id": 7}, {"Location": "/7"})


@pytest.mark.django_db
def test_another_request_under_the_same_key_is_refused_before_and_after_the_answer():
    api_key = ApiKeyFactory()
    claim = begin(api_key)

    with pytest.raises(idempotency.KeyReused):
        begin(api_key, request_hash="o" * 64)
    idempotency.store(claim, status_code=200, body={}, headers={})
    with pytest.raises(idempotency.KeyReused):
        begin(api_key, request_hash="o" * 64)


@pytest.mark.django_db
def test_two_clients_may_use_the_same_key():
    assert isinstance(begin(ApiKeyFactory()), idempotency.Claim)
    assert isinstance(begin(ApiKeyFactory()), idempotency.Claim)


@pytest.mark.django_db
def test_released_key_is_free_again():
    api_key = ApiKeyFactory()

    idempotency.release(begin(api_key))

    assert isinstance(begin(api_key), idempotency.Claim)


@pytest.mark.django_db
def test_stale_claim_is_taken_over_and_its_first_owner_can_no_longer_store():
    api_key = ApiKeyFactory()
    now = timezone.now()
    first = begin(api_key, now=now)

    with pytest.raises(idempotency.InProgress):
        begin(api_key, now=now + idempotency.STALE_AFTER)
    second = begin(api_key, now=now + idempotency.STALE_AFTER + timedelta(seconds=1))

    with pytest.raises(idempotency.InProgress):
        idempotency.store(first, status_code=200, body="first", headers={})
    idempotency.release(first)  # must not free what is another's
    idempotency.store(second, status_code=200, body="second", headers={})
    assert begin(api_key).body == "second"


@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_one_gets_the_claim():
    api_key = ApiKeyFactory()

    def attempt(_):
        try:
            return type(begin(api_key)).__name__
        except idempotency.InProgress:
            return "refused"
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(attempt, range(24)))

    assert sorted(set(results)) == ["Claim", "refused"] and results.count("Claim") == 1


@pytest.mark.django_db(transaction=True)
def test_crash_between_work_and_answer_leaves_neither():
    api_key = ApiKeyFactory()
    claim = begin(api_key)

    with pytest.raises(RuntimeError), transaction.atomic():
        ApiKeyFactory(name="the work")
        idempotency.store(claim, status_code=200, body={}, headers={})
        raise RuntimeError

    assert IdempotencyRecord.objects.get().status_code is None
    assert not type(api_key).objects.filter(name="the work").exists()


@pytest.mark.django_db
def test_purge_keeps_a_day():
    now = timezone.now()
    api_key = ApiKeyFactory()
    for key, hours in (("old", 25), ("young", 23)):
        begin(api_key, key=key)
        IdempotencyRecord.objects.filter(key=key).update(created_at=now - timedelta(hours=hours))

    purge_idempotency()

    assert list(IdempotencyRecord.objects.values_list("key", flat=True)) == ["young"]
    with pytest.raises(CommandError, match="24"):
        call_command("purge_idempotency", "--hours", "1")


@pytest.mark.django_db
def test_forget_deletes_answers_that_mention_a_person():
    api_key = ApiKeyFactory()
    for key, body, headers in (
        ("a", {"items": [{"external_id": 'q"\\u-1é'}]}, {}),
        ("b", {"x": "other"}, {}),
        ("c", None, {"Location": "/profiles/zz-9"}),
    ):
        idempotency.store(begin(api_key, key=key), status_code=200, body=body, headers=headers)

    assert idempotency.forget(texts=["", 'q"\\u-1é', "zz-9"]) == 2
    assert list(IdempotencyRecord.objects.values_list("key", flat=True)) == ["b"]
    assert idempotency.forget(texts=["", ""]) == 0
