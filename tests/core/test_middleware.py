"""Request ids, and problems where Django would answer HTML."""

from __future__ import annotations

import pytest


def test_request_id_of_the_proxy_is_kept_if_it_is_one(client):
    assert client.get("/health", headers={"X-Request-ID": "abc-12345"})["X-Request-ID"] == "abc-12345"
    for odd in ("x", "a b c d e f g h", "x" * 65, "<script>alert(1)</script>", "é" * 10):
        made = client.get("/health", headers={"X-Request-ID": odd})["X-Request-ID"]
        assert made != odd and len(made) == 32


@pytest.mark.parametrize("path", ["/api/", "/api/v1", "/api/v1/nothing", "/api/v2/profiles/x"])
def test_unknown_addresses_of_the_api_are_problems(path, client):
    answer = client.get(path)

    assert answer.status_code == 404 and answer["Content-Type"] == "application/problem+json"
    assert answer.json()["instance"] == f"urn:request:{answer['X-Request-ID']}"


def test_refused_host_is_a_problem_for_api_clients(client):
    answer = client.get("/api/v1/products", headers={"Host": "evil.example"})

    assert answer.status_code == 400 and answer.json()["type"] == "/problems/bad_request"


def test_other_pages_keep_html(client):
    assert "html" in client.get("/nothing")["Content-Type"]


def test_types_of_problems_explain_themselves(client):
    for code in ("invalid", "stale_piece", "idempotency_key_reused", "brief_incomplete"):
        answer = client.get(f"/problems/{code}")
        assert answer.status_code == 200 and answer.json()["title"] and answer.json()["code"] == code
    assert client.get("/problems/nonsense").status_code == 404
