"""What delivery tests start from: a released run with approved pieces."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiosmtpd.controller import Controller
from django.contrib.auth import get_user_model
from django.utils import timezone

from campaigns.models import Run
from generation.models import Piece, Status
from tests import factories


def somebody() -> Any:
    """A user who never logs in: hashing a password is slow on purpose."""
    return get_user_model().objects.create(username=f"person-{uuid.uuid4().hex[:12]}")


def released_run(**changes: Any) -> Run:
    run: Run = factories.RunFactory(released_at=timezone.now(), released_by=somebody(), **changes)
    return run


def approved(run: Run, count: int = 1, **changes: Any) -> list[Piece]:
    reviewer = somebody()
    return [
        factories.PieceFactory(run=run, status=Status.APPROVED, reviewed_by=reviewer, **changes)
        for _ in range(count)
    ]


def approved_ad(run: Run, channel: str) -> Piece:
    piece: Piece = factories.AdPieceFactory(
        run=run, channel=channel, status=Status.APPROVED, reviewed_by=somebody()
    )
    return piece


class Sink:
    """Takes mails and keeps them. `answers`: recipient -> what to answer to RCPT, or to DATA with `data_answers`."""

    def __init__(self) -> None:
        self.mails: list[bytes] = []
        self.recipients: list[str] = []
        self.answers: dict[str, str] = {}
        self.data_answers: dict[str, str] = {}
        self.sender_answer = ""
        self.cut_in_data: set[str] = set()  # take the whole mail, then hang up instead of answering
        self.cut_before_data: set[str] = set()

    async def handle_MAIL(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if self.sender_answer:
            return self.sender_answer
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if address in self.cut_before_data:
            self.cut_before_data.discard(address)
            server.transport.close()
            return "250 OK"
        if answer := self.answers.get(address):
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        recipient = envelope.rcpt_tos[0]
        if answer := self.data_answers.get(recipient):
            return answer
        self.mails.append(envelope.content)
        self.recipients.append(recipient)
        if recipient in self.cut_in_data:
            server.transport.close()
        return "250 OK"


class AnyPort(Controller):
    """aiosmtpd's controller on a port that the system chooses."""

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@contextmanager
def smtp_server(settings: Any) -> Iterator[Sink]:
    """A real SMTP server on a free port, and Django's settings pointing to it."""
    sink = Sink()
    controller = AnyPort(sink, hostname="127.0.0.1", port=0)
    controller.start()
    try:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST = "127.0.0.1"
        settings.EMAIL_PORT = controller.port
        yield sink
    finally:
        controller.stop()
