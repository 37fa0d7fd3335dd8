"""kill -9 of real worker processes in mid-run: every piece is written once, none is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from campaigns.models import Run
from generation.models import Piece, PieceEvent, Status
from tests.generation import scenes

ROOT = Path(__file__).resolve().parents[2]
PIECES = 24
KILLS = 3


def start_worker(run: Run, seconds: float) -> subprocess.Popen[bytes]:
    database = connection.settings_dict
    user = f"{database['USER']}:{database['PASSWORD']}" if database["PASSWORD"] else database["USER"]
    url = f"postgresql://{user}@{database['HOST']}:{database['PORT']}/{database['NAME']}"
    environment = os.environ | {
        "DATABASE_URL": url,
        "WRITER_CHUNK": "4",
        "WRITER_LEASE_SECONDS": "1",  # so that what a killed worker held is taken back soon
        "SECRET_KEY": settings.SECRET_KEY,
        "HASH_KEY": settings.HASH_KEY,
    }
    return subprocess.Popen(
        [sys.executable, "-m", "tests.generation.slow_worker", str(run.pk), str(seconds)],
        cwd=ROOT,
        env=environment,
    )


def wait_for(seconds: float, condition: object) -> None:
    until = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < until, "what was waited for did not happen"
        time.sleep(0.02)


@pytest.mark.django_db(transaction=True)
def test_killed_workers_lose_nothing_and_write_nothing_twice() -> None:
    run = scenes.launched(PIECES)

    def count(status: Status) -> int:
        return Piece.objects.filter(run=run, status=status).count()

    killed_while_writing = 0
    for kill in range(KILLS):
        worker = start_worker(run, seconds=0.5)
        try:
            # The first is killed after it has stored a chunk; every one while it is writing.
            least = 1 if kill == 0 else 0
            wait_for(
                60, lambda least=least: count(Status.IN_REVIEW) >= least and count(Status.GENERATING) > 0
            )
        finally:
            worker.send_signal(signal.SIGKILL)
            assert worker.wait(timeout=10) == -signal.SIGKILL
        killed_while_writing += count(Status.GENERATING) > 0
    assert killed_while_writing == KILLS
    assert count(Status.IN_REVIEW) < PIECES

    last = start_worker(run, seconds=0)
    assert last.wait(timeout=90) == 0

    pieces = list(Piece.objects.filter(run=run))
    assert len(pieces) == PIECES
    assert {(piece.status, piece.revision) for piece in pieces} == {(Status.IN_REVIEW, 1)}
    stored = PieceEvent.objects.filter(run_id=run.pk, to_status=Status.IN_REVIEW)
    assert stored.count() == PIECES == stored.values("piece_id").distinct().count()
    assert PieceEvent.objects.filter(run_id=run.pk, note="its writer was lost").exists()
    assert max(piece.attempts for piece in pieces) >= 2
