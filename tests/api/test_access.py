"""Who may call what: every operation against every kind of key."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.apps import apps
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from personalize.core import api_keys
from personalize.core.models import RateBucket, Scope
from tests.api.client import ApiClient
from tests.api.world import OPERATIONS
from tests.factories import SuperuserFactory

pytestmark = pytest.mark.django_db

every = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)


def routes():
    def walk(patterns, prefix):
        for pattern in patterns:
            here = prefix + str(pattern.pattern)
            if isinstance(pattern, URLResolver):
                yield from walk(pattern.url_patterns, here)
            elif isinstance(pattern, URLPattern) and here.startswith("api/v1/"):
                view = pattern.callback.view_class
                for method in ("get", "post", "put", "patch", "delete"):
                    if hasattr(view, method):
                        yield method.upper(), here.removeprefix("api/v1/"), view

    return list(walk(get_resolver().url_patterns, ""))


def state():
    """How many rows every table of ours has, and when each changed last."""
    counts = {}
    for model in apps.get_models():
        if model is RateBucket:  # counts calls, as `last_used_at` notes them
            continue
        if model._meta.app_label in {"core", "campaigns", "generation", "delivery"}:
            rows = model._base_manager.order_by("pk").values()
            counts[model.__name__] = [
                {name: value for name, value in row.items() if name != "last_used_at"} for row in rows
            ]
    return counts


def test_every_address_of_the_api_is_in_the_list_of_operations():
    listed = {(operation.method, operation.route) for operation in OPERATIONS}

    assert {(method, route) for method, route, _ in routes()} == listed


def test_every_method_of_every_view_declares_scope_and_permission():
    for method, route, view in routes():
        assert isinstance(view.required_scopes.get(method), Scope), route
        assert "." in view.required_permissions.get(method, ""), route


def test_permissions_of_operations_are_those_that_scopes_announce():
    for operation in OPERATIONS:
        assert operation.permission in api_keys.PERMISSIONS[Scope(operation.scope)], operation.name


@every
def test_right_key_with_the_one_permission_is_enough(operation, world, client_for, writer):
    client = client_for(scopes=[operation.scope], permissions=[operation.permission])
    path, body = operation.request(world)

    response = client.call(operation.method, path, body)

    assert response.status_code == operation.status, response.content


@every
def test_keys_that_are_refused(operation, world, client_for):
    path, body = operation.request(world)
    every_other = {name for names in api_keys.PERMISSIONS.values() for name in names} - {operation.permission}
    other_scopes = [scope for scope in Scope.values if scope != operation.scope]
    attempts = [
        (ApiClient(None, ""), 401, "not_authenticated", "Bearer pk_"),
        *((client, 401, "key_refused", words) for client, words in spent_keys()),
        (client_for(scopes=other_scopes), 403, "not_allowed", operation.scope),
        (client_for(permissions=sorted(every_other)), 403, "not_allowed", operation.permission),
    ]
    before = state()

    for client, status, code, words in attempts:
        response = client.call(operation.method, path, body)
        problem = response.json()
        assert (response.status_code, problem["type"]) == (status, f"/problems/{code}")
        assert words in problem["detail"]
        assert response.has_header("WWW-Authenticate") == (status == 401)
    assert state() == before


def spent_keys():
    """Clients whose keys are wrong, revoked, expired, or of somebody who has left."""
    made = [api_keys.create(name="x", scopes=Scope.values, acts_as=SuperuserFactory()) for _ in range(4)]
    (_, wrong_plain), (revoked, _), (expired, _), (left, _) = made
    api_keys.revoke(key=revoked)
    expired.expires_at = timezone.now() - timedelta(seconds=1)
    expired.save()
    left.acts_as.is_active = False
    left.acts_as.save()
    plains = [wrong_plain[:-1] + "!", *(plain for _, plain in made[1:])]
    reasons = ["not known", "revoked", "expired", "no longer active"]
    return [(ApiClient(None, plain), words) for plain, words in zip(plains, reasons, strict=True)]


@every
def test_reading_never_changes_anything(operation, world, api, writer):
    path, _ = operation.request(world)
    before = state()

    for method in ("GET", "HEAD"):
        response = api.call(method, path)
        assert response.status_code in ({200} if operation.method == "GET" else {200, 404, 405})
    assert state() == before


def test_a_view_that_declares_nothing_is_shut(api, world, monkeypatch):
    from campaigns.api.products import ProductsView

    monkeypatch.setattr(ProductsView, "required_scopes", {})
    assert api.get("products").status_code == 403
    monkeypatch.undo()
    monkeypatch.setattr(ProductsView, "required_permissions", {})
    assert api.get("products").status_code == 403


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "DISPATCH", "FOO"])
def test_odd_methods_get_a_problem(method, api, world):
    assert api.call(method, "products").status_code in (403, 405)


def test_a_cookie_session_is_no_way_in(world, client):
    client.force_login(SuperuserFactory())

    assert client.get("/api/v1/products").status_code == 401
