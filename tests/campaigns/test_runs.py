"""Opening runs and deciding about them."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest
from django.db import connection

from campaigns import runs
from campaigns.models import Run, RunStatus, RunTrigger, SendPolicy
from personalize.core.errors import NotAllowed
from tests.factories import CampaignFactory, RunFactory, UserFactory

WHEN = datetime(2026, 11, 25, 9, tzinfo=UTC)


@pytest.mark.django_db(transaction=True)
def test_of_many_callers_one_opens_the_run_of_a_time() -> None:
    campaign = CampaignFactory()
    start, made = threading.Barrier(6), []

    def launch() -> None:
        start.wait(5)
        made.append(
            runs.open_run(
                campaign=campaign, scheduled_for=WHEN, trigger=RunTrigger.SCHEDULE, by=None, model_version="m"
            )
        )
        connection.close()

    threads = [threading.Thread(target=launch) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(created for _, created in made) == [False] * 5 + [True]
    assert Run.objects.count() == 1


@pytest.mark.django_db
def test_a_run_keeps_its_brief_when_the_campaign_changes() -> None:
    campaign = CampaignFactory()
    run, _ = runs.open_run(
        campaign=campaign, scheduled_for=WHEN, trigger=RunTrigger.MANUAL, by=None, model_version="m"
    )
    campaign.values.filter(name="discount").update(text="20%")
    run.refresh_from_db()
    assert {value["name"]: value["text"] for value in run.brief["values"]}["discount"] == "15%"
    assert run.released_at is None


@pytest.mark.django_db
@pytest.mark.parametrize(("permissions", "released"), [([], False), (["campaigns.send_campaign"], True)])
def test_when_approved_is_released_by_somebody_who_may_send(permissions: list[str], released: bool) -> None:
    campaign = CampaignFactory(send_policy=SendPolicy.WHEN_APPROVED)
    person = UserFactory(permissions=permissions)
    run, _ = runs.open_run(
        campaign=campaign, scheduled_for=WHEN, trigger=RunTrigger.MANUAL, by=person, model_version="m"
    )
    assert (run.released_by == person) is released
    assert (run.released_at is not None) is released


@pytest.mark.django_db
def test_pause_resume_cancel_and_release() -> None:
    run = RunFactory()
    launcher = UserFactory(permissions=["campaigns.launch_campaign"])
    sender = UserFactory(permissions=["campaigns.send_campaign"])
    with pytest.raises(NotAllowed):
        runs.pause(run=run, by=sender)
    with pytest.raises(NotAllowed):
        runs.release(run=run, by=launcher)
    assert runs.pause(run=run, by=launcher).status == RunStatus.PAUSED
    assert runs.pause(run=run, by=launcher).status == RunStatus.PAUSED
    assert runs.resume(run=run, by=launcher).status == RunStatus.OPEN
    first = runs.release(run=run, by=sender).released_at
    assert first is not None
    assert runs.release(run=run, by=UserFactory(permissions=["campaigns.send_campaign"])).released_at == first
    assert runs.cancel(run=run, by=launcher).status == RunStatus.CANCELLED
    with pytest.raises(runs.RunClosed):
        runs.resume(run=run, by=launcher)


@pytest.mark.django_db
def test_a_cancelled_run_is_not_released() -> None:
    run = RunFactory(status=RunStatus.CANCELLED)
    with pytest.raises(runs.RunClosed):
        runs.release(run=run, by=UserFactory(permissions=["campaigns.send_campaign"]))
