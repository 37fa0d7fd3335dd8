"""`make run`: from nothing to an admin that a person can log in to, and everything behind it."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from dataclasses import dataclass

from personalize.embedded.errors import StackError
from personalize.embedded.machine import require_disk, require_free_port
from personalize.embedded.stack import CHECKOUT, Stack, base_environment

DEMO_CAMPAIGN = "cast-iron-weeks"


@dataclass(frozen=True)
class Options:
    host: str
    port: int
    demo: bool


def address(options: Options) -> str:
    """The address a person on this machine opens."""
    return f"http://{'127.0.0.1' if options.host in ('0.0.0.0', '::') else options.host}:{options.port}"


def check_first(stack: Stack, options: Options) -> None:
    """Everything that can be refused before anything is started."""
    require_free_port(options.port, options.host, "PORT")
    require_disk(stack.folder.root, 1.0)


def bring_up(stack: Stack, options: Options) -> None:
    """Start everything and print where it is. Idempotent over the state folder: data and logins stay."""
    began = time.monotonic()
    given = base_environment()
    given.setdefault("PUBLIC_URL", address(options))
    stack.start_servers(given)
    preparing = start_preparing_model(stack)
    with stack.stages.stage("Database schema"):
        stack.manage("prepare_database", "--verbosity", "0")
    # Web takes seconds to load: meanwhile the rest is done.
    web = stack.start(stack.web(options.host, options.port))
    password = ensure_admin(stack)
    campaign = load_demo(stack) if options.demo else None
    finish_preparing_model(stack, preparing)
    with stack.stages.stage("Web, writer, default worker and beat"):
        for program in (stack.writer(), stack.default_worker(), stack.beat()):
            stack.start(program)
        stack.wait_for_web(web, address(options))
    if campaign:
        with stack.stages.stage(f"Launching the campaign '{campaign}'"):
            stack.manage("launch_campaign", campaign)
        stack.folder.note(demo_note(stack), True)
    stack.folder.announce(stack.environment, address=address(options), pid=os.getpid(), phase="ready")
    forgot = "user admin; forgot the password? make password"
    login = f"user admin, password {password}" if password else forgot
    stack.stages.say(
        f"\nReady after {time.monotonic() - began:.0f} s: {address(options)}/admin/   ({login})\n"
        f"Logs: {stack.folder.logs}   Stop with Ctrl-C or `make stop`; the data stays for the next `make run`."
    )


# -- the writer's model ----------------------------------------------------------------------------
def model_cache(stack: Stack) -> str:
    return stack.environment.get("MODEL_CACHE") or str(stack.folder.root / "models")


def start_preparing_model(stack: Stack) -> subprocess.Popen[str] | None:
    """Unpack the builtin weights once, beside the other stages: it needs no database and takes many seconds.

    None if another model is configured: the writer fetches that itself.
    """
    if stack.environment.get("WRITER_MODEL", "builtin") != "builtin":
        return None
    cache = model_cache(stack)
    preparing = subprocess.Popen(
        [sys.executable, "-m", "generation.writer.checkpoints", "--cache", cache],
        env=stack.environment,
        cwd=CHECKOUT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    stack.errands.append(preparing)
    return preparing


def finish_preparing_model(stack: Stack, preparing: subprocess.Popen[str] | None) -> None:
    if preparing is None:
        return
    with stack.stages.stage("The writer's model") as detail:
        said, _ = preparing.communicate()
        detail.text = model_cache(stack)
        if preparing.returncode:
            raise StackError(
                "The writer's model could not be prepared:\n" + "\n".join(said.splitlines()[-15:])
            )


# -- first start -----------------------------------------------------------------------------------
def demo_note(stack: Stack) -> str:
    database = hashlib.sha256(stack.environment["DATABASE_URL"].rpartition("/")[2].encode()).hexdigest()[:12]
    return f"demo launched in {database}"


def ensure_admin(stack: Stack) -> str:
    """The random password if the account was made now, else nothing."""
    with stack.stages.stage("Admin account"):
        done = subprocess.run(
            [sys.executable, "manage.py", "create_demo_admin", "--password-only"],
            env=stack.environment,
            cwd=CHECKOUT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise StackError(f"The admin account could not be made:\n{done.stderr.strip()[-800:]}")
    return done.stdout.strip()


def load_demo(stack: Stack) -> str | None:
    """Load it once per database. Returns the campaign still to be launched."""
    if stack.folder.noted(demo_note(stack)):
        return None
    with stack.stages.stage("The demo: a shop, its readers and a campaign", talks=True):
        stack.manage("load_demo", talks=True)
    with stack.stages.stage("Vectors of its readers and products"):
        stack.manage("embed")  # before the launch: plans choose products by them
    return DEMO_CAMPAIGN
