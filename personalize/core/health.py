"""Is this process alive, and can it do its work: the answers of /health and /health/ready."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog
from django.conf import settings
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from kombu.exceptions import ChannelError

from personalize.celery import app

log = structlog.get_logger(__name__)

_KEEP_SECONDS = 2.0  # a probe each second from several places must not become load
_BROKER_SECONDS = 2


@dataclass(frozen=True, slots=True)
class Check:
    """`detail` is a fixed sentence: no addresses, no secrets, no text of an exception."""

    name: str
    ok: bool
    detail: str
    milliseconds: float


_kept: tuple[float, list[Check]] | None = None


def ready() -> list[Check]:
    """Database reachable, migrations applied, broker reachable; kept for two seconds."""
    global _kept
    if _kept is None or time.monotonic() - _kept[0] > _KEEP_SECONDS:
        _kept = (
            time.monotonic(),
            [
                _run(
                    "database",
                    _database,
                    "The database does not answer. Look at DATABASE_URL and its server.",
                ),
                _run("migrations", _migrations, "Migrations are missing. Run: python manage.py migrate"),
                _run("broker", _broker, "The broker does not answer. Look at BROKER_URL and its server."),
            ],
        )
    return _kept[1]


def workers(*, timeout_seconds: float = 1.0) -> dict[str, int]:
    """Queue -> workers that answered and take from it. Slow: it waits for the whole time."""
    found: dict[str, int] = dict.fromkeys(queue_names(), 0)
    answers = app.control.inspect(timeout=timeout_seconds).active_queues() or {}
    for queues in answers.values():
        for queue in queues:
            found[queue["name"]] = found.get(queue["name"], 0) + 1
    return found


def queue_names() -> list[str]:
    routed = (route["queue"] for route in settings.CELERY_TASK_ROUTES.values())
    return sorted({settings.CELERY_TASK_DEFAULT_QUEUE, *routed})


def queue_lengths() -> dict[str, int]:
    """Queue -> messages waiting; 0 for one that nobody has used yet."""
    lengths = {}
    with app.connection_for_read(connect_timeout=_BROKER_SECONDS) as link:
        link.ensure_connection(max_retries=1, timeout=_BROKER_SECONDS)
        for name in queue_names():
            channel: Any = link.channel()  # one each: a refused declaration closes its channel
            try:
                lengths[name] = channel.queue_declare(queue=name, passive=True).message_count
            except ChannelError:
                lengths[name] = 0
            finally:
                channel.close()
    return lengths


def _run(name: str, check: Callable[[], bool], remedy: str) -> Check:
    started = time.perf_counter()
    try:
        ok = check()
    except Exception as error:  # whatever a driver raises, the answer is: not ready
        log.warning("not_ready", check=name, error=type(error).__name__)
        ok = False
    spent = round((time.perf_counter() - started) * 1000, 1)
    return Check(name, ok, "ok" if ok else remedy, spent)


def _database() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        return bool(cursor.fetchone() == (1,))


def _migrations() -> bool:
    executor = MigrationExecutor(connection)
    return not executor.migration_plan(executor.loader.graph.leaf_nodes())


def _broker() -> bool:
    with app.connection_for_read(connect_timeout=_BROKER_SECONDS) as link:
        link.ensure_connection(max_retries=1, timeout=_BROKER_SECONDS)
        return True
