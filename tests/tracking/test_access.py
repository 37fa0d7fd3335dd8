"""Who may send: every address against every kind of key."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from campaigns.api.tracking import CALLS
from campaigns.models import Event, Profile, TrackedMessage
from personalize.core import api_keys
from personalize.core.models import Scope
from tests.factories import SuperuserFactory, UserFactory
from tests.tracking.sender import PERMISSIONS, Sender

pytestmark = pytest.mark.django_db
every = pytest.mark.parametrize("name", sorted(CALLS))

ONE = {
    "userId": "u1", "previousId": "a1", "groupId": "g", "event": "a", "messageId": "m1", "traits": {"email": "a@b.de"},
}  # fmt: skip


def body_of(name: str) -> bytes:
    if CALLS[name] in ("batch", "import"):
        return json.dumps({"batch": [{"type": "track", **ONE}]}).encode()
    return json.dumps(ONE).encode()


def test_the_addresses_are_those_of_the_protocol() -> None:
    assert {*CALLS} == {
        "identify", "track", "page", "screen", "group", "alias", "batch", "import", "i", "t", "p", "s", "g", "a", "b",
    }  # fmt: skip


@every
def test_the_right_key_is_enough(name: str) -> None:
    response = Sender().raw(name, body_of(name))
    assert (response.status_code, response.json()) == (200, {"success": True})
    assert TrackedMessage.objects.count() == 1
    assert Sender().raw(f"{name}/", body_of(name)).status_code == 200


@every
def test_keys_that_are_refused(name: str, client: Client) -> None:
    def made(scopes: list[str], person: Any) -> tuple[Any, str]:
        return api_keys.create(name="x", scopes=scopes, acts_as=person)

    boss = SuperuserFactory()
    revoked, revoked_plain = made([Scope.TRACK], boss)
    api_keys.revoke(key=revoked)
    expired, expired_plain = made([Scope.TRACK], boss)
    type(expired).objects.filter(pk=expired.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    _left, left_plain = made([Scope.TRACK], UserFactory(permissions=PERMISSIONS, is_active=False))
    _, right = made([Scope.TRACK], boss)
    others = [scope for scope in Scope.values if scope != Scope.TRACK]
    attempts = [
        ("", 401),
        ("pk_unknown", 401),
        (right[:-1] + "!", 401),
        (revoked_plain, 401),
        (expired_plain, 401),
        (left_plain, 401),
        (made(others, boss)[1], 403),
        (made([Scope.TRACK], UserFactory(permissions=PERMISSIONS[:1]))[1], 403),
        (made([Scope.TRACK], UserFactory())[1], 403),
    ]
    for plain, status in attempts:
        response = Sender(plain=plain).raw(name, body_of(name))
        assert (response.status_code, response.json()["success"]) == (status, False), plain[:4]
        assert response.has_header("WWW-Authenticate") == (status == 401)
    for header in (f"Bearer {right}", "Basic", "Basic !!!", "Basic " + base64.b64encode(b"\xff:").decode()):
        assert Sender(plain="").raw(name, body_of(name), Authorization=header).status_code == 401
    client.force_login(boss)
    assert client.post(f"/v1/{name}", body_of(name), content_type="application/json").status_code == 401
    assert not (TrackedMessage.objects.exists() or Profile.objects.exists() or Event.objects.exists())


@every
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_only_post_does_anything(name: str, method: str) -> None:
    response = Sender().raw(name, body_of(name), method=method)
    assert (response.status_code, response["Allow"]) == (405, "POST")
    assert not TrackedMessage.objects.exists()


def test_other_addresses_are_a_404_in_json() -> None:
    for name in ("teleport", "batch/x", "projects", "track.json"):
        response = Sender().raw(name, b"{}")
        assert (response.status_code, response.json()["code"]) == (404, "not_found")


def test_the_key_may_stand_in_the_body() -> None:
    sender = Sender()
    body = json.dumps({"writeKey": sender.plain, "batch": [{"type": "track", **ONE}]}).encode()
    assert Sender(plain="").raw("b", body).status_code == 200
    assert (
        Sender(plain="").raw("t", json.dumps({"writeKey": sender.plain, **ONE}).encode()).status_code == 200
    )
    assert Event.objects.count() == 1


def test_a_write_key_opens_nothing_else_and_is_stored_hashed(capsys: pytest.CaptureFixture[str]) -> None:
    UserFactory(username="shop", permissions=PERMISSIONS)
    call_command("create_api_key", "Shop", "--scopes", "track", "--as", "shop")
    plain = capsys.readouterr().out.strip()
    sender = Sender(plain=plain)

    assert sender.raw("track", body_of("track")).status_code == 200
    api = Client().get("/api/v1/products", headers={"Authorization": f"Bearer {plain}"})
    assert api.status_code == 403
    call_command("revoke_api_key", plain[:12])
    assert sender.raw("track", body_of("track")).status_code == 401
    assert plain[12:] not in json.dumps(list(api_keys.ApiKey.objects.values()), default=str)


@pytest.mark.parametrize("in_body", [False, True])
def test_a_key_over_its_limit_is_told_when_to_send_again_and_nothing_is_stored(
    in_body: bool, settings: Any
) -> None:
    settings.API_REQUESTS_PER_MINUTE = 1
    sender = Sender()
    plain, body = sender.plain, dict(ONE)
    if in_body:
        sender.plain, body["writeKey"] = "", plain
    assert sender.raw("track", json.dumps(body).encode()).status_code == 200

    refused = sender.raw("track", json.dumps({**body, "messageId": "m2"}).encode())

    assert (refused.status_code, refused.json()["success"], refused.json()["code"]) == (
        429,
        False,
        "throttled",
    )
    assert 1 <= int(refused["Retry-After"]) <= 60
    assert TrackedMessage.objects.count() == 1
    sender.key.requests_per_minute = 0  # a number of its own: none
    sender.key.save()
    assert sender.raw("track", json.dumps({**body, "messageId": "m2"}).encode()).status_code == 200
    assert TrackedMessage.objects.count() == 2
