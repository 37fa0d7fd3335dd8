"""Metrics: who may read them, what they count, and that clients cannot invent labels."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from personalize.core import metrics
from tests.factories import DeliveryFactory, PieceFactory


@pytest.fixture(autouse=True)
def _no_memory(monkeypatch):
    monkeypatch.setattr(metrics, "_kept", {})
    monkeypatch.setitem(metrics._collectors, "broker", lambda: [])  # the broker's own test is test_health.py


def lines(client, **headers):
    answer = client.get("/metrics", **headers)
    assert answer.status_code == 200, answer.content
    return answer.content.decode().splitlines()


def number(found, start):
    return float(next(line for line in found if line.startswith(start)).rsplit(" ", 1)[1])


@pytest.mark.django_db
def test_this_machine_may_read_without_a_token(client):
    assert lines(client)
    assert client.get("/metrics", REMOTE_ADDR="10.1.2.3").status_code == 403
    assert client.get("/metrics", REMOTE_ADDR="").status_code == 403
    # Behind a proxy everybody comes from this machine.
    assert client.get("/metrics", headers={"X-Forwarded-For": "203.0.113.7"}).status_code == 403


@pytest.mark.django_db
def test_with_a_token_only_its_holder_may_read(client, settings):
    settings.METRICS_TOKEN = "t0ken"

    assert client.get("/metrics").status_code == 403
    assert client.get("/metrics", headers={"Authorization": "Bearer wrong"}).status_code == 403
    assert client.get("/metrics", headers={"Authorization": "Bearer tökén"}).status_code == 403
    assert lines(client, headers={"Authorization": "Bearer t0ken"}, REMOTE_ADDR="10.1.2.3")


@pytest.mark.django_db
def test_pieces_deliveries_and_age_of_the_oldest_draft(client):
    PieceFactory(status="draft", fields={})
    DeliveryFactory(status="unknown", piece=PieceFactory(status="unknown"))

    found = lines(client)

    assert number(found, 'personalize_pieces{status="draft"}') == 1
    assert number(found, 'personalize_pieces{status="rejected"}') == 0
    assert number(found, 'personalize_deliveries{status="unknown"}') == 1
    assert 0 < number(found, "personalize_oldest_draft_age_seconds") < 60
    assert number(found, 'personalize_metrics_source_up{source="pieces"}') == 1


@pytest.mark.django_db
def test_requests_are_counted_by_route_template_not_by_path(client):
    for external_id in ("ada@reader.example", "bob@reader.example"):
        client.get(f"/api/v1/profiles/{external_id}")
    client.generic("INVENTED", "/api/v1/profiles/x")

    found = lines(client)

    route = 'route="api/v1/profiles/<path:external_id>"'
    assert number(found, f'personalize_http_requests_total{{method="GET",{route},status="401"}}') >= 2
    assert number(found, f'personalize_http_request_seconds_count{{method="GET",{route}}}') >= 2
    assert any('method="other"' in line for line in found)
    assert "reader.example" not in "\n".join(found) and "INVENTED" not in "\n".join(found)


@pytest.mark.django_db
def test_source_that_fails_costs_nothing_else(client, monkeypatch):
    def broken():
        raise ConnectionError("no")

    monkeypatch.setitem(metrics._collectors, "broker", broken)

    found = lines(client)

    assert number(found, 'personalize_metrics_source_up{source="broker"}') == 0
    assert number(found, 'personalize_metrics_source_up{source="pieces"}') == 1


def test_database_is_asked_once_in_a_while(monkeypatch):
    calls = []
    monkeypatch.setattr(metrics, "_collectors", {"x": lambda: calls.append(1) or []})

    metrics.render()
    metrics.render()

    assert calls == [1]


def test_two_processes_are_counted_together(tmp_path):
    code = (
        "import django; django.setup();"
        "from personalize.core import metrics;"
        "metrics._collectors.clear();"
        "metrics.note_request(method='GET', route='r', status=200, seconds=0.1);"
        "print(metrics.render().decode())"
    )
    environment = {
        **os.environ,
        "PROMETHEUS_MULTIPROC_DIR": str(tmp_path),
        "DJANGO_SETTINGS_MODULE": "personalize.settings",
    }
    root = Path(__file__).resolve().parents[2]
    outputs = [
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code],
            env=environment,
            cwd=root,
            capture_output=True,
            check=True,
        ).stdout.decode()
        for _ in range(2)
    ]

    line = 'personalize_http_requests_total{method="GET",route="r",status="200"}'
    assert f"{line} 1.0" in outputs[0] and f"{line} 2.0" in outputs[1]


def test_folders_of_servers_that_are_gone_are_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(metrics, "_FOLDER", tmp_path)
    monkeypatch.setattr(metrics, "_ready", False)
    own = tmp_path / f"{metrics._HOST}-{os.getpid()}"
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(own))
    gone, elsewhere = tmp_path / f"{metrics._HOST}-999999999", tmp_path / "other-host-999999999"
    gone.mkdir()
    elsewhere.mkdir()

    metrics._prepare()

    assert own.exists() and elsewhere.exists() and not gone.exists()
