"""Whatever is sent, the answer is never a 500, and what cannot be stored is refused with a sentence."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.world import READS, WRITES

pytestmark = pytest.mark.django_db

every_read = pytest.mark.parametrize("operation", READS, ids=lambda operation: operation.name)
every_write = pytest.mark.parametrize("operation", WRITES, ids=lambda operation: operation.name)

BODIES = [
    b"", b"null", b"[]", b'"x"', b"7", b"true", b"{", b"\xff\xfe", b"NaN", b"[[[[", b'{"items": null}',
    b'{"items": {}}', b'{"items": [null, 1, "x", [], {"external_id": null}]}', b'{"items": []}',
    b"[" * 100_000, b'{"a":' * 5_000 + b"1" + b"}" * 5_000, b'{"a": "\\u0000"}', b'{"\\ud800": 1}',
    b'{"revision": 1e400}', b'{"revision": ' + b"9" * 6_000 + b"}", b'{"revision": -1}', b'{"revision": 1.5}',
    b'{"a": 1, "a": 2}', b'{"__proto__": {"x": 1}, "constructor": 1}',
]  # fmt: skip

HOSTILE = [
    None, True, 0, -1, 2**31, 2**63 - 1, -(2**63), 1.5, 1e308, "", " ", "x" * 5_000, "\u202e\u0007", "ﷺ" * 300,
    "'; DROP TABLE campaigns_profile; --", "{{first_name}}{% debug %}${7*7}", "<script>alert(1)</script>",
    "=cmd|' /C calc'!A0", "../../etc/passwd", "0000-00-00", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z",
    "2024-02-30T00:00:00Z", "1e999", "NaN", "-Infinity", "١٢٣", [], {}, [[]], {"a": {"b": []}}, [None] * 50,
    {"": ""}, {"x" * 300: "y"}, ["x" * 300],
]  # fmt: skip


@pytest.fixture
def limit(settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 200_000
    return 200_000


@every_write
def test_odd_bodies(operation, world, api, writer, limit):
    path, _ = operation.request(world)
    for raw in BODIES:
        response = api.call(operation.method, path, raw=raw)
        assert response.status_code < 500, (raw[:60], response.content)


@every_write
def test_bodies_that_are_too_large(operation, world, api, writer, limit):
    path, _ = operation.request(world)

    response = api.call(operation.method, path, raw=b'{"x": "' + b"x" * limit + b'"}', Idempotency_Key="big")

    assert response.status_code == 413 and str(limit) in response.json()["detail"]


@every_write
def test_fields_with_hostile_values(operation, world, api, writer):
    _, body = operation.request(world)
    hammer(operation, world, api, [*changes(body or {})][::9])


@pytest.mark.slow
@every_write
def test_every_field_with_every_hostile_value(operation, world, api, writer):
    _, body = operation.request(world)
    hammer(operation, world, api, changes(body or {}))


def hammer(operation, world, api, bodies):
    path, _ = operation.request(world)
    for body in bodies:
        response = api.call(operation.method, path, body)
        assert response.status_code < 500, (json.dumps(body)[:300], response.content)


def changes(body):
    """The body with one place at a time replaced by each hostile value, and with one unknown name."""
    for place in places(body):
        for value in HOSTILE:
            changed = copy.deepcopy(body)
            inner = changed
            for step in place[:-1]:
                inner = inner[step]
            inner[place[-1]] = value
            yield changed
    yield {**body, "unknown": 1}


def places(value, path=()):
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


QUERIES = [
    "limit=0", "limit=201", "limit=x", "limit=-1", "limit=99999999999999999999999", "cursor=x", "cursor=%00",
    "cursor=eyJ9:1:2", "unknown=1", "status=%00", "status[]=x", "status=nope", "run=1e3", "run=0", "run=x",
    "run=99999999999999999999999999", "limit=1&limit=2", "order_by=password", "status__in=x",
    "run__campaign__created_by__password__startswith=p", "profile=%F0%9F%92%A3", "profile=%ff%fe", "is_available=7",
    "category=" + "x" * 5_000, "campaign=../x", "%00=1",
]  # fmt: skip


@every_read
def test_odd_queries(operation, world, api):
    path, _ = operation.request(world)
    for query in QUERIES:
        response = api.get(f"{path.split('?')[0]}?{query}")
        assert response.status_code in (200, 400), (query, response.content)


@pytest.mark.parametrize(
    "path",
    [
        "profiles/%00", "profiles/%ff", "profiles/" + "x" * 2_000, "profiles/..%2f..%2fetc", "profiles/%E2%80%AE",
        "profiles/ ", "profiles//", "profiles/a/b/c", "profiles/c-0/", "runs/0", "runs/99999999999999999999999",
        "runs/" + "9" * 5_000, "runs/-1", "runs/1/nope", "pieces/99999999999999999999", "pieces/٣", "campaigns/%00",
        "campaigns/' OR 1=1", "nothing", "", "%00", "profiles/consents",
    ],
)  # fmt: skip
def test_odd_addresses(path, world, api):
    for method in ("GET", "POST", "PUT", "DELETE", "PATCH"):
        assert api.call(method, path, {}).status_code < 500


def test_nul_in_a_text_is_refused_with_a_reason(world, api):
    response = api.put("profiles/z-1", {"first_name": "A\x00da"})

    assert response.status_code == 400 and "U+0000" in response.json()["detail"]


@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", "multipart/form-data", ""])
def test_only_json_is_read(content_type, world, api):
    response = api.call("PUT", "profiles/z-1", {"first_name": "Ada"}, Content_Type=content_type)

    assert response.status_code in (400, 415)


def test_only_json_is_written(world, api):
    assert api.get("products", Accept="text/html").status_code == 406


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@every_write
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_random_bodies(operation, data, world, api, writer):
    path, body = operation.request(world)
    names = sorted(body or {"x": 1})
    sent = data.draw(
        st.dictionaries(st.sampled_from([*names, "items", "external_id"]), json_values, max_size=4)
    )
    mixed = {**(body or {}), **sent} if data.draw(st.booleans()) else sent

    response = api.call(operation.method, path, raw=json.dumps(mixed).encode())

    assert response.status_code < 500, (mixed, response.content)
