"""Sends tracking calls as an SDK does, and looks at what became of them."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

from django.test import Client

from campaigns.models import Consent, Event, Profile, TrackedMessage
from personalize.core import api_keys
from personalize.core.models import Scope
from tests.factories import UserFactory

PERMISSIONS = ["campaigns.change_profile", "campaigns.add_event"]


class Sender:
    def __init__(self, *, plain: str | None = None) -> None:
        if plain is None:
            person = UserFactory(permissions=PERMISSIONS)
            self.key, plain = api_keys.create(name="Shop", scopes=[Scope.TRACK], acts_as=person)
        self.plain = plain
        self._client = Client(raise_request_exception=False)

    def raw(self, name: str, body: bytes, *, method: str = "POST", **headers: str) -> Any:
        sent = {key.replace("_", "-"): value for key, value in headers.items()}
        if self.plain:
            basic = base64.b64encode(f"{self.plain}:".encode()).decode()
            sent.setdefault("Authorization", f"Basic {basic}")
        return self._client.generic(
            method, f"/v1/{name}", body, content_type="application/json", headers=sent
        )

    def send(self, name: str, body: Any, *, packed: bool = False) -> dict[str, Any]:
        text = json.dumps(body).encode()
        response = (
            self.raw(name, gzip.compress(text), Content_Encoding="gzip") if packed else self.raw(name, text)
        )
        assert response.status_code == 200, response.content
        answer: dict[str, Any] = response.json()
        assert answer.pop("success") is True
        return answer

    def batch(self, *calls: Any, **more: Any) -> dict[str, Any]:
        return self.send("batch", {"batch": list(calls), **more})


def call(kind: str, message_id: str = "", **fields: Any) -> dict[str, Any]:
    return {"type": kind, **({"messageId": message_id} if message_id else {}), **fields}


def statuses() -> dict[str, int]:
    found: dict[str, int] = {}
    for status in TrackedMessage.objects.values_list("status", flat=True):
        found[status] = found.get(status, 0) + 1
    return found


def did(external_id: str) -> list[str]:
    events = Event.objects.filter(profile__external_id=external_id)
    return list(events.order_by("occurred_at", "id").values_list("name", flat=True))


def agreed(external_id: str) -> dict[str, str]:
    return dict(Consent.objects.filter(profile__external_id=external_id).values_list("channel", "status"))


def person(external_id: str) -> Profile:
    return Profile.objects.get(external_id=external_id)
