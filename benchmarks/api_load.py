"""200 clients at once on upsert and compose: p50 and p95, and proof that no update was lost.

    python benchmarks/api_load.py [--clients 200] [--calls 10]

Starts gunicorn over a database of its own (DATABASE_URL names the server). Three parts:

* upsert: every client changes people it shares with all others, each an attribute of its own, some calls repeated with
  the same Idempotency-Key as after a lost answer. Afterwards every person must have every client's last value.
* counter: all clients add one to the same attribute of one person: read, then PUT with If-Match, again on 412.
  Afterwards it must be the number of additions.
* compose: each client asks for a piece for a reader; no writer runs, so each answer is 202 with a place to look. Each
  must have made exactly one piece, also where the call was repeated.
"""

from __future__ import annotations

import argparse
import http.client
import json
import statistics
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from api_support import Server, serving

PEOPLE = 20


class Client:
    """One connection that stays open, as a CRM's worker has it."""

    def __init__(self, server: Server) -> None:
        self._netloc = urlsplit(server.url).netloc
        self._headers = {"Authorization": f"Bearer {server.key}", "Content-Type": "application/json"}
        self._connection: http.client.HTTPConnection | None = None
        self.seconds: list[float] = []
        self.answers: Counter[int] = Counter()

    def call(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, dict[str, str], Any]:
        sent = {**self._headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        started = time.perf_counter()
        for attempt in range(5):
            try:
                if self._connection is None:
                    self._connection = http.client.HTTPConnection(self._netloc, timeout=120)
                self._connection.request(
                    method, f"/api/v1/{path}", None if body is None else json.dumps(body), sent
                )
                response = self._connection.getresponse()
                raw = response.read()
                break
            except (http.client.HTTPException, OSError):
                # gunicorn closes idle connections; each write here is safe to repeat.
                self._connection = None
                if attempt == 4:
                    raise
        self.seconds.append(time.perf_counter() - started)
        self.answers[response.status] += 1
        found = {name.lower(): value for name, value in response.getheaders()}
        if response.will_close:
            self._connection = None
        return response.status, found, json.loads(raw) if raw else None


def together(server: Server, count: int, work: Callable[[Client, int], None]) -> list[Client]:
    clients = [Client(server) for _ in range(count)]
    gate = threading.Barrier(count + 1)
    errors: list[str] = []

    def run(client: Client, number: int) -> None:
        gate.wait()
        try:
            work(client, number)
        except Exception as error:
            errors.append(f"{type(error).__name__}: {error}")

    threads = [threading.Thread(target=run, args=pair) for pair in zip(clients, range(count), strict=True)]
    for thread in threads:
        thread.start()
    gate.wait()
    for thread in threads:
        thread.join()
    assert not errors, errors[:5]
    return clients


def tell(what: str, clients: list[Client], seconds: float) -> None:
    times = sorted(second for client in clients for second in client.seconds)
    answers: Counter[int] = sum((client.answers for client in clients), Counter())
    p50, p95 = statistics.median(times), times[int(len(times) * 0.95)]
    shown = ", ".join(f"{status}: {count}" for status, count in sorted(answers.items()))
    print(
        f"{what:<8} {len(clients)} clients, {len(times)} calls in {seconds:.1f} s ({len(times) / seconds:.0f}/s)   "
        f"p50 {p50 * 1000:.0f} ms   p95 {p95 * 1000:.0f} ms   slowest {times[-1]:.2f} s   {shown}",
        flush=True,
    )


def upsert(server: Server, clients: int, calls: int) -> None:
    def work(client: Client, number: int) -> None:
        for turn in range(calls):
            key = str(uuid.uuid4())
            path, body = f"profiles/shared-{turn % PEOPLE}", {"attributes": {f"field_{number}": str(turn)}}
            first, _, _ = client.call("PUT", path, body, Idempotency_Key=key)
            assert first in (200, 201), first
            if turn % 5 == 0:
                again, headers, _ = client.call("PUT", path, body, Idempotency_Key=key)
                assert again == first and headers["idempotent-replayed"] == "true", again

    started = time.monotonic()
    done = together(server, clients, work)
    tell("upsert", done, time.monotonic() - started)
    reader = Client(server)
    lost = 0
    for shared in range(min(calls, PEOPLE)):
        attributes = reader.call("GET", f"profiles/shared-{shared}")[2]["attributes"]
        last = max(turn for turn in range(calls) if turn % PEOPLE == shared)
        lost += sum(attributes.get(f"field_{number}") != str(last) for number in range(clients))
    print(f"         lost updates: {lost} of {clients * min(calls, PEOPLE)}")
    assert lost == 0


def counter(server: Server, clients: int) -> None:
    Client(server).call("PUT", "profiles/counted", {"attributes": {"field_0": "0"}})

    def work(client: Client, number: int) -> None:
        while True:
            _, headers, found = client.call("GET", "profiles/counted")
            value = str(int(found["attributes"]["field_0"]) + 1)
            status, _, _ = client.call(
                "PUT", "profiles/counted", {"attributes": {"field_0": value}}, If_Match=headers["etag"]
            )
            if status != 412:
                assert status == 200, status
                return

    started = time.monotonic()
    done = together(server, clients, work)
    tell("counter", done, time.monotonic() - started)
    value = Client(server).call("GET", "profiles/counted")[2]["attributes"]["field_0"]
    print(f"         {clients} additions under If-Match, the counter stands at {value}")
    assert value == str(clients)


def compose(server: Server, clients: int) -> None:
    from generation.models import Piece

    before = Piece.objects.count()
    made: set[int] = set()

    def work(client: Client, number: int) -> None:
        key = str(uuid.uuid4())
        body = {"campaign": "spring", "profile": f"c-{number % 3}", "channel": "email"}
        status, headers, answer = client.call("POST", "compose", body, Idempotency_Key=key)
        assert status == 202 and headers["location"] == f"/api/v1/pieces/{answer['id']}", (status, answer)
        again, headers, repeated = client.call("POST", "compose", body, Idempotency_Key=key)
        assert (again, repeated["id"]) == (202, answer["id"]), (again, repeated)
        made.add(answer["id"])

    started = time.monotonic()
    done = together(server, clients, work)
    tell("compose", done, time.monotonic() - started)
    after = Piece.objects.count()
    print(f"         {clients} pieces asked for twice each: {after - before} made, {len(made)} different")
    assert after - before == len(made) == clients


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--calls", type=int, default=10, help="upserts of each client")
    parser.add_argument("--adders", type=int, default=40, help="clients that add to the counter")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, serving(Path(scratch)) as server:
        from tests.factories import AttributeDefinitionFactory

        for number in range(given.clients):
            AttributeDefinitionFactory(name=f"field_{number}", label=f"Field {number}")
        upsert(server, given.clients, given.calls)
        counter(server, given.adders)
        compose(server, given.clients)
        errors = [line for line in server.log.read_text().splitlines() if "api_failed" in line]
        print(f"server errors: {len(errors)}", *errors[:10], sep="\n")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
