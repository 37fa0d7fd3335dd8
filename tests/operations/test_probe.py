"""The containers' health checks, against real processes."""

from __future__ import annotations

import http.server
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.operations.conftest import CHECKOUT


def probe(*arguments: str, **variables: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, str(CHECKOUT / "tools" / "probe.py"), *arguments],
        env={"PATH": os.environ["PATH"], **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout.strip()


@pytest.fixture
def site() -> Iterator[tuple[int, dict[str, int]]]:
    answer = {"status": 200}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(answer["status"] if self.path == "/health" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1], answer
    server.shutdown()
    server.server_close()
    thread.join()


def test_web_is_well_or_says_what_it_answered(site: tuple[int, dict[str, int]]) -> None:
    port, answer = site
    assert probe("web", PORT=str(port)) == (0, "")

    answer["status"] = 503
    assert probe("web", PORT=str(port)) == (1, "/health answered 503")


def test_web_that_is_not_there() -> None:
    code, said = probe("web", PORT="1")

    assert code == 1
    assert said.startswith("web does not answer")


def test_worker_needs_its_process_and_its_servers(site: tuple[int, dict[str, int]]) -> None:
    here = f"redis://:password@127.0.0.1:{site[0]}/0"
    with subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(30)", "celery", "worker"]
    ) as process:
        time.sleep(0.1)
        try:
            assert probe("worker", DATABASE_URL=here, BROKER_URL=here) == (0, "")
            code, said = probe("worker", DATABASE_URL=here, BROKER_URL="redis://:password@127.0.0.1:1/0")
            assert code == 1
            assert said == "the server of BROKER_URL cannot be reached: Connection refused"
        finally:
            process.kill()


def test_beat_writes_its_file(tmp_path: Path) -> None:
    schedule = tmp_path / "beat-schedule"
    assert probe("beat", str(schedule)) == (1, f"beat has not written {schedule}")

    schedule.with_suffix(".db").touch()
    assert probe("beat", str(schedule)) == (0, "")

    old = time.time() - 3600
    os.utime(schedule.with_suffix(".db"), (old, old))
    assert probe("beat", str(schedule))[1].endswith("3600 s ago")


def test_a_wrong_call_says_how() -> None:
    assert probe("cat") == (1, "usage: probe.py web | worker | beat FILE")
