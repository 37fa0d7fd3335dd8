"""A sender killed with SIGKILL in the middle of its work, over and over: nothing twice, nothing lost."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
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

NAME = "sender to be killed"
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
        "PGAPPNAME": NAME,  # its sessions can be told from ours
    }
    sender = subprocess.Popen([sys.executable, "-c", _SENDER], env=environment, stdout=subprocess.PIPE)
    assert sender.stdout is not None
    assert sender.stdout.readline() == b"ready\n"
    return sender


def sessions(query: str = "%") -> int:
    """How many sessions the senders still have in the database, running a statement like `query`."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s AND query ILIKE %s",
            [NAME, query],
        )
        return int(cursor.fetchone()[0])


def until(what: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def kill(sender: subprocess.Popen[bytes]) -> None:
    sender.send_signal(signal.SIGKILL)
    assert sender.wait() == -signal.SIGKILL
    assert sender.stdout is not None
    sender.stdout.close()


@pytest.mark.django_db(transaction=True)
def test_a_killed_sender_sends_nothing_twice_and_loses_nothing(settings: Any) -> None:
    pieces = scenes.approved(scenes.released_run(), PIECES)
    rng = random.Random(7)
    with scenes.smtp_server(settings) as sink:
        for _ in range(KILLS):
            before = len(sink.mails)
            sender = start_sender(settings.EMAIL_PORT)
            wanted = before + rng.randint(1, PIECES // (KILLS + 2))
            end = time.monotonic() + 30
            while len(sink.mails) < wanted and sender.poll() is None and time.monotonic() < end:
                time.sleep(0.001)
            time.sleep(rng.uniform(0, 0.01))
            kill(sender)
            # The server may still be at the last statement of the dead: a claim can be committed after its
            # worker's end (see the test below). A sweep comes a minute later, when the lease is over.
            until(lambda: not sessions())
            assert len(sink.mails) > before
            sending.sweep(now=timezone.now() + timedelta(hours=1))
        last = start_sender(settings.EMAIL_PORT)
        assert last.wait(180) == 0
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


_SLOW_COMMIT = """
CREATE OR REPLACE FUNCTION slow_commit() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_sleep(0.1); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER slow_commit AFTER INSERT ON delivery_delivery
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slow_commit()
"""


@pytest.mark.django_db(transaction=True)
def test_a_claim_that_is_committed_after_its_worker_died_is_found_by_the_next_sweep(settings: Any) -> None:
    pieces = scenes.approved(scenes.released_run(), 10)
    later = timezone.now() + timedelta(hours=1)
    with scenes.smtp_server(settings) as sink:
        with connection.cursor() as cursor:
            cursor.execute(_SLOW_COMMIT)
        try:
            sender = start_sender(settings.EMAIL_PORT)
            until(lambda: sessions("COMMIT%") > 0)
            kill(sender)
            assert sending.sweep(now=later)["given_back"] == 0  # nothing to be seen yet
            until(lambda: not sessions())
        finally:
            with connection.cursor() as cursor:
                cursor.execute("DROP FUNCTION slow_commit() CASCADE")
        claimed = Delivery.objects.filter(status=DeliveryStatus.CLAIMED, begun_at=None)
        assert claimed.count() == len(pieces) and sink.mails == []
        assert sending.sweep(now=later)["given_back"] == len(pieces)
        assert sending.deliver_due().handed_over == len(pieces)
        assert len(sink.recipients) == len(set(sink.recipients)) == len(pieces)
