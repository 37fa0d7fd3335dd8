"""Text and push messages by webhook, against a real HTTP server: one request each, every end in the ledger."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from delivery import connectors, exports, sending
from delivery.models import Delivery, DeliveryStatus, Transport
from generation.models import Status
from tests import factories
from tests.delivery import scenes

pytestmark = pytest.mark.django_db
SECRET = "s" * 40


class Service:
    """Answers what `answers` says next (an HTTP status, or "hang up"), else 202."""

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int | str] = []


@pytest.fixture
def service(settings: Any) -> Iterator[Service]:
    kept = Service()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            kept.requests.append((dict(self.headers), body))
            answer = kept.answers.pop(0) if kept.answers else 202
            if answer == "hang up":
                self.connection.close()
                return
            self.send_response(int(answer))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    settings.MESSAGES_URL = f"http://127.0.0.1:{server.server_address[1]}/in"
    settings.MESSAGES_SECRET, settings.MESSAGES_TIMEOUT = SECRET, 5
    yield kept
    server.shutdown()
    server.server_close()


def approved(run: Any, channel: str = "sms") -> Any:
    profile = factories.ProfileFactory(consents=["sms", "push"])
    return scenes.approved(run, channel=channel, profile=profile)[0]


def test_each_message_is_posted_once_signed_and_in_the_ledger(service: Service) -> None:
    run = scenes.released_run()
    sms, push = approved(run), approved(run, "push")

    first, second = connectors.deliver_due(), connectors.deliver_due()

    assert (first.handed_over, second.handed_over, len(service.requests)) == (2, 0, 2)
    for piece, (headers, body) in zip((sms, push), service.requests, strict=True):
        piece.refresh_from_db()
        delivery = piece.delivery
        assert piece.status == Status.DELIVERED
        assert (delivery.transport, delivery.status) == (Transport.WEBHOOK, DeliveryStatus.HANDED_OVER)
        assert headers["Idempotency-Key"] == delivery.message_id.strip("<>")
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        digest = hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()
        assert headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()
        assert json.loads(body)["id"] == delivery.message_id
    text, pushed = (json.loads(body) for _, body in service.requests)
    assert text["to"] == sms.profile.phone and text["text"].startswith(
        "All cast iron is 15% off until 5 July."
    )
    assert (pushed["to"], pushed["link"]) == (
        push.profile.external_id,
        "https://wrenandember.example/cast-iron",
    )
    assert exports.export_run(run=run) == []


@pytest.mark.parametrize(
    ("answer", "delivery", "piece"),
    [
        (503, "retry", "approved"),
        (422, "failed", "failed"),
        (500, "unknown", "unknown"),
        ("hang up", "unknown", "unknown"),
        (410, "failed", "failed"),
        (401, "retry", "approved"),
    ],
)
def test_each_answer_has_its_end(service: Service, answer: int | str, delivery: str, piece: str) -> None:
    one = approved(scenes.released_run())
    service.answers = [answer]

    connectors.deliver_due()

    one.refresh_from_db()
    assert (one.delivery.status, one.status) == (delivery, piece)
    assert one.profile.phone not in one.delivery.response
    connectors.deliver_due()
    assert len(service.requests) == 1, "nothing is asked twice at once"


def test_a_wrong_setting_stops_the_round_and_loses_nothing(service: Service, settings: Any) -> None:
    run = scenes.released_run()
    pieces = [approved(run) for _ in range(3)]
    settings.MESSAGES_URL = "http://127.0.0.1:9/in"  # nobody listens

    found = connectors.deliver_due()

    assert "cannot be reached" in found.trouble and found.retry == 3
    assert {p.status for p in run.pieces.all()} == {Status.APPROVED} and len(pieces) == 3


def test_a_claim_left_behind_after_it_began_is_uncertain(service: Service) -> None:
    piece = approved(scenes.released_run())
    connectors.deliver_due()
    Delivery.objects.update(
        status=DeliveryStatus.CLAIMED,
        lease_until="2020-01-01T00:00Z",
        begun_at="2020-01-01T00:00Z",
        finished_at=None,
    )
    type(piece).objects.filter(pk=piece.pk).update(status=Status.DELIVERING)

    assert sending.sweep()["unknown"] == 1


def test_without_the_setting_they_leave_as_files(settings: Any, tmp_path: Any) -> None:
    settings.MESSAGES_URL, settings.OUTPUT_DIR = "", tmp_path
    run = scenes.released_run()
    approved(run)

    assert connectors.deliver_due().handed_over == 0
    assert len(exports.export_run(run=run)) == 1
