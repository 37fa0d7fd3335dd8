"""Health: true when all is well, and honest, quick and discreet when it is not."""

from __future__ import annotations

import pytest
from django.db import connection

from personalize.celery import app
from personalize.core import health


@pytest.fixture(autouse=True)
def _no_memory(monkeypatch):
    monkeypatch.setattr(health, "_kept", None)


@pytest.fixture
def broker(monkeypatch):
    """A broker in this process's memory, for what does not need a real one."""
    monkeypatch.setattr(app.conf, "broker_url", "memory://")
    monkeypatch.setattr(app.conf, "broker_read_url", "memory://")


def test_liveness_needs_nothing(client):
    answer = client.get("/health")

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert "no-store" in answer["Cache-Control"]
    assert client.post("/health").status_code == 405


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/health/ready", "/health?deep=1"])
def test_ready_when_everything_answers(path, client, broker):
    answer = client.get(path)

    assert answer.status_code == 200
    assert {check["name"]: check["ok"] for check in answer.json()["checks"]} == {
        "database": True,
        "migrations": True,
        "broker": True,
    }


@pytest.mark.django_db
def test_broker_that_is_gone_is_named_without_its_address(client, monkeypatch):
    monkeypatch.setattr(app.conf, "broker_url", "redis://:secret@127.0.0.1:1/0")
    monkeypatch.setattr(app.conf, "broker_read_url", "redis://:secret@127.0.0.1:1/0")

    answer = client.get("/health/ready")

    assert answer.status_code == 503 and "secret" not in answer.content.decode()
    wrong = [check for check in answer.json()["checks"] if not check["ok"]]
    assert [check["name"] for check in wrong] == ["broker"] and "BROKER_URL" in wrong[0]["detail"]


@pytest.mark.django_db
def test_missing_migration_is_named(client, broker):
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM django_migrations WHERE app = 'core' AND name = "
            "(SELECT max(name) FROM django_migrations WHERE app = 'core')"
        )

    answer = client.get("/health/ready")

    wrong = [check for check in answer.json()["checks"] if not check["ok"]]
    assert answer.status_code == 503 and "manage.py migrate" in wrong[0]["detail"]


def test_answer_is_kept_for_a_moment(monkeypatch):
    calls = []
    for name in ("_database", "_migrations", "_broker"):
        monkeypatch.setattr(health, name, lambda: not calls.append(1))

    health.ready()
    health.ready()

    assert len(calls) == 3


def test_queues_are_those_of_the_routes(broker):
    assert health.queue_names() == ["default", "delivery", "writer"]
    assert health.queue_lengths() == {"default": 0, "delivery": 0, "writer": 0}


def test_waiting_messages_are_counted(broker):
    with app.connection_for_write() as link:
        for _ in range(3):
            link.SimpleQueue("writer").put({"x": 1})
        assert health.queue_lengths()["writer"] == 3
        link.SimpleQueue("writer").clear()
