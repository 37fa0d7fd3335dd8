"""The embedded servers, really started, stopped and killed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import tempfile
from pathlib import Path

import psycopg
import pytest
import redis

from personalize.embedded.children import Child, stop_all
from personalize.embedded.errors import StackError
from personalize.embedded.places import SYSTEM_STATE, StateFolder
from personalize.embedded.postgres import MAJOR, Postgres
from personalize.embedded.valkey import Valkey
from tests.operations.conftest import processes_naming, wait_until


def rows(url: str) -> int:
    with psycopg.connect(url) as connection:
        (count,) = connection.execute("SELECT count(*) FROM kept").fetchone() or (0,)
    return int(count)


def write_rows(url: str, count: int) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (id serial PRIMARY KEY, near halfvec(3))")
        for _ in range(count):
            connection.execute("INSERT INTO kept (near) VALUES ('[1,2,3]')")
            connection.commit()


def test_postgres_killed_keeps_committed_rows_and_is_started_again(
    folder: StateFolder, stopping: list[Child]
) -> None:
    postgres = Postgres(folder)
    child = postgres.start()
    stopping.append(child)
    write_rows(postgres.url, 50)
    said: list[str] = []

    assert child.process is not None
    os.killpg(child.process.pid, signal.SIGKILL)

    def back() -> bool:
        child.tend(said.append)
        try:
            return rows(postgres.url) == 50
        except psycopg.OperationalError:
            return False

    assert wait_until(back, 30)
    assert "postgres was killed by SIGKILL" in said[0]


def test_postgres_starts_over_the_pid_file_of_a_zombie(folder: StateFolder, stopping: list[Child]) -> None:
    first = Postgres(folder)
    killed = first.start()
    stopping.append(killed)
    write_rows(first.url, 5)
    assert killed.process is not None
    os.killpg(killed.process.pid, signal.SIGKILL)  # and not reaped: the process id still exists
    assert (first.data / "postmaster.pid").exists()

    second = Postgres(folder)
    stopping.append(second.start())

    assert rows(second.url) == 5


def test_postgres_that_outlived_its_supervisor_is_ended_before_the_start(
    folder: StateFolder, stopping: list[Child]
) -> None:
    orphan = Postgres(folder)
    stopping.append(orphan.start())
    write_rows(orphan.url, 3)

    heir = Postgres(folder)
    stopping.append(heir.start())

    assert rows(heir.url) == 3
    assert wait_until(lambda: not stopping[0].is_running())


def test_a_second_start_keeps_data_password_and_ports(folder: StateFolder, stopping: list[Child]) -> None:
    first, broker = Postgres(folder), Valkey(folder)
    children = [first.start(), broker.start()]
    stopping += children
    write_rows(first.url, 2)
    redis.from_url(broker.url).set("kept", "yes")
    assert stop_all(children) == []

    second, other = Postgres(StateFolder.at(folder.root)), Valkey(StateFolder.at(folder.root))
    stopping += [second.start(), other.start()]

    assert (second.url, other.url) == (first.url, broker.url)
    assert rows(second.url) == 2
    assert redis.from_url(other.url).get("kept") == b"yes"


def test_a_remembered_port_that_is_taken_is_replaced(folder: StateFolder, stopping: list[Child]) -> None:
    port = folder.port("valkey")
    with socket.create_server(("127.0.0.1", port)):
        broker = Valkey(folder)
        stopping.append(broker.start())

        assert broker.port != port
        assert redis.from_url(broker.url).ping()


def test_the_application_is_no_superuser_but_makes_test_databases_with_vectors(
    folder: StateFolder, stopping: list[Child]
) -> None:
    postgres = Postgres(folder, durable=False)
    stopping.append(postgres.start())

    with psycopg.connect(postgres.url, autocommit=True) as connection:
        assert connection.execute(
            "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"
        ).fetchone() == (False,)
        connection.execute("CREATE DATABASE test_personalize")
    with psycopg.connect(postgres.url.removesuffix("/personalize") + "/test_personalize") as connection:
        assert connection.execute("SELECT '[3,4]'::vector <-> '[0,0]'").fetchone() == (5.0,)


def test_a_wrong_password_is_refused_and_the_superuser_is_not_reachable_over_tcp(
    folder: StateFolder, stopping: list[Child]
) -> None:
    postgres, broker = Postgres(folder), Valkey(folder)
    stopping += [postgres.start(), broker.start()]

    for user in ("personalize", "postgres"):
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(
                host="127.0.0.1", port=postgres.port, user=user, password="guess", dbname="personalize"
            )
    with pytest.raises(redis.AuthenticationError):
        redis.Redis(port=broker.port).ping()


def test_secrets_are_readable_by_their_owner_only_and_on_no_command_line(
    folder: StateFolder, stopping: list[Child]
) -> None:
    postgres, broker = Postgres(folder), Valkey(folder)
    stopping += [postgres.start(), broker.start()]

    assert stat.S_IMODE((folder.root / "secrets.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(postgres.socket.stat().st_mode) == 0o700
    for name in ("database password", "broker password"):
        assert processes_naming(folder.secret(name)) == []


def test_a_lost_password_file_loses_no_data(folder: StateFolder, stopping: list[Child]) -> None:
    first = Postgres(folder)
    child = first.start()
    stopping.append(child)
    write_rows(url := first.url, 4)
    stop_all([child])
    (folder.root / "secrets.json").unlink()

    second = Postgres(folder)
    stopping.append(second.start())

    assert second.url != url
    assert rows(second.url) == 4


def test_data_of_another_major_version_is_refused(folder: StateFolder) -> None:
    postgres = Postgres(folder)
    postgres.data.mkdir(parents=True)
    (postgres.data / "PG_VERSION").write_text("17\n")

    with pytest.raises(StackError, match=f"belongs to PostgreSQL 17, this release brings {MAJOR}"):
        postgres.start()


@pytest.mark.parametrize("name", ["a folder with spaces", "deep" * 30])
def test_any_folder_will_do(
    state: Path, stopping: list[Child], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(
        tempfile, "tempdir", str(state)
    )  # where the socket goes if the path is too long for one
    folder = StateFolder.at(state / name)
    postgres, broker = Postgres(folder, durable=False), Valkey(folder)
    stopping += [postgres.start(), broker.start()]

    write_rows(postgres.url, 1)
    assert rows(postgres.url) == 1
    assert redis.from_url(broker.url).ping()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts servers as another user")
def test_root_below_a_closed_folder_keeps_the_data_in_the_system_folder(stopping: list[Child]) -> None:
    with tempfile.TemporaryDirectory(prefix="pz-closed-") as closed:  # 0700
        folder = StateFolder.at(Path(closed, "checkout", ".run"))
        postgres, broker = Postgres(folder, durable=False), Valkey(folder)
        try:
            stopping += [postgres.start(), broker.start()]
            write_rows(postgres.url, 1)

            assert (folder.root / "servers").is_symlink()
            assert postgres.data.is_relative_to(SYSTEM_STATE)
            assert rows(postgres.url) == 1
        finally:
            stop_all(stopping)
            shutil.rmtree(postgres.servers)
