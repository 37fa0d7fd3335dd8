"""Handing work to the broker. Postgres knows what is to be done; the broker only wakes a worker up."""

from __future__ import annotations

from typing import Any

import structlog
from django.db import transaction
from kombu.exceptions import OperationalError

from generation import tasks

log = structlog.get_logger(__name__)

# Chains that a launch starts. Each writes a chunk, then enqueues itself anew, so that runs launched at the same
# time take turns; with more writers than chains some would idle, with fewer a message waits: it costs nothing.
CHAINS = 8
MANY_MESSAGES = 64  # in the writer's queue: the sweep adds none to that


def enqueue(*, run_id: int, chains: int = 1) -> None:
    """Wake writers for this run once the transaction commits. A broker that is away is left to the sweep."""
    for _ in range(chains):
        transaction.on_commit(lambda: _send_chunk(run_id))


def enqueue_piece(*, piece_id: int) -> None:
    """Have one piece written by itself once the transaction commits."""
    transaction.on_commit(lambda: _send_piece(piece_id))


def queue_length() -> int:
    """Messages that wait in the writer's queue; 0 if the broker cannot say."""
    try:
        with tasks.write_chunk.app.connection_for_read() as broker:
            channel: Any = broker.default_channel  # the types know the base channel only
            return int(channel.queue_declare(queue="writer", passive=True).message_count)
    except Exception as error:  # each transport has its own way to say that the queue is not there yet
        log.info("queue_length_unknown", error=type(error).__name__)
        return 0


def _send_chunk(run_id: int) -> None:
    try:
        tasks.write_chunk.delay(run_id=run_id)
    except OperationalError:
        log.warning("not_enqueued", task="generation.write_chunk", run_id=run_id)


def _send_piece(piece_id: int) -> None:
    try:
        tasks.compose.delay(piece_id=piece_id)
    except OperationalError:
        log.warning("not_enqueued", task="generation.compose", piece_id=piece_id)
