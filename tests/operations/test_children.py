"""Child processes: started again with pauses, stopped in time, never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from personalize.embedded import children
from personalize.embedded.children import LAUNCHER, Child, Program, keep_log_small, stop_all
from tests.operations.conftest import processes_naming, wait_until


def shell(tmp_path: Path, script: str, **changes: object) -> Child:
    program = Program(
        name="shell",
        argv=["/bin/sh", "-c", script],
        environment={"PATH": "/usr/bin:/bin"},
        log=tmp_path / "shell.log",
        **changes,  # type: ignore[arg-type]
    )
    return Child(program)


def test_a_child_that_dies_is_started_again_after_growing_pauses(
    tmp_path: Path, stopping: list[Child], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children, "BACKOFF_SECONDS", (0.1, 0.4))
    child = shell(tmp_path, "echo out of luck; exit 3")
    stopping.append(child)
    child.start()
    said: list[str] = []

    assert wait_until(lambda: child.tend(said.append) is None and child.deaths == 3)

    assert "shell ended with exit code 3; starting it again in 0.1 s" in said[0]
    assert "starting it again in 0.4 s" in said[1]
    assert "out of luck" in said[2], "from the second death on, the end of the log is shown"


def test_a_child_that_lived_long_is_started_again_soon(
    tmp_path: Path, stopping: list[Child], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children, "HEALTHY_SECONDS", 0.0)
    child = shell(tmp_path, "sleep 60")
    child.deaths = 5
    stopping.append(child)
    child.start()
    time.sleep(0.01)

    child.tend(lambda _: None)

    assert child.deaths == 0


def test_a_start_that_fails_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "BACKOFF_SECONDS", (0.0,))
    child = shell(tmp_path, "exit 1")

    def refuse() -> None:
        raise OSError("no room")

    child.before_start = refuse
    said: list[str] = []
    for _ in range(4):
        child.tend(said.append)

    assert said.count("shell could not be started: no room") == 2


def test_one_that_ignores_the_signal_is_killed_with_its_whole_group(
    tmp_path: Path, stopping: list[Child]
) -> None:
    stubborn = shell(
        tmp_path,
        "trap '' TERM; sleep 61 & sleep 62 & echo up; while :; do sleep 1; done",
        stop_signals=((signal.SIGTERM, 0.3),),
    )
    stopping.append(stubborn)
    stubborn.start()
    assert wait_until(lambda: "up" in (tmp_path / "shell.log").read_text())
    assert stubborn.process is not None
    group = stubborn.process.pid
    assert len(members(group)) >= 3

    assert stop_all([stubborn]) == ["shell"]
    assert wait_until(lambda: members(group) == [], 5)


def members(group: int) -> list[str]:
    """Living processes of a process group."""
    found = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, its_group = file.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(its_group) == group and state not in "ZX":
            found.append(file.parent.name)
    return found


def test_signals_are_given_one_after_another(tmp_path: Path) -> None:
    polite = shell(
        tmp_path,
        "trap 'echo told; exit 0' INT; trap '' TERM; echo up; while :; do sleep 0.05; done",
        stop_signals=((signal.SIGTERM, 0.2), (signal.SIGINT, 5.0)),
    )
    polite.start()
    assert wait_until(lambda: "up" in (tmp_path / "shell.log").read_text())

    assert stop_all([polite]) == []
    assert (tmp_path / "shell.log").read_text().splitlines()[-1] == "told"


def test_hurry_ends_the_waiting(tmp_path: Path) -> None:
    slow = shell(tmp_path, "trap '' TERM; echo up; sleep 60", stop_signals=((signal.SIGTERM, 60.0),))
    slow.start()
    assert wait_until(lambda: "up" in (tmp_path / "shell.log").read_text())
    began = time.monotonic()

    assert stop_all([slow], hurry=lambda: True) == ["shell"]
    assert time.monotonic() - began < 10


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal is Linux's")
def test_a_child_does_not_outlive_a_supervisor_that_was_killed(tmp_path: Path) -> None:
    mark = f"{tmp_path}/mark"
    script = (
        "import os, subprocess, sys, time;"
        f"subprocess.Popen([sys.executable, '-IS', {str(LAUNCHER)!r}, '15', str(os.getpid()), '-1', '-1',"
        f" '/bin/sh', '-c', 'sleep 62; : {mark}']); time.sleep(60)"
    )
    supervisor = subprocess.Popen([sys.executable, "-c", script])
    assert wait_until(lambda: any(line.startswith("/bin/sh") for line in processes_naming(mark)))

    supervisor.kill()
    supervisor.wait()

    assert wait_until(lambda: not any(line.startswith("/bin/sh") for line in processes_naming(mark)), 5)


def test_the_launcher_names_a_program_that_is_missing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-IS", str(LAUNCHER), "15", str(os.getpid()), "-1", "-1", str(tmp_path / "gone")],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert "gone: No such file or directory" in done.stderr


def test_a_log_past_the_limit_is_turned_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "LOG_LIMIT_BYTES", 10)
    log = tmp_path / "web.log"
    log.write_text("more than ten bytes")

    keep_log_small(log)

    assert not log.exists()
    assert (tmp_path / "web.log.1").read_text() == "more than ten bytes"
