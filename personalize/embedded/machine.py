"""Facts about this machine: who we are, which ports are free and who holds the others, how much disk is left."""

from __future__ import annotations

import contextlib
import os
import pwd
import random
import re
import shutil
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from personalize.embedded.errors import StackError

GIB = 1024**3
# Below Linux's range for outgoing connections (32768-60999), so that a remembered port is not taken by chance.
PORTS = range(20_000, 32_000)


@dataclass(frozen=True)
class Account:
    """The system user that servers run as."""

    uid: int
    gid: int


def is_root() -> bool:
    return os.geteuid() == 0


def service_account() -> Account | None:
    """Whom to drop to before starting a server: PostgreSQL refuses uid 0. None for an ordinary user."""
    if not is_root():
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(entry.pw_uid, entry.pw_gid)
    raise StackError(
        "PostgreSQL must not run as root and this system has neither a user 'postgres' nor 'nobody'. "
        "Create one (useradd --system postgres) or start as an ordinary user."
    )


def reaches(account: Account | None, path: Path) -> bool:
    """True if the account may enter the folder, or execute the file, at this path."""
    if account is None:
        return os.access(path, os.X_OK)
    test = subprocess.run(
        ["/bin/sh", "-c", 'test -x "$1"', "sh", str(path)],
        user=account.uid,
        group=account.gid,
        extra_groups=[],
        cwd="/",
        check=False,
    )
    return test.returncode == 0


def port_is_free(port: int, host: str = "127.0.0.1") -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: connections of the last run that are still closing don't count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_port(*, avoid: frozenset[int] = frozenset()) -> int:
    for _ in range(200):
        port = random.choice(PORTS)
        if port not in avoid and port_is_free(port):
            return port
    raise StackError(f"No free port between {PORTS.start} and {PORTS.stop} on 127.0.0.1.")


def holder_of(port: int) -> str:
    """' by NAME, process PID' of the listener on this port, or nothing when the system does not say."""
    try:
        rows = (
            Path("/proc/net/tcp").read_text().splitlines()[1:]
            + Path("/proc/net/tcp6").read_text().splitlines()[1:]
        )
    except OSError:
        return ""
    listening = {
        row.split()[9] for row in rows if row.split()[3] == "0A" and row.split()[1].endswith(f":{port:04X}")
    }
    wanted = {f"socket:[{inode}]" for inode in listening}
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            if str(link.readlink()) in wanted:
                pid = link.parts[2]
                return f" by {Path('/proc', pid, 'comm').read_text().strip()}, process {pid}"
    return ""


def require_free_port(port: int, host: str, variable: str) -> None:
    if not 1 <= port <= 65_535:
        raise StackError(f"{variable}={port} is not a port: write a number from 1 to 65535.")
    if port < 1024 and not is_root() and not port_is_free(port, host):
        raise StackError(f"Port {port} needs root. Choose another: {variable}=8000.")
    if not port_is_free(port, host):
        raise StackError(f"Port {port} is in use{holder_of(port)}. Choose another: {variable}={port + 1}.")


def require_disk(folder: Path, gib: float) -> None:
    """Looks at the nearest existing parent, so it works before the folder is made."""
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free / GIB
    if free < gib:
        raise StackError(
            f"Only {free:.1f} GiB are free at {folder}; {gib:g} GiB are needed. Free some, or set STATE_DIR."
        )


def process_state(pid: int) -> tuple[str, str]:
    """(command name, state letter) of a process, ('', '') if there is none. Z and X are dead but not yet reaped."""
    try:
        stat = Path("/proc", str(pid), "stat").read_text()
    except OSError:
        return ("", "")
    name = stat[stat.index("(") + 1 : stat.rindex(")")]
    return (name, stat[stat.rindex(")") + 2])


def is_alive(pid: int) -> bool:
    if not Path("/proc/self/stat").exists():  # not Linux
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True
    return process_state(pid)[1] not in ("", "Z", "X")


def last_lines(file: Path, count: int = 8) -> str:
    """The end of a log, for a person: without secrets in connection addresses."""
    try:
        with file.open("rb") as stream:
            stream.seek(max(0, file.stat().st_size - 8_192))
            lines = stream.read().decode("utf-8", "replace").splitlines()[-count:]
    except OSError:
        return ""
    return re.sub(r"://([^:/@\s]*):[^@\s]+@", r"://\1:***@", "\n".join(lines))
