"""A person's data passes through an API call, a writer and a delivery without a trace in the logs."""

from __future__ import annotations

import logging
import re

import pytest
import structlog
from django.utils import timezone

from delivery import sending
from generation import drafting, review
from generation.models import Piece
from personalize import logging as our_logging
from tests.api.client import make_client
from tests.api.world import campaign_body, make_world
from tests.factories import SuperuserFactory
from tests.fakes import FakeWriter, HashEmbedder

SECRETS = ["zebedee", "quux-7781", "02079460001", "7946", "harbourside"]


@pytest.fixture
def logged(settings, caplog):
    """Every line as production writes it: through our own configuration, all levels."""
    settings.LOG_LEVEL, settings.LOG_FORMAT = "DEBUG", "json"
    was = structlog.get_config()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    our_logging.configure({})
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    keeper = Keep()
    keeper.setFormatter(root.handlers[0].formatter)
    root.handlers = [keeper]
    root.setLevel(logging.DEBUG)
    logging.getLogger("django.db.backends").setLevel(
        logging.INFO
    )  # SQL with its parameters, DEBUG only by hand
    yield lines
    root.handlers, root.level = handlers, level
    structlog.configure(**was)


@pytest.mark.django_db
def test_no_name_address_or_copy_reaches_the_log(logged, settings):
    from generation import engines

    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    make_world()
    api = make_client()
    person = {
        "email": "zebedee@reader.example",
        "phone": "+442079460001",
        "first_name": "Zebedee",
        "attributes": {"lives_near": "harbourside"},
        "consents": [{"channel": "email", "status": "given", "source": "form"}],
    }
    api.put("profiles/quux-7781", person)
    api.put("profiles/quux-7781", {"email": "zebedee@@"})
    api.put("profiles/quux-7781", {"first_name": "Zebedee\x00"})
    api.get("profiles/quux-7781/nothing")
    api.post("suppressions", {"address": "zebedee@reader.example", "channel": "push"})
    api.post("campaigns", campaign_body())
    with engines.use(writer=FakeWriter(), embedder=HashEmbedder()):
        piece_id = api.post("compose", {"campaign": "summer-pans", "profile": "quux-7781"}).json()["id"]
        assert drafting.write_piece(piece_id=piece_id)
    piece = Piece.objects.get(pk=piece_id)
    review.approve(piece_id=piece_id, revision=piece.revision, by=SuperuserFactory())
    api.post(f"runs/{piece.run_id}/release")
    sending.deliver_due(now=timezone.now(), limit=10)
    api.get(f"pieces/{piece_id}")
    api.delete("profiles/quux-7781")

    from django.core import mail

    assert any("zebedee@reader.example" in message.to for message in mail.outbox)
    text = "\n".join(logged).lower()
    assert '"event": "request"' in text and "delivery_round" in text  # there was something to hear
    for secret in [*SECRETS, *words_of(piece)]:
        assert secret.lower() not in text, secret


@pytest.mark.django_db
def test_failure_is_logged_by_its_place_without_its_message(logged, monkeypatch):
    from campaigns import people

    def broken(**_):
        raise ValueError("Key (email)=(zebedee@reader.example) already exists")

    api = make_client()
    monkeypatch.setattr(people, "upsert", broken)

    answer = api.put("profiles/quux-7781", {"first_name": "Zebedee"})

    text = "\n".join(logged)
    assert answer.status_code == 500
    assert '"event": "api_failed"' in text and "ValueError" in text and "test_logs.py" in text
    assert answer["X-Request-ID"] in text
    assert not any(secret in text.lower() for secret in SECRETS)


def words_of(piece):
    """Each sentence of the text."""
    texts = [
        text for value in piece.fields.values() for text in (value if isinstance(value, list) else [value])
    ]
    return [part for text in texts for part in re.split(r"[.\n]", text) if len(part) > 12]


def test_an_exception_is_logged_without_its_words(logged):
    """A database's DETAIL quotes the row, and Celery and Django log what nobody caught."""
    try:
        try:
            raise ValueError("Failing row contains (zebedee@reader.example)")
        except ValueError as cause:
            raise RuntimeError("while storing zebedee") from cause
    except RuntimeError:
        logging.getLogger("celery.app.trace").exception("Task raised unexpected")
        structlog.get_logger("ours").exception("broken")

    assert len(logged) == 2
    for line in logged:
        assert "zebedee" not in line
        assert '"RuntimeError"' in line and '"ValueError"' in line and "test_logs.py" in line
