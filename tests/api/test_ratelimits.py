"""A key's bucket: shared by all, never over its quota, full again in time, and said in the headers."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection

from personalize.core import ratelimits
from personalize.core.models import IdempotencyRecord, RateBucket
from personalize.core.ratelimits import Policy
from tests.api.client import make_client
from tests.factories import ApiKeyFactory

HOUR = 3_600


@pytest.mark.django_db
def test_the_quota_is_there_at_once_and_then_no_more() -> None:
    key, policy = ApiKeyFactory(), Policy("requests", 5, HOUR)

    left = [ratelimits.charge(key=key, policies=[policy])[0].remaining for _ in range(5)]

    assert left == [4, 3, 2, 1, 0]
    with pytest.raises(ratelimits.TooManyRequests) as refused:
        ratelimits.charge(key=key, policies=[policy])
    assert 0 < int(refused.value.headers["Retry-After"]) <= HOUR / 5
    assert refused.value.standings[0].remaining == 0


@pytest.mark.django_db
def test_it_fills_evenly() -> None:
    key, policy = ApiKeyFactory(), Policy("requests", 10, 1)
    for _ in range(10):
        ratelimits.charge(key=key, policies=[policy])
    time.sleep(0.35)

    taken = 0
    with pytest.raises(ratelimits.TooManyRequests):
        while taken < 10:
            ratelimits.charge(key=key, policies=[policy])
            taken += 1
    assert taken >= 3


@pytest.mark.django_db
def test_keys_and_policies_do_not_share() -> None:
    one, other = ApiKeyFactory(), ApiKeyFactory()
    small, big = Policy("compose", 1, HOUR), Policy("requests", 9, HOUR)
    ratelimits.charge(key=one, policies=[small, big])

    with pytest.raises(ratelimits.TooManyRequests, match="1 compose requests"):
        ratelimits.charge(key=one, policies=[small, big])
    assert ratelimits.charge(key=one, policies=[big])[0].remaining == 7
    assert ratelimits.charge(key=other, policies=[small])[0].remaining == 0


@pytest.mark.django_db(transaction=True)
def test_many_at_once_get_exactly_the_quota() -> None:
    key, policy = ApiKeyFactory(), Policy("requests", 25, HOUR)

    def ask(_: int) -> bool:
        try:
            ratelimits.charge(key=key, policies=[policy])
        except ratelimits.TooManyRequests:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(ask, range(60))) == 25


@pytest.mark.django_db
def test_the_table_costs_no_write_to_disk() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT relpersistence FROM pg_class WHERE relname = 'core_ratebucket'")
        assert cursor.fetchone() == ("u",)


@pytest.mark.django_db
def test_answers_say_where_the_key_stands_and_429_says_when(settings: Any) -> None:
    settings.API_REQUESTS_PER_MINUTE = 2
    api = make_client()

    first = api.get("products")
    assert first["RateLimit-Policy"] == '"requests";q=2;w=60'
    assert re.fullmatch(r'"requests";r=1;t=\d+', first["RateLimit"])
    missing = api.get("campaigns/none")
    assert missing.status_code == 404 and missing["RateLimit"].startswith('"requests";r=0')

    refused = api.post("campaigns/none/launch", Idempotency_Key="k-1")
    assert (refused.status_code, refused.json()["type"]) == (429, "/problems/throttled")
    assert refused.json()["violated-policies"] == ["requests"]
    assert 1 <= int(refused["Retry-After"]) <= 30
    assert not IdempotencyRecord.objects.exists()  # the key is still unused


@pytest.mark.django_db
def test_a_key_may_have_a_number_of_its_own(settings: Any) -> None:
    settings.API_REQUESTS_PER_MINUTE = 1
    api = make_client()
    assert api.key is not None
    api.key.requests_per_minute = 0
    api.key.save()
    for _ in range(3):
        answer = api.get("products")
        assert answer.status_code == 200 and not answer.has_header("RateLimit")
    assert not RateBucket.objects.exists()


@pytest.mark.django_db
def test_compose_has_a_limit_of_its_own(
    settings: Any, world: Any, client_for: Callable[..., Any], writer: Any
) -> None:
    settings.API_COMPOSES_PER_MINUTE = 1
    api = client_for()
    body = {"campaign": "spring", "profile": "c-0", "channel": "email"}
    assert api.post("compose", body).status_code == 202
    refused = api.post("compose", body)
    assert refused.status_code == 429 and refused.json()["violated-policies"] == ["compose"]
    assert api.get("products").status_code == 200
