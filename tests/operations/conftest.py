"""State folders for real servers, and what is left of them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from personalize.embedded.children import Child, stop_all
from personalize.embedded.places import StateFolder

CHECKOUT = Path(__file__).resolve().parents[2]
OWN = ("DATABASE_URL", "BROKER_URL", "SECRET_KEY", "HASH_KEY", "STATE_DIR", "PORT", "HOST", "MODEL_CACHE")


@pytest.fixture
def state() -> Iterator[Path]:
    """A folder that the service user may enter; pytest's own are closed to it."""
    root = Path(tempfile.mkdtemp(prefix="pz-ops-"))
    root.chmod(0o711)
    yield root
    shutil.rmtree((root / "servers").resolve(), ignore_errors=True)
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def folder(state: Path) -> StateFolder:
    return StateFolder.at(state)


@pytest.fixture
def stopping() -> Iterator[list[Child]]:
    """Children put in here are stopped at the end, whatever the test did."""
    children: list[Child] = []
    yield children
    stop_all(children)


@pytest.fixture
def embedded(state: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start `python -m personalize.embedded --state STATE …` with none of this run's addresses and keys."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str, state: Path = state, **variables: str) -> subprocess.Popen[str]:
        environment = {name: value for name, value in os.environ.items() if name not in OWN}
        process = subprocess.Popen(
            [sys.executable, "-m", "personalize.embedded", "--state", str(state), *arguments],
            env={**environment, **variables},
            cwd=CHECKOUT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.terminate()
        process.wait(30)
        if process.stdout is not None:
            process.stdout.close()


def processes_naming(text: str) -> list[str]:
    """Command lines of living processes with this text in them."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = file.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        if text in command and file.parent.name != str(os.getpid()):
            found.append(command)
    return found


def wait_until(condition: Callable[[], bool], seconds: float = 15.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return condition()
