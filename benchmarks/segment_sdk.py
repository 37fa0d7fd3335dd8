"""Segment's own Python SDK, unmodified, against a running server: how fast, and is every event stored once?

    python benchmarks/segment_sdk.py [--events 50000] [--workers 2] [--kills 3] [--batch 500] [--only twice]

Two runs over a real gunicorn and a real database. The first sends all events once. The second sends new ones by two
clients at the same time, so that every message comes twice, while the server is killed (SIGKILL, in the middle of
requests) and started again. Ends with an error if an event is missing or stored twice. Works in a database of its
own (DATABASE_URL names the server). Needs segment-analytics-python, a development dependency.
"""

from __future__ import annotations

import argparse
import logging
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from run_support import scratch_database

ROOT = Path(__file__).resolve().parent.parent
NAMES = ("Product Viewed", "Product Added", "Article Read", "Order Completed")


class Server:
    """gunicorn over the scratch database, in a process group of its own so that all of it can be killed at once."""

    def __init__(self, workers: int) -> None:
        from django.db import connection

        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        database = connection.settings_dict
        password = f":{database['PASSWORD']}" if database["PASSWORD"] else ""
        place = f"{database['HOST']}:{database['PORT']}/{database['NAME']}"
        self._environment = os.environ | {
            "DATABASE_URL": f"postgresql://{database['USER']}{password}@{place}",
            "API_REQUESTS_PER_MINUTE": "0",
        }
        self._workers = workers
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [
            *(
                sys.executable,
                "-m",
                "gunicorn",
                "personalize.wsgi:application",
                "--bind",
                f"127.0.0.1:{self.port}",
            ),
            *("--workers", str(self._workers), "--threads", "4", "--log-level", "critical"),
        ]
        self._process = subprocess.Popen(command, cwd=ROOT, env=self._environment, start_new_session=True)
        until = time.monotonic() + 120
        while time.monotonic() < until:
            try:
                with urllib.request.urlopen(f"{self.address}/health", timeout=5):
                    return
            except OSError:
                time.sleep(0.1)
        raise SystemExit("The server did not answer within two minutes.")

    def kill(self) -> None:
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


def send(
    server: Server, plain: str, batch: int, events: list[dict[str, Any]], failures: list[str], sent: list[int]
) -> None:
    """All events through one client of the SDK, with nothing changed but what its constructor offers."""
    from segment.analytics.client import Client

    def failed(error: Exception, batch: list[Any]) -> None:
        failures.append(f"{type(error).__name__}: {error} ({len(batch)} messages)")

    client = Client(
        plain,
        host=server.address,
        max_queue_size=len(events) + 10,
        upload_size=batch,
        gzip=True,
        thread=2,
        timeout=60,
        on_error=failed,
    )
    for number, event in enumerate(events, start=1):
        accepted, _ = client.track(**event)
        if not accepted:
            failures.append("the SDK's queue was full")
        sent[0] = number - client.queue.qsize()
    while client.queue.qsize():
        sent[0] = len(events) - client.queue.qsize()
        time.sleep(0.05)
    client.flush()
    client.shutdown()
    sent[0] = len(events)


def make(count: int, people: int, prefix: str) -> list[dict[str, Any]]:
    chance = random.Random(prefix)
    now = datetime.now(UTC)
    return [
        {
            "user_id": f"c-{chance.randrange(people)}",
            "event": chance.choice(NAMES),
            "properties": {"sku": f"S-{chance.randrange(50)}", "price": 12.5, "quantity": 1, "place": "shop"},
            "timestamp": now - timedelta(minutes=chance.randrange(500_000)),
            "message_id": f"{prefix}-{number:06d}",
        }
        for number in range(count)
    ]


def check(events: list[dict[str, Any]], prefix: str) -> bool:
    from campaigns.models import Event, TrackedMessage

    wanted = {event["message_id"] for event in events}
    stored = list(Event.objects.filter(message_id__startswith=prefix).values_list("message_id", flat=True))
    refused = TrackedMessage.objects.filter(status="refused").count()
    right = len(stored) == len(wanted) == len(set(stored)) and set(stored) == wanted
    print(
        f"    sent {len(wanted):,}, stored {len(stored):,}, missing {len(wanted - set(stored)):,}, "
        f"twice {len(stored) - len(set(stored)):,}, refused {refused:,}: {'right' if right else 'WRONG'}",
        flush=True,
    )
    return right


def once(server: Server, plain: str, batch: int, events: list[dict[str, Any]], failures: list[str]) -> bool:
    started = time.monotonic()
    send(server, plain, batch, events, failures, [0])
    seconds = time.monotonic() - started
    print(
        f"once: {len(events):,} events in {seconds:.1f} s, {len(events) / seconds:,.0f} a second", flush=True
    )
    return check(events, "once")


def twice(
    server: Server, plain: str, batch: int, events: list[dict[str, Any]], failures: list[str], kills: int
) -> bool:
    count = len(events)
    progress = ([0], [0])
    clients = [
        threading.Thread(target=send, args=(server, plain, batch, events, failures, each))
        for each in progress
    ]
    started = time.monotonic()
    for client in clients:
        client.start()
    for number in range(kills):
        part = count * (number + 1) / (kills + 1)
        while min(progress)[0] < part and any(client.is_alive() for client in clients):
            time.sleep(0.02)
        handed = " and ".join(f"{each[0]:,}" for each in progress)
        print(f"    kill -9 at {handed} of {count:,} handed over", flush=True)
        server.kill()
        server.start()
    for client in clients:
        client.join()
    seconds = time.monotonic() - started
    print(
        f"every batch by two clients, {kills} kills: {2 * count:,} messages in {seconds:.1f} s, "
        f"{2 * count / seconds:,.0f} a second",
        flush=True,
    )
    return check(events, "twice")


def main(count: int, people: int, workers: int, kills: int, batch: int, only: str) -> int:
    logging.getLogger("segment").setLevel(logging.CRITICAL)
    with scratch_database():
        from personalize.core import api_keys
        from personalize.core.models import Scope
        from tests.factories import SuperuserFactory

        _, plain = api_keys.create(name="benchmark", scopes=[Scope.TRACK], acts_as=SuperuserFactory())
        server = Server(workers)
        server.start()
        try:
            failures: list[str] = []
            right = True
            if only != "twice":
                right = once(server, plain, batch, make(count, people, "once"), failures)
            if only != "once":
                right = twice(server, plain, batch, make(count, people, "twice"), failures, kills) and right
        finally:
            server.kill()
        for failure in sorted(set(failures)):
            print(f"    the SDK gave up: {failure}")
    return 0 if right and not failures else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=50_000)
    parser.add_argument("--people", type=int, default=5_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument(
        "--batch", type=int, default=500, help="messages of one request; the SDK's own default is 100"
    )
    parser.add_argument("--only", choices=("once", "twice"), default="", help="one of the two runs")
    given = parser.parse_args()
    sys.exit(main(given.events, given.people, given.workers, given.kills, given.batch, given.only))
