"""The state folder: what it holds, who may use it, and what is remembered in it between starts.

STATE_DIR/secrets.json   keys and passwords, made once (0600)
STATE_DIR/ports.json     ports of the embedded servers, kept while they are free
STATE_DIR/lock           held by the one process that runs the stack from here
STATE_DIR/running.json   how to reach that stack (0600)
STATE_DIR/logs/          one file per process
STATE_DIR/servers        data of PostgreSQL and Valkey: a folder, or as root a link to one that the service user reaches
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from personalize.embedded.errors import StackError
from personalize.embedded.machine import (
    Account,
    free_port,
    is_root,
    port_is_free,
    reaches,
    service_account,
)

SOCKET_PATH_LIMIT = 107  # bytes, sun_path of Linux
SYSTEM_STATE = Path("/var/lib/personalize")


@dataclass(frozen=True)
class StateFolder:
    root: Path

    @classmethod
    def at(cls, root: Path) -> StateFolder:
        """Make the folder if needed: root's may be entered by the service user, a person's by nobody else."""
        root = root.expanduser().absolute()
        try:
            root.mkdir(parents=True, exist_ok=True)
            if root.stat().st_uid == os.geteuid():
                root.chmod(0o711 if is_root() else 0o700)
            (root / "logs").mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise StackError(
                f"The state folder {root} cannot be used: {error.strerror}. Set STATE_DIR to another."
            ) from error
        if not os.access(root, os.W_OK):
            raise StackError(f"The state folder {root} belongs to someone else. Set STATE_DIR to another.")
        return cls(root)

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def tag(self) -> str:
        """Short, stable, one per folder: two checkouts of the same name never share anything."""
        return hashlib.sha256(str(self.root).encode()).hexdigest()[:10]

    # -- remembered ------------------------------------------------------------------------------
    def secret(self, name: str) -> str:
        """A random secret, made at the first request and kept."""
        known = self._read("secrets.json")
        if name not in known:
            known[name] = secrets.token_urlsafe(40)
            self._write("secrets.json", known)
        return str(known[name])

    def port(self, name: str) -> int:
        """The port of last time if it is free now, else another one."""
        known = self._read("ports.json")
        port = known.get(name)
        if not isinstance(port, int) or not port_is_free(port):
            port = free_port(avoid=frozenset(known.values()))
            known[name] = port
            self._write("ports.json", known)
        return port

    def forget_port(self, name: str) -> None:
        known = self._read("ports.json")
        known.pop(name, None)
        self._write("ports.json", known)

    def note(self, name: str, value: Any) -> None:
        """Remember a fact such as "the demo is in this database"."""
        self._write("notes.json", {**self._read("notes.json"), name: value})

    def noted(self, name: str) -> Any:
        return self._read("notes.json").get(name)

    # -- servers ---------------------------------------------------------------------------------
    def servers(self) -> tuple[Path, Account | None]:
        """The folder for the servers' data and the account that owns it.

        A checkout below root's home (0700) cannot be entered by the service user, so there the data lies in the
        system's state folder and `servers` is a link to it.
        """
        account = service_account()
        place = self.root / "servers"
        if not place.exists():
            if account is None or reaches(account, self.root):
                place.mkdir(mode=0o711 if account else 0o700)
            else:
                target = SYSTEM_STATE / f"{self.root.parent.name[:24]}-{self.tag}"
                target.mkdir(parents=True, exist_ok=True)
                for folder in (SYSTEM_STATE, target):
                    folder.chmod(0o755)
                place.unlink(missing_ok=True)
                place.symlink_to(target)
        return place.resolve(), account

    def socket_folder(self, servers: Path, account: Account | None) -> Path:
        """A 0700 folder of the account for PostgreSQL's socket, with a path short enough for one."""
        folder = servers / "socket"
        if len(str(folder / ".s.PGSQL.65535.lock").encode()) > SOCKET_PATH_LIMIT:
            folder = Path(tempfile.gettempdir(), f"personalize-{os.geteuid()}-{self.tag}")
        folder.mkdir(mode=0o700, exist_ok=True)
        owner = folder.lstat().st_uid
        expected = account.uid if account else os.geteuid()
        if owner == os.geteuid() and account:
            os.chown(folder, account.uid, account.gid)
        elif owner != expected:
            raise StackError(f"The socket folder {folder} belongs to another user. Remove it.")
        folder.chmod(0o700)
        return folder

    # -- one at a time ---------------------------------------------------------------------------
    def lock(self, purpose: str) -> Lock | None:
        """The right to run servers from this folder, or None while another process has it."""
        for _ in range(5):  # someone may only be looking
            handle = self._take_lock()
            if handle is not None:
                os.ftruncate(handle, 0)
                os.pwrite(handle, json.dumps({"pid": os.getpid(), "purpose": purpose}).encode(), 0)
                return Lock(handle)
            time.sleep(0.05)
        return None

    def holder(self) -> tuple[int, str] | None:
        """(process id, purpose) of whoever runs the stack from here."""
        handle = self._take_lock()
        if handle is not None:
            os.close(handle)
            return None
        known = self._read("lock")
        return int(known.get("pid", 0)), str(known.get("purpose", ""))

    def _take_lock(self) -> int | None:
        # The kernel lets go of it however the holder dies, so there is no stale lock file.
        handle = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            return None
        return handle

    def announce(self, environment: dict[str, str], **more: Any) -> None:
        self._write("running.json", {"environment": environment, **more})

    def announced(self) -> dict[str, Any]:
        return self._read("running.json")

    def _read(self, name: str) -> dict[str, Any]:
        try:
            value = json.loads((self.root / name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            if name in ("lock", "running.json"):  # being written at this moment
                return {}
            raise StackError(f"{self.root / name} cannot be read ({error}). Restore or remove it.") from error
        return value if isinstance(value, dict) else {}

    def _write(self, name: str, value: dict[str, Any]) -> None:
        """Whole or not at all, readable by the owner only."""
        handle, temporary = tempfile.mkstemp(dir=self.root, prefix=f".{name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                json.dump(value, stream, indent=1, sort_keys=True)
                stream.flush()
                os.fsync(stream.fileno())
            Path(temporary).replace(self.root / name)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
            raise


@dataclass
class Lock:
    handle: int

    def release(self) -> None:
        if self.handle >= 0:
            os.close(self.handle)
            self.handle = -1
