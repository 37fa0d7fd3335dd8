"""Calls the API as a client does: JSON in, JSON out, one key."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from django.test import Client

from personalize.core import api_keys
from personalize.core.models import ApiKey, Scope
from tests.factories import SuperuserFactory, UserFactory


class ApiClient:
    def __init__(self, key: ApiKey | None, plain: str) -> None:
        self.key, self.plain = key, plain
        self._client = Client(raise_request_exception=False)

    def call(
        self, method: str, path: str, body: Any = None, *, raw: bytes | None = None, **headers: str
    ) -> Any:
        """`Idempotency_Key="x"` becomes the header Idempotency-Key. Paths begin below /api/v1/."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.plain:
            sent.setdefault("Authorization", f"Bearer {self.plain}")
        data = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        response = self._client.generic(
            method, f"/api/v1/{path}", data, content_type="application/json", headers=sent
        )
        if method != "HEAD":
            check_shape(response)
        return response

    def get(self, path: str, **headers: str) -> Any:
        return self.call("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.call("POST", path, body, **headers)

    def put(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.call("PUT", path, body, **headers)

    def patch(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.call("PATCH", path, body, **headers)

    def delete(self, path: str, **headers: str) -> Any:
        return self.call("DELETE", path, **headers)


def make_client(scopes: Sequence[str] | None = None, permissions: Sequence[str] | None = None) -> ApiClient:
    person = SuperuserFactory() if permissions is None else UserFactory(permissions=list(permissions))
    key, plain = api_keys.create(name="test", scopes=scopes or Scope.values, acts_as=person)
    return ApiClient(key, plain)


def check_shape(response: Any) -> None:
    """Every error of the API is a whole problem document with the id of its request."""
    if response.status_code < 400:
        return
    assert response["Content-Type"] == "application/problem+json", response.content[:300]
    problem = response.json()
    assert {"type", "title", "status", "detail", "instance"} <= set(problem)
    assert problem["status"] == response.status_code
    assert problem["type"].startswith("/problems/")
    if not response.has_header("Idempotent-Replayed"):  # a replay names the request that did the work
        assert problem["instance"] == f"urn:request:{response['X-Request-ID']}"
    assert "Traceback" not in response.content.decode() and "/site-packages/" not in response.content.decode()
    for error in problem.get("errors", ()):
        assert set(error) == {"pointer", "field", "message"} and error["pointer"].startswith("#")
