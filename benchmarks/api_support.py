"""What the benchmarks of the API share: a real server of several processes over a database of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from run_support import scratch_database

CHECKOUT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Server:
    """`key` may do everything, without a limit of its own."""

    url: str
    key: str
    log: Path
    process: subprocess.Popen[bytes]


@contextmanager
def serving(folder: Path, *, workers: int = 2, threads: int = 4, **environment: str) -> Iterator[Server]:
    """gunicorn as `make run` starts it, over a small world in a scratch database that is dropped afterwards."""
    with scratch_database():
        from django.conf import settings
        from django.db import connection

        from personalize.core import api_keys
        from personalize.core.models import Scope
        from tests.api.world import make_world
        from tests.factories import BrandFactory, SuperuserFactory

        make_world()
        BrandFactory(slug="lumen")
        _, key = api_keys.create(
            name="benchmark", scopes=Scope.values, acts_as=SuperuserFactory(), requests_per_minute=0
        )
        name = connection.settings_dict["NAME"]
        parts = urlsplit(os.environ["DATABASE_URL"])
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        log = folder / "server.log"
        surroundings = {
            **os.environ,
            "DATABASE_URL": urlunsplit(parts._replace(path=f"/{name}")),
            "HASH_KEY": settings.HASH_KEY,
            "SECRET_KEY": settings.SECRET_KEY,
            "DEBUG": "False",
            "LOG_LEVEL": "WARNING",
            "API_COMPOSES_PER_MINUTE": "0",
            "STATE_DIR": str(folder / "state"),
            **environment,
        }
        command = [
            *(
                sys.executable,
                "-m",
                "gunicorn",
                "personalize.wsgi:application",
                "--bind",
                f"127.0.0.1:{port}",
            ),
            *("--workers", str(workers), "--threads", str(threads), "--timeout", "60", "--backlog", "2048"),
            "--no-control-socket",
        ]
        (folder / "state" / "static").mkdir(parents=True, exist_ok=True)
        with log.open("wb") as out:
            process = subprocess.Popen(command, cwd=CHECKOUT, env=surroundings, stdout=out, stderr=out)
        try:
            server = Server(f"http://127.0.0.1:{port}", key, log, process)
            _wait_for(server)
            yield server
        finally:
            process.terminate()
            process.wait(timeout=30)


def _wait_for(server: Server) -> None:
    for _ in range(600):
        if server.process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{server.url}/health", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise SystemExit(f"The server did not start:\n{server.log.read_text()[-3000:]}")
