"""The servers and the processes of Personalize as one thing: the environment they share, their start and their stop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from personalize.embedded.children import Child, Program, stop_all
from personalize.embedded.console import Stages
from personalize.embedded.errors import StackError
from personalize.embedded.machine import last_lines
from personalize.embedded.places import StateFolder
from personalize.embedded.postgres import Postgres
from personalize.embedded.valkey import Valkey

DOUBLE_SIGNAL_SECONDS = 1.5
CHECKOUT = Path(__file__).resolve().parents[2]


class Interrupted(BaseException):
    """Ctrl-C or a signal to stop. Not an Exception: no handler on the way may swallow it."""


@dataclass
class Stack:
    folder: StateFolder
    stages: Stages
    durable: bool = True
    children: list[Child] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    errands: list[subprocess.Popen[str]] = field(default_factory=list)
    """Processes that end by themselves; stopped with the rest if they have not."""
    stopping: bool = False
    hurry: bool = False
    """A second Ctrl-C: no more waiting."""

    # -- start -----------------------------------------------------------------------------------
    def start_servers(self, given: Mapping[str, str]) -> None:
        """PostgreSQL and Valkey, each only if its address is not given. Fills `environment` for every process."""
        environment = {name: value for name, value in given.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment["STATE_DIR"] = str(self.folder.root)
        (self.folder.root / "static").mkdir(exist_ok=True)  # WhiteNoise warns about a root that is not there
        environment["DJANGO_SETTINGS_MODULE"] = "personalize.settings"
        environment["PYTHONUNBUFFERED"] = "1"
        # Here a writer is stopped by Ctrl-C in the middle of a batch: the next start shall not wait 15 minutes for it.
        # A writer at work extends its lease.
        environment.setdefault("WRITER_LEASE_SECONDS", "120")
        if not given.get("DATABASE_URL"):
            with self.stages.stage("PostgreSQL 18 with pgvector") as detail:
                postgres = Postgres(self.folder, durable=self.durable)
                self.children.append(postgres.start())
                environment["DATABASE_URL"] = postgres.url
                detail.text = f"port {postgres.port}"
        if not given.get("BROKER_URL"):
            with self.stages.stage("Valkey") as detail:
                valkey = Valkey(self.folder, durable=self.durable)
                self.children.append(valkey.start())
                environment["BROKER_URL"] = valkey.url
                detail.text = f"port {valkey.port}"
        for key in ("SECRET_KEY", "HASH_KEY"):
            if not given.get(key) and not given.get(f"{key}_FILE"):
                environment[key] = self.folder.secret(key)
        self.environment = environment

    def start(self, program: Program) -> Child:
        child = Child(program)
        self.children.append(child)
        child.start()
        return child

    def manage(self, *arguments: str, talks: bool = False) -> None:
        """Run one management command to its end; its output is shown if it fails, or if it talks."""
        self.run([sys.executable, "manage.py", *arguments], talks=talks)

    def run(self, argv: list[str], *, talks: bool = False) -> None:
        done = subprocess.run(
            argv,
            env={**self.environment, "LOG_LEVEL": self.environment.get("LOG_LEVEL", "WARNING")},
            cwd=CHECKOUT,
            stdin=subprocess.DEVNULL,
            stdout=None if talks else subprocess.PIPE,
            stderr=None if talks else subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            what = " ".join(Path(word).name for word in argv[:4])
            said = "" if talks else ":\n" + "\n".join(done.stdout.splitlines()[-25:])
            raise StackError(f"`{what}` ended with exit code {done.returncode}{said}")

    # -- the application's processes -------------------------------------------------------------
    def app_program(
        self, name: str, *argv: str, grace_seconds: float = 8.0, orphan: signal.Signals = signal.SIGTERM
    ) -> Program:
        return Program(
            name=name,
            argv=[sys.executable, "-m", *argv],
            environment=self.environment,
            folder=CHECKOUT,
            log=self.folder.logs / f"{name}.log",
            stop_signals=((signal.SIGTERM, grace_seconds),),
            orphan_signal=orphan,
        )

    def web(self, host: str, port: int) -> Program:
        return self.app_program(
            *("web", "gunicorn", "personalize.wsgi:application", "--bind", f"{host}:{port}"),
            *("--workers", self.environment.get("WEB_WORKERS", "2"), "--threads", "4", "--timeout", "60"),
            *("--graceful-timeout", "5", "--no-control-socket"),
        )

    def worker(
        self, name: str, *arguments: str, grace_seconds: float = 6.0, orphan: signal.Signals = signal.SIGTERM
    ) -> Program:
        return self.app_program(
            *(name, "celery", "-A", "personalize", "worker", "-n", f"{name}@{self.folder.tag}"),
            *("--loglevel", "INFO", "--without-gossip", "--without-mingle", *arguments),
            grace_seconds=grace_seconds,
            orphan=orphan,
        )

    def writer(self) -> Program:
        # Solo: one process, one model. It cannot leave a batch half-way, so it is killed after a moment:
        # what it had claimed goes back to the queue.
        return self.worker(
            "writer", "-Q", "writer", "--pool", "solo", grace_seconds=4.0, orphan=signal.SIGKILL
        )

    def default_worker(self) -> Program:
        return self.worker(
            "default", "-Q", "default,delivery", "-c", self.environment.get("DEFAULT_CONCURRENCY", "2")
        )

    def beat(self) -> Program:
        schedule = self.folder.root / "beat-schedule"
        return self.app_program(
            *("beat", "celery", "-A", "personalize", "beat", "--schedule", str(schedule), "--pidfile="),
            *("--loglevel", "INFO"),
        )

    def wait_for_web(self, web: Child, address: str, seconds: float = 60.0) -> None:
        """Until it answers anything but a server error. A process that dies meanwhile is reported with its log."""
        deadline = time.monotonic() + seconds
        answer = "nothing"
        while time.monotonic() < deadline:
            if not web.is_running():
                raise StackError(f"The web process {web.how_it_ended()}:\n{last_lines(web.program.log, 15)}")
            try:
                with urllib.request.urlopen(f"{address}/health", timeout=5):
                    return
            except urllib.error.HTTPError as error:
                if error.code < 500:
                    return
                answer = f"HTTP {error.code}"
            except OSError:
                pass
            time.sleep(0.1)
        raise StackError(
            f"{address}/health answered {answer} for {seconds:g} s:\n{last_lines(web.program.log, 15)}"
        )

    # -- watch and stop --------------------------------------------------------------------------
    def watch(self, until: Callable[[], bool] = lambda: False) -> None:
        """Keep every process running until interrupted, or until the condition holds."""
        while not until():
            for child in self.children:
                child.tend(self.stages.warn)
            time.sleep(0.25)

    def stop(self) -> None:
        """Applications first, side by side; then the servers they talk to."""
        self.stopping = True
        for errand in self.errands:
            if errand.poll() is None:
                errand.kill()
            errand.wait()
        servers = [child for child in self.children if child.name in ("postgres", "valkey")]
        others = [child for child in self.children if child not in servers]
        # Even in a hurry the servers are stopped in order: that takes a moment and spares the next start a recovery.
        for group, hurry in ((others, lambda: self.hurry), (servers, lambda: False)):
            for name in stop_all(group, hurry=hurry):
                self.stages.warn(f"{name} did not stop in time and was killed; nothing is lost by that.")
        self.children.clear()


def interrupt_on_signals(stack: Stack) -> None:
    """The first signal raises Interrupted in the main thread, a second one ends the waiting."""
    first_at = 0.0

    def on_signal(number: int, frame: FrameType | None) -> None:
        nonlocal first_at
        if stack.stopping:
            # make and the terminal both pass on one Ctrl-C: that is no second one.
            stack.hurry = stack.hurry or time.monotonic() - first_at > DOUBLE_SIGNAL_SECONDS
            return
        stack.stopping = True
        first_at = time.monotonic()
        raise Interrupted

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, on_signal)


def base_environment() -> dict[str, str]:
    return dict(os.environ)
