"""Health checks of the containers: `probe.py web | worker | beat FILE`. Exit code 0 is healthy, 1 says why not.

A worker is not asked over the broker: the writer answers nothing while it writes a batch, and is well.
"""

from __future__ import annotations

import http.client
import os
import socket
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

STALE_BEAT_SECONDS = 600  # beat writes its file every three minutes


def web() -> str | None:
    """None if /health answers without an error. The header keeps a site that redirects to https from redirecting us."""
    connection = http.client.HTTPConnection("localhost", int(os.environ.get("PORT") or "8000"), timeout=4)
    try:
        connection.request("GET", "/health", headers={"X-Forwarded-Proto": "https"})
        status = connection.getresponse().status
    except OSError as error:
        return f"web does not answer: {error}"
    finally:
        connection.close()
    return None if status < 400 else f"/health answered {status}"


def worker() -> str | None:
    """None if a Celery process lives here and both servers accept connections from here."""
    if not any("celery" in command and "worker" in command for command in commands()):
        return "no Celery worker runs here"
    for name, default_port in (("DATABASE_URL", 5432), ("BROKER_URL", 6379)):
        url = urlsplit(os.environ.get(name, ""))
        if not url.hostname or url.scheme.startswith("sentinel"):
            continue
        try:
            socket.create_connection((url.hostname, url.port or default_port), 4).close()
        except OSError as error:
            return f"the server of {name} cannot be reached: {error.strerror or type(error).__name__}"
    return None


def beat(schedule: str) -> str | None:
    """None if beat wrote its timetable lately. The name of the file may carry a suffix of the dbm in use."""
    path = Path(schedule)
    written = [file.stat().st_mtime for file in path.parent.glob(path.name + "*")]
    if not written:
        return f"beat has not written {schedule}"
    age = time.time() - max(written)
    return None if age < STALE_BEAT_SECONDS else f"beat last wrote {schedule} {age:.0f} s ago"


def commands() -> list[str]:
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(file.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace"))
        except OSError:
            continue
    return found


def main(arguments: list[str]) -> int:
    match arguments:
        case ["web"]:
            trouble = web()
        case ["worker"]:
            trouble = worker()
        case ["beat", schedule]:
            trouble = beat(schedule)
        case _:
            trouble = "usage: probe.py web | worker | beat FILE"
    if trouble:
        print(trouble)
    return 1 if trouble else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
