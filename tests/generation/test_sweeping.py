"""What beat looks after, however many beats there are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone
from kombu import Connection

from campaigns import runs
from campaigns.models import CampaignStatus, Run, RunTrigger, ScheduleKind
from generation import drafting, tasks
from generation.drafting import launching, queueing
from generation.models import Piece, Status
from tests.factories import CampaignFactory
from tests.fakes import FakeWriter
from tests.generation import scenes

pytestmark = pytest.mark.django_db


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Runs handed to the broker, whose queue is empty."""
    calls: list[int] = []
    monkeypatch.setattr(tasks.write_chunk, "delay", lambda run_id: calls.append(run_id))
    monkeypatch.setattr(queueing, "queue_length", lambda: 0)
    return calls


def due_campaign(**columns: Any) -> Any:
    return CampaignFactory(
        schedule=ScheduleKind.CRON,
        schedule_cron="0 9 * * *",
        next_run_at=datetime(2026, 7, 1, 9, tzinfo=UTC),
        **columns,
    )


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("beats", [2, 5])
def test_many_beats_at_one_minute_start_one_run(race: Any, sent: list[int], beats: int) -> None:
    scenes.readers(3)
    due_campaign()
    now = datetime(2026, 7, 1, 9, 0, 12, tzinfo=UTC)

    race(lambda: drafting.start_due_runs(now=now), beats)

    run = Run.objects.get()
    assert run.scheduled_for == datetime(2026, 7, 1, 9, tzinfo=UTC)
    assert run.trigger == RunTrigger.SCHEDULE
    assert Piece.objects.filter(run=run).count() == 3
    assert set(sent) == {run.pk}


def test_after_downtime_the_latest_missed_time_runs_once(sent: list[int]) -> None:
    campaign = due_campaign()
    now = datetime(2026, 7, 4, 11, 30, tzinfo=UTC)

    for _ in range(2):
        drafting.start_due_runs(now=now)

    assert [run.scheduled_for for run in Run.objects.all()] == [datetime(2026, 7, 4, 9, tzinfo=UTC)]
    campaign.refresh_from_db()
    assert campaign.next_run_at == datetime(2026, 7, 5, 9, tzinfo=UTC)


def test_a_campaign_that_cannot_be_launched_is_held_and_the_others_start(sent: list[int]) -> None:
    broken = due_campaign(whole=False)
    whole = due_campaign()

    started = drafting.start_due_runs(now=datetime(2026, 7, 1, 9, 1, tzinfo=UTC))

    assert [run.campaign for run in started] == [whole]
    broken.refresh_from_db()
    assert (broken.status, broken.next_run_at) == (CampaignStatus.PAUSED, None)
    assert "at least one fact" in broken.held_because
    assert not broken.runs.exists()


def test_a_crash_of_the_launch_leaves_the_campaign_due(
    sent: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign, other = due_campaign(), due_campaign()
    now = datetime(2026, 7, 1, 9, 1, tzinfo=UTC)
    make = launching._make_pieces

    def crash(run: Run, of: Any) -> int:
        if of.pk == campaign.pk:
            raise RuntimeError("out of disk")
        return make(run, of)

    with monkeypatch.context() as broken:
        broken.setattr("generation.drafting.launching._make_pieces", crash)
        with pytest.raises(RuntimeError):
            drafting.start_due_runs(now=now)
    campaign.refresh_from_db()
    assert campaign.next_run_at == datetime(2026, 7, 1, 9, tzinfo=UTC)
    assert Run.objects.get().campaign == other, "the one behind it starts all the same"

    assert len(drafting.start_due_runs(now=now)) == 1


def test_sweep_wakes_a_writer_for_drafts_that_nobody_is_at(
    sent: list[int], django_capture_on_commit_callbacks: Any
) -> None:
    idle, busy, paused = scenes.launched(1), scenes.launched(2), scenes.launched(1)
    drafting.leases.claim(now=timezone.now(), limit=1, run_id=busy.pk)
    runs.pause(run=paused, by=None)

    with django_capture_on_commit_callbacks(execute=True):
        swept = drafting.sweep(now=timezone.now())

    assert swept.woken == (idle.pk,)
    assert sent == [idle.pk]


def test_sweep_adds_nothing_to_a_long_queue(sent: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queueing, "queue_length", lambda: queueing.MANY_MESSAGES)
    scenes.launched(1)

    assert drafting.sweep(now=timezone.now()).woken == ()


def test_sweep_takes_lost_claims_back_and_has_them_written_once(
    writer: FakeWriter, sent: list[int], django_capture_on_commit_callbacks: Any
) -> None:
    run = scenes.launched(2)
    drafting.leases.claim(now=timezone.now(), limit=2, run_id=run.pk)

    with time_machine.travel(timezone.now() + timedelta(hours=1)):
        with django_capture_on_commit_callbacks(execute=True):
            swept = drafting.sweep(now=timezone.now())
            drafting.sweep(now=timezone.now())
        for run_id in sent:
            tasks.write_chunk(run_id=run_id)

    assert swept.returned == 2
    assert sent == [run.pk, run.pk]
    assert writer.calls == [2]
    assert scenes.statuses(run) == [Status.IN_REVIEW] * 2


def test_drafts_that_wait_for_a_retry_are_woken_when_it_is_due(sent: list[int]) -> None:
    run = scenes.launched(1)
    Piece.objects.update(retry_after=timezone.now() + timedelta(minutes=5))

    assert drafting.sweep(now=timezone.now()).woken == ()
    assert drafting.sweep(now=timezone.now() + timedelta(minutes=6)).woken == (run.pk,)


def test_queue_length_of_a_broker_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = Connection("redis://127.0.0.1:1/0")  # a port nothing listens on
    monkeypatch.setattr(tasks.write_chunk.app, "connection_for_read", lambda: nobody)

    assert queueing.queue_length() == 0


def test_every_task_has_its_name_and_a_time_limit() -> None:
    for name in ("write_chunk", "compose", "start_due_runs", "sweep", "embed_changed"):
        task = getattr(tasks, name)
        assert task.name == f"generation.{name}"
        assert task.time_limit > task.soft_time_limit > 0
        assert task.ignore_result
    for task in (tasks.write_chunk, tasks.compose):
        assert task.acks_late and task.max_retries == 3
