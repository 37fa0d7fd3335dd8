"""Child processes: each in its own process group, with its own log, started again when it dies, gone when we are."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from personalize.embedded.machine import Account, last_lines

LAUNCHER = Path(__file__).with_name("launch.py")
LOG_LIMIT_BYTES = 20 * 1024 * 1024
HEALTHY_SECONDS = 60.0  # alive this long: an earlier death is forgotten
BACKOFF_SECONDS = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


@dataclass(frozen=True)
class Program:
    name: str
    argv: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    folder: Path = Path("/")
    account: Account | None = None
    stop_signals: Sequence[tuple[signal.Signals, float]] = ((signal.SIGTERM, 8.0),)
    """Each signal with the seconds it is given before the next; the last step is always SIGKILL to the group."""
    orphan_signal: signal.Signals = signal.SIGTERM
    """What the kernel sends if the supervisor itself is killed."""


@dataclass
class Child:
    program: Program
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    deaths: int = 0
    retry_at: float | None = None
    before_start: Callable[[], None] | None = field(default=None, repr=False)
    """Called before every start, also after a death; may raise."""

    @property
    def name(self) -> str:
        return self.program.name

    def start(self) -> None:
        if self.before_start is not None:
            self.before_start()
        program = self.program
        account = program.account or Account(-1, -1)
        command = [
            *(sys.executable, "-I", "-S", str(LAUNCHER), str(int(program.orphan_signal)), str(os.getpid())),
            *(str(account.uid), str(account.gid), *program.argv),
        ]
        keep_log_small(program.log)
        with program.log.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                env=dict(program.environment),
                cwd=program.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a terminal's Ctrl-C reaches the supervisor alone, which stops in order
            )
        self.started_at = time.monotonic()
        self.retry_at = None

    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def tend(self, say: Callable[[str], None]) -> None:
        """Start the process again if it died: soon at first, later with growing pauses."""
        if self.is_running():
            if self.deaths and time.monotonic() - self.started_at > HEALTHY_SECONDS:
                self.deaths = 0
            return
        now = time.monotonic()
        if self.retry_at is None:
            pause = BACKOFF_SECONDS[min(self.deaths, len(BACKOFF_SECONDS) - 1)]
            self.deaths += 1
            self.retry_at = now + pause
            self._end_group()
            say(
                f"{self.name} {self.how_it_ended()}; starting it again in {pause:g} s. Its log: {self.program.log}"
            )
            if self.deaths > 1 and (end := last_lines(self.program.log, 5)):
                say(end)
        elif now >= self.retry_at:
            try:
                self.start()
            except Exception as error:  # the next round tries again: a supervisor does not give up
                self.retry_at = None
                say(f"{self.name} could not be started: {error}")

    def how_it_ended(self) -> str:
        code = self.process.returncode if self.process else None
        if code is not None and code < 0:
            return f"was killed by {signal.Signals(-code).name}"
        return f"ended with exit code {code}"

    def ask_to_stop(self, number: signal.Signals) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)

    def _end_group(self) -> None:
        """Kill what the process left behind in its group, such as pool workers of a killed worker."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)

    def kill(self) -> None:
        self._end_group()
        if self.process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(5)


def stop_all(children: Sequence[Child], *, hurry: Callable[[], bool] = lambda: False) -> list[str]:
    """Stop them side by side, each by its own signals. Returns the names of those that had to be killed."""
    plans = {child.name: list(child.program.stop_signals) for child in children}
    deadlines = dict.fromkeys(plans, 0.0)
    waiting = [child for child in children if child.is_running()]
    killed: list[str] = []
    while waiting:
        for child in waiting:
            if time.monotonic() < deadlines[child.name] and not hurry():
                continue
            if plans[child.name]:
                number, seconds = plans[child.name].pop(0)
                child.ask_to_stop(number)
                deadlines[child.name] = time.monotonic() + seconds
            else:
                child.kill()
                killed.append(child.name)
        time.sleep(0.05)
        waiting = [child for child in waiting if child.is_running()]
    for child in children:
        child.kill()  # whatever is left of the group
    return killed


def keep_log_small(log: Path) -> None:
    """Past the limit the log becomes `.1`, the one before is dropped."""
    with contextlib.suppress(OSError):
        if log.stat().st_size > LOG_LIMIT_BYTES:
            log.replace(log.with_name(log.name + ".1"))
