"""`make run` as a whole: real servers, web, workers and beat, from an empty folder."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from personalize.embedded.machine import free_port
from personalize.embedded.places import StateFolder
from tests.operations.conftest import processes_naming, wait_until

Start = Callable[..., "subprocess.Popen[str]"]
# No weights are unpacked for a model that is not the builtin one, and a worker loads none before it writes.
ANOTHER_MODEL = {"WRITER_MODEL": "owner/model"}


def read_until_ready(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if "Stop with Ctrl-C" in line:
            return said
    pytest.fail(f"it ended with {process.wait()}:\n{said}")


def answer(port: int, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    except OSError:
        return 0, ""
    finally:
        connection.close()


def test_make_run_from_nothing_to_the_login_page_and_away_again(embedded: Start, state: Path) -> None:
    port = free_port()
    first = embedded("up", "--no-demo", PORT=str(port), **ANOTHER_MODEL)
    said = read_until_ready(first)

    # what it says
    (password,) = re.findall(r"user admin, password (\S+?)\)", said)
    assert f"http://127.0.0.1:{port}/admin/" in said
    assert [line[0] for line in said.splitlines()[:5]] == ["✓"] * 5

    # what answers
    assert answer(port, "/health")[0] == 200
    status, page = answer(port, "/health/ready")
    assert status == 200, page
    assert answer(port, "/admin/login/")[0] == 200
    logs = state / "logs"
    assert wait_until(lambda: "ready." in (logs / "writer.log").read_text(), 40)
    assert wait_until(lambda: "ready." in (logs / "default.log").read_text(), 40)
    assert wait_until(lambda: "beat: Starting" in (logs / "beat.log").read_text(), 40)

    # what is remembered is what `env` gives to a person's own commands
    exports = embedded("env").communicate(timeout=60)[0]
    (url,) = re.findall(r"export DATABASE_URL=(\S+)", exports)
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT username FROM auth_user").fetchall() == [("admin",)]

    # the password opens the door and stands in no file
    check = (
        "from django.contrib.auth import authenticate; import sys;"
        f"sys.exit(0 if authenticate(username='admin', password={password!r}) else 5)"
    )
    done = embedded("exec", "--", sys.executable, "manage.py", "shell", "-v", "0", "-c", check)
    assert done.wait(60) == 0, done.stdout.read() if done.stdout else ""
    files = [path for path in state.rglob("*") if path.is_file()]
    assert not any(password.encode() in path.read_bytes() for path in files if "servers" not in path.parts)

    # a web process that is killed comes back
    pids = [int(p.name) for p in Path("/proc").glob("[0-9]*") if names(p, f"127.0.0.1:{port}")]
    assert pids
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: answer(port, "/health")[0] == 0, 5)
    assert wait_until(lambda: answer(port, "/health")[0] == 200, 30)

    # gone within seconds, without a trace
    began = time.monotonic()
    first.send_signal(signal.SIGINT)
    rest, _ = first.communicate(timeout=40)
    assert first.returncode == 0
    assert "web was killed by SIGKILL; starting it again" in rest
    assert rest.splitlines()[-1] == "Stopped. Nothing is left running."
    assert time.monotonic() - began < 20
    assert processes_naming(str(state)) == []
    assert processes_naming(f"127.0.0.1:{port}") == []

    # a second start keeps the account and says so
    second = embedded("up", "--no-demo", PORT=str(port), **ANOTHER_MODEL)
    again = read_until_ready(second)
    assert "user admin; forgot the password? make password" in again
    assert embedded("stop").wait(40) == 0
    assert second.wait(5) == 0
    assert StateFolder.at(state).holder() is None


def names(process: Path, text: str) -> bool:
    try:
        return text in (process / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    except OSError:
        return False


def test_a_stage_that_fails_stops_what_was_started(embedded: Start, state: Path) -> None:
    process = embedded("up", "--no-demo", PORT=str(free_port()), DATABASE_POOL_SIZE="many", **ANOTHER_MODEL)

    said, _ = process.communicate(timeout=60)

    assert process.returncode == 1
    assert "DATABASE_POOL_SIZE is 'many': write a whole number" in said
    assert processes_naming(str(state)) == []
