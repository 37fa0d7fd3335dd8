"""A sender killed with SIGKILL in the middle of its work, over and over: nothing twice, nothing lost."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import timedelta
from email import message_from_bytes
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.utils import timezone

from delivery import sending
from delivery.models import Delivery, DeliveryStatus
from generation.models import Piece, PieceEvent, Status
from tests.delivery import scenes

PIECES = 120
KILLS = 4
_SENDER = """
import django
django.setup()
from delivery import sending
print("ready", flush=True)
sending.deliver_due()
"""


def start_sender(port: int) -> subprocess.Popen[bytes]:
    """Another process on the test's database, as a worker would be."""
    database = connection.settings_dict
    host, db_port = database["HOST"] or "127.0.0.1", database["PORT"] or 5432
    environment = {
        **os.environ,
        "DATABASE_URL": f"postgresql://{database['USER']}:{database['PASSWORD']}@{host}:{db_port}/{database['NAME']}",
        "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
        "EMAIL_HOST": "127.0.0.1",
        "EMAIL_PORT": str(port),
        "SECRET_KEY": django_settings.SECRET_KEY,
        "HASH_KEY": django_settings.HASH_KEY,
        "DJANGO_SETTINGS_MODULE": os.environ.get("DJANGO_SETTINGS_MODULE", "personalize.settings"),
        "LOG_LEVEL": "ERROR",
    }
    sender = subprocess.Popen([sys.executable, "-c", _SENDER], env=environment, stdout=subprocess.PIPE)
    assert sender.stdout is not None
    assert sender.stdout.readline() == b"ready\n"
    return sender


@pytest.mark.django_db(transaction=True)
def test_a_killed_sender_sends_nothing_twice_and_loses_nothing(settings: Any) -> None:
    pieces = scenes.approved(scenes.released_run(), PIECES)
    rng = random.Random(7)
    with scenes.smtp_server(settings) as sink:
        for _ in range(KILLS):
            before = len(sink.mails)
            sender = start_sender(settings.EMAIL_PORT)
            wanted = before + rng.randint(1, PIECES // (KILLS + 2))
            until = time.monotonic() + 30
            while len(sink.mails) < wanted and sender.poll() is None and time.monotonic() < until:
                time.sleep(0.001)
            time.sleep(rng.uniform(0, 0.01))
            sender.send_signal(signal.SIGKILL)
            assert sender.wait() == -signal.SIGKILL
            assert sender.stdout is not None
            sender.stdout.close()
            assert len(sink.mails) > before
            sending.sweep(now=timezone.now() + timedelta(hours=1))
        last = start_sender(settings.EMAIL_PORT)
        assert last.wait(60) == 0
        assert last.stdout is not None
        last.stdout.close()

        ids = Counter(str(message_from_bytes(raw)["Message-ID"]) for raw in sink.mails)
        addresses = Counter(sink.recipients)

    assert max(ids.values()) == max(addresses.values()) == 1
    states = Counter(Piece.objects.values_list("status", flat=True))
    assert states[Status.DELIVERED] + states[Status.UNKNOWN] == len(pieces)
    assert states[Status.UNKNOWN] <= KILLS  # only the one in hand at the kill
    delivered = Delivery.objects.filter(status=DeliveryStatus.HANDED_OVER).values_list(
        "message_id", flat=True
    )
    assert set(delivered) <= set(ids)  # whatever is called delivered did arrive
    unknown = Delivery.objects.filter(status=DeliveryStatus.UNKNOWN).values_list("message_id", flat=True)
    assert set(ids) <= set(delivered) | set(unknown)  # and whatever arrived is delivered or listed
    assert PieceEvent.objects.filter(to_status=Status.DELIVERED).count() == states[Status.DELIVERED]
