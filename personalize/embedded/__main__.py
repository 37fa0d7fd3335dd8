"""Command line of the embedded stack; `make help` lists the targets that call it."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from personalize.embedded.console import Stages
from personalize.embedded.errors import StackError
from personalize.embedded.machine import require_disk
from personalize.embedded.places import StateFolder
from personalize.embedded.postgres import programs
from personalize.embedded.stack import CHECKOUT, Interrupted, Stack, base_environment, interrupt_on_signals
from personalize.embedded.up import Options, bring_up, check_first

STOP_SECONDS = 40.0
INTERRUPTED = 130
CONNECTION = (
    *("DATABASE_URL", "BROKER_URL", "SECRET_KEY", "HASH_KEY"),
    *("PUBLIC_URL", "STATE_DIR", "DJANGO_SETTINGS_MODULE"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    stages = Stages()
    try:
        return int(options.action(options, stages))
    except StackError as error:
        stages.fail(str(error))
        return 1
    except (Interrupted, KeyboardInterrupt):
        return INTERRUPTED


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m personalize.embedded", description=__doc__)
    top.add_argument(
        "--state",
        type=Path,
        default=Path(os.environ.get("STATE_DIR") or CHECKOUT / ".run"),
        help="state folder",
    )
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    up = commands.add_parser("up", help="start everything and keep it running until Ctrl-C")
    up.add_argument(
        "--host", default=os.environ.get("HOST") or "127.0.0.1", help="address the web process listens on"
    )
    up.add_argument("--port", type=port_number, default=os.environ.get("PORT") or "8000", help="its port")
    up.add_argument("--no-demo", dest="demo", action="store_false", help="load no demo data")
    up.set_defaults(action=run_up)

    execute = commands.add_parser("exec", help="run a command beside a running stack, or with one of its own")
    execute.add_argument(
        "--fresh", action="store_true", help="new servers in a temporary folder, removed afterwards"
    )
    execute.add_argument(
        "--fast", action="store_true", help="servers that need not survive a crash, for tests"
    )
    execute.add_argument("--migrate", action="store_true", help="bring the schema up to date first")
    execute.add_argument("program", nargs=argparse.REMAINDER, metavar="PROGRAM …")
    execute.set_defaults(action=run_exec)

    for name, action, text in (
        ("stop", run_stop, "stop what runs from this state folder"),
        ("status", run_status, "say what runs from this state folder"),
        ("env", run_env, "print the environment of the running stack as shell exports (holds secrets)"),
        ("psql", run_psql, "open psql on the database"),
        ("programs", run_programs, "print the folder with pg_dump, pg_restore and the other programs"),
    ):
        command = commands.add_parser(name, help=text)
        command.set_defaults(action=action)
    return top


def port_number(text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"PORT={text} is not a number") from error


# -- up --------------------------------------------------------------------------------------------
def run_up(options: argparse.Namespace, stages: Stages) -> int:
    folder = StateFolder.at(options.state)
    stack = Stack(folder, stages)
    wanted = Options(host=options.host, port=options.port, demo=options.demo)
    lock = folder.lock("make run")
    if lock is None:
        raise StackError(in_use(folder))
    interrupt_on_signals(stack)
    try:
        check_first(stack, wanted)
        folder.announce({}, pid=os.getpid(), phase="starting")
        bring_up(stack, wanted)
        stack.watch()
    except Interrupted:
        stages.say("\nStopping …")
    finally:
        stack.stop()
        folder.announce({}, phase="stopped")
        lock.release()
    stages.say("Stopped. Nothing is left running.")
    return 0


def in_use(folder: StateFolder) -> str:
    pid, purpose = folder.holder() or (0, "")
    where = folder.announced().get("address")
    at = f" at {where}" if where else ""
    return f"Personalize already runs from {folder.root}{at} ({purpose}, process {pid}). Stop it with `make stop`."


# -- exec ------------------------------------------------------------------------------------------
def run_exec(options: argparse.Namespace, stages: Stages) -> int:
    program = [word for index, word in enumerate(options.program) if not (index == 0 and word == "--")]
    if not program:
        raise StackError(
            "exec needs a program: python -m personalize.embedded exec -- python manage.py check"
        )
    if options.fresh:
        with temporary_state() as folder:
            given = {"MODEL_CACHE": str(options.state.absolute() / "models"), **base_environment()}
            return exec_beside(Stack(folder, stages, durable=not options.fast), given, options, program)
    folder = StateFolder.at(options.state)
    if running := environment_of_running(folder):
        return subprocess.run(program, env=running, cwd=CHECKOUT, check=False).returncode
    return exec_beside(Stack(folder, stages, durable=not options.fast), base_environment(), options, program)


def exec_beside(stack: Stack, given: dict[str, str], options: argparse.Namespace, program: list[str]) -> int:
    """Servers up, command, servers down. The exit code is the command's."""
    require_disk(stack.folder.root, 0.5)
    lock = stack.folder.lock(" ".join(Path(word).name for word in program[:4])[:80])
    if lock is None:
        raise StackError(in_use(stack.folder))
    interrupt_on_signals(stack)
    running: subprocess.Popen[bytes] | None = None
    try:
        stack.start_servers(given)
        if options.migrate:
            with stack.stages.stage("Database schema"):
                stack.manage("prepare_database", "--verbosity", "0")
        running = subprocess.Popen(program, env=stack.environment, cwd=CHECKOUT)
        stack.watch(until=lambda: running is not None and running.poll() is not None)
        return running.returncode
    except FileNotFoundError as error:
        raise StackError(f"{program[0]}: no such program") from error
    except Interrupted:
        if running is not None:
            end(running)
        return INTERRUPTED
    finally:
        stack.stop()
        lock.release()


def end(process: subprocess.Popen[bytes]) -> None:
    """On Ctrl-C the terminal has told it already; a signal to us alone is passed on."""
    for number, seconds in ((signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0)):
        try:
            process.wait(0.5)
        except subprocess.TimeoutExpired:
            process.send_signal(number)
        else:
            return
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            continue
        return


@contextmanager
def temporary_state() -> Iterator[StateFolder]:
    root = Path(tempfile.mkdtemp(prefix="personalize-"))
    try:
        yield StateFolder.at(root)
    finally:
        servers = (root / "servers").resolve()
        shutil.rmtree(servers, ignore_errors=True)
        shutil.rmtree(root, ignore_errors=True)


def environment_of_running(folder: StateFolder) -> dict[str, str] | None:
    """Our environment with the addresses and keys of the stack that runs from this folder, once it is ready."""
    if folder.holder() is None:
        return None
    deadline = time.monotonic() + 120
    while (known := folder.announced()).get("phase") == "starting" and time.monotonic() < deadline:
        time.sleep(0.2)
    if known.get("phase") != "ready" or folder.holder() is None:
        raise StackError(in_use(folder))
    return {**known["environment"], **os.environ, **connection_variables(known["environment"])}


def connection_variables(environment: dict[str, str]) -> dict[str, str]:
    return {name: environment[name] for name in CONNECTION if name in environment}


# -- the small ones --------------------------------------------------------------------------------
def run_stop(options: argparse.Namespace, stages: Stages) -> int:
    folder = StateFolder.at(options.state)
    holder = folder.holder()
    if holder is None:
        stages.say(f"Nothing runs from {folder.root}.")
        return 0
    pid, purpose = holder
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        pass
    except PermissionError as error:
        raise StackError(f"Process {pid} ({purpose}) belongs to another user.") from error
    deadline = time.monotonic() + STOP_SECONDS
    while folder.holder() is not None:
        if time.monotonic() > deadline:
            raise StackError(f"Process {pid} ({purpose}) has not stopped after {STOP_SECONDS:g} s.")
        time.sleep(0.1)
    stages.say(f"Stopped ({purpose}, process {pid}).")
    return 0


def run_status(options: argparse.Namespace, stages: Stages) -> int:
    folder = StateFolder.at(options.state)
    holder = folder.holder()
    if holder is None:
        stages.say(f"Nothing runs from {folder.root}.")
        return 3
    known = folder.announced()
    stages.say(
        f"Runs from {folder.root}: {holder[1]}, process {holder[0]}, {known.get('phase', 'starting')}."
    )
    if known.get("address"):
        stages.say(f"Admin: {known['address']}/admin/")
    return 0


def run_env(options: argparse.Namespace, stages: Stages) -> int:
    environment = environment_of_running(StateFolder.at(options.state))
    if environment is None:
        raise StackError("Nothing runs from this folder: start it with `make run`.")
    for name, value in sorted(connection_variables(environment).items()):
        sys.stdout.write(f"export {name}={shlex.quote(value)}\n")
    return 0


def run_psql(options: argparse.Namespace, stages: Stages) -> int:
    """psql of the wheel; the password travels in the environment, not on the command line."""
    folder = StateFolder.at(options.state)
    running = environment_of_running(folder)
    if running is None:
        raise StackError("Nothing runs from this folder: start it with `make run`.")
    servers, _ = folder.servers()
    psql = programs(servers, None) / "psql"
    url = urlsplit(running["DATABASE_URL"])
    connection = {
        "PGHOST": url.hostname or "127.0.0.1",
        "PGPORT": str(url.port or 5432),
        "PGUSER": unquote(url.username or ""),
        "PGPASSWORD": unquote(url.password or ""),
        "PGDATABASE": url.path.lstrip("/"),
    }
    return subprocess.run([str(psql)], env={**os.environ, **connection}, check=False).returncode


def run_programs(options: argparse.Namespace, stages: Stages) -> int:
    servers, _ = StateFolder.at(options.state).servers()
    sys.stdout.write(f"{programs(servers, None)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
