"""What a person types: exit codes, sentences, and that nothing is left running."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import pytest

from personalize.embedded import machine
from personalize.embedded.errors import StackError
from personalize.embedded.machine import require_disk, require_free_port
from personalize.embedded.places import StateFolder
from tests.operations.conftest import CHECKOUT, processes_naming, wait_until

Start = Callable[..., "subprocess.Popen[str]"]


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    said, _ = process.communicate(timeout=60)
    return process.returncode, said


def test_exec_passes_on_exit_code_and_addresses_and_leaves_nothing(embedded: Start, state: Path) -> None:
    code, said = finish(
        embedded("exec", "--", "sh", "-c", 'echo "at ${DATABASE_URL%%:*} ${BROKER_URL%%:*}"; exit 7')
    )

    assert code == 7
    assert "at postgresql redis" in said
    assert processes_naming(str(state)) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_signal_to_the_supervisor_leaves_no_server_behind(
    embedded: Start, state: Path, number: signal.Signals
) -> None:
    process = embedded("exec", "--", "sh", "-c", "echo started; sleep 60")
    assert process.stdout is not None
    assert any("started" in line for line in process.stdout)

    process.send_signal(number)

    assert process.wait(20) == (130 if number == signal.SIGTERM else -signal.SIGKILL)
    # Only the servers: the command itself belongs to whoever killed its parent.
    assert wait_until(lambda: not any("postgres" in c or "valkey" in c for c in processes_naming(str(state))))


def test_given_addresses_start_no_server(embedded: Start, state: Path) -> None:
    code, said = finish(
        embedded(
            *("exec", "--", "sh", "-c", 'echo "$DATABASE_URL $BROKER_URL"'),
            DATABASE_URL="postgresql://elsewhere/x",
            BROKER_URL="redis://elsewhere/1",
        )
    )

    assert (code, said.splitlines()[-1]) == (0, "postgresql://elsewhere/x redis://elsewhere/1")
    assert not (state / "servers").exists()


def test_one_stack_at_a_time_per_folder_and_stop_ends_it(embedded: Start, state: Path) -> None:
    first = embedded("exec", "--", "sh", "-c", "echo started; sleep 60")
    assert first.stdout is not None
    assert any("started" in line for line in first.stdout)

    code, said = finish(embedded("up", "--no-demo"))
    assert code == 1
    assert f"already runs from {state}" in said
    assert f"process {first.pid}" in said
    assert "make stop" in said

    assert finish(embedded("stop"))[0] == 0
    assert first.wait(5) == 130
    assert finish(embedded("stop")) == (0, f"Nothing runs from {state}.\n")
    assert finish(embedded("status"))[0] == 3


def test_a_port_in_use_is_said_before_anything_is_started(embedded: Start, state: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, said = finish(embedded("up", PORT=str(port)))

    assert code == 1
    assert f"Port {port} is in use by" in said
    assert f"process {os.getpid()}. Choose another: PORT={port + 1}." in said
    assert not (state / "servers").exists()


@pytest.mark.parametrize(
    ("port", "sentence"),
    [("eighty", "PORT=eighty is not a number"), ("70000", "write a number from 1 to 65535")],
)
def test_a_port_that_is_none(embedded: Start, port: str, sentence: str) -> None:
    code, said = finish(embedded("up", PORT=port))

    assert code != 0
    assert sentence in said


def test_a_port_of_another_network_address_is_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        require_free_port(taken.getsockname()[1], "127.0.0.2", "PORT")


def test_too_little_disk_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: usage(10**12, 0, 300 * 1024**2))

    with pytest.raises(StackError, match=r"Only 0\.3 GiB are free at .*; 1 GiB are needed"):
        require_disk(tmp_path / "not" / "yet", 1)


def test_a_state_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(StackError, match="cannot be used: Not a directory"):
        StateFolder.at(tmp_path / "file" / "state")


def test_the_end_of_a_log_shows_no_password(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("cannot reach redis://:hunter2@127.0.0.1:1/0\n")

    assert machine.last_lines(tmp_path / "log") == "cannot reach redis://:***@127.0.0.1:1/0"


# -- bootstrap ---------------------------------------------------------------------------------------
def bootstrap(tmp_path: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """In a folder with nothing installed."""
    bash = shutil.which("bash")
    assert bash is not None
    return subprocess.run(
        [bash, str(CHECKOUT / "tools" / "bootstrap.sh"), *arguments],
        env={"PATH": os.environ["PATH"], "VENV": str(tmp_path / "venv"), **variables},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_a_wrong_python_is_a_sentence(tmp_path: Path) -> None:
    old = script(tmp_path / "python", 'case $1 in --version) echo "Python 3.9.2" ;; *) exit 1 ;; esac')

    done = bootstrap(tmp_path, "run", PYTHON=str(old))

    assert done.returncode == 1
    assert f"Python 3.11 is needed, {old} is Python 3.9.2. Set PYTHON to a Python 3.11." in done.stderr
    assert not (tmp_path / "venv").exists()


def test_a_python_that_does_not_exist_is_a_sentence(tmp_path: Path) -> None:
    done = bootstrap(tmp_path, "run", PYTHON="python-nowhere")

    assert (done.returncode, done.stderr) == (1, "personalize: PYTHON=python-nowhere names no program.\n")


def test_no_python_at_all_says_how_to_get_one(tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("bash", "dirname", "cat", "cksum", "mkdir", "sed", "id"):
        found = shutil.which(name)
        assert found is not None
        (tools / name).symlink_to(found)

    done = bootstrap(tmp_path, "run", PATH=str(tools))

    assert done.returncode == 1
    assert "Python 3.11 is needed, and no Python is what this system has." in done.stderr
    assert "apt-get install python3" in done.stderr


def test_too_little_disk_for_the_environment_is_a_sentence(tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    script(tools / "df", "echo Filesystem; echo /dev/x 9 9 2097152 9% /")

    done = bootstrap(tmp_path, "run", PATH=f"{tools}:{os.environ['PATH']}")

    assert done.returncode == 1
    assert "Only 2048 MiB are free in" in done.stderr
    assert "needs 5120 MiB" in done.stderr


def test_bootstrap_knows_two_groups(tmp_path: Path) -> None:
    done = bootstrap(tmp_path, "everything")

    assert (done.returncode, done.stderr) == (
        1,
        "personalize: bootstrap.sh takes 'run' or 'dev', not 'everything'.\n",
    )


def test_one_signal_passed_on_twice_still_stops_the_database_in_order(embedded: Start, state: Path) -> None:
    process = embedded("exec", "--", "sh", "-c", "echo started; sleep 60")
    assert process.stdout is not None
    assert any("started" in line for line in process.stdout)

    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGTERM)

    assert process.wait(40) == 130
    assert "database system is shut down" in (state / "logs" / "postgres.log").read_text()
