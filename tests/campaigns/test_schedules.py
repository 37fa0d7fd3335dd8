"""When a campaign runs: zones, daylight saving, downtime, many beats."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import call_command
from django.db import connection, transaction

from campaigns import schedules
from campaigns.models import Campaign, CampaignStatus, ScheduleKind
from personalize.core.errors import InvalidInput, NotAllowed
from tests.factories import CampaignFactory, UserFactory


def cron(expression: str, zone: str, **changes: object) -> Campaign:
    return CampaignFactory(
        whole=False, schedule=ScheduleKind.CRON, schedule_cron=expression, schedule_time_zone=zone, **changes
    )


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("expression", "zone", "after", "expected"),
    [
        (
            "0 9 * * MON",
            "Europe/Berlin",
            "2026-03-27T00:00",
            "2026-03-30T07:00",
        ),  # after the change to summer time
        ("0 9 * * MON", "Europe/Berlin", "2026-10-23T00:00", "2026-10-26T08:00"),  # after the change back
        (
            "30 2 * * *",
            "Europe/Berlin",
            "2026-03-29T00:00",
            "2026-03-29T01:00",
        ),  # 02:30 does not exist: after the gap
        (
            "30 2 * * *",
            "Europe/Berlin",
            "2026-10-24T23:00",
            "2026-10-25T00:30",
        ),  # 02:30 comes twice: the first
        ("0 12 29 2 *", "UTC", "2026-11-25T00:00", "2028-02-29T12:00"),  # leap day
        ("0 0 * * *", "Pacific/Kiritimati", "2026-01-01T00:00", "2026-01-01T10:00"),  # +14
        ("0 0 * * *", "Pacific/Pago_Pago", "2026-01-01T00:00", "2026-01-01T11:00"),  # -11
    ],
)
def test_next_time(expression: str, zone: str, after: str, expected: str) -> None:
    assert schedules.next_time(cron(expression, zone), after=at(after)) == at(expected)


@pytest.mark.django_db
def test_a_time_that_comes_twice_runs_once() -> None:
    campaign = cron("30 2 * * *", "Europe/Berlin")
    times = schedules.upcoming(campaign, count=2, after=at("2026-10-24T12:00"))
    assert [when.astimezone(UTC) for when in times] == [at("2026-10-25T00:30"), at("2026-10-26T01:30")]


@pytest.mark.parametrize(
    ("expression", "zone", "field"),
    [
        ("0 9 * *", "UTC", "schedule_cron"),
        ("0 0 9 * * MON", "UTC", "schedule_cron"),
        ("61 9 * * *", "UTC", "schedule_cron"),
        ("0 0 31 2 *", "UTC", "schedule_cron"),
        ("0 9 * * *", "Mars/Olympus", "schedule_time_zone"),
        ("0 9 * * *", "../etc/passwd", "schedule_time_zone"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused_with_its_field(expression: str, zone: str, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        schedules.check(cron=expression, time_zone=zone)
    assert caught.value.field == field


@pytest.mark.django_db
def test_after_downtime_the_latest_missed_time_runs_once() -> None:
    campaign = cron("0 9 * * *", "UTC", next_run_at=at("2026-11-01T09:00"))
    with transaction.atomic():
        claimed = schedules.claim_due(now=at("2026-11-25T12:00"))
    assert [(one.pk, when) for one, when in claimed] == [(campaign.pk, at("2026-11-25T09:00"))]
    campaign.refresh_from_db()
    assert campaign.next_run_at == at("2026-11-26T09:00")


@pytest.mark.django_db
def test_once_runs_once_and_paused_never() -> None:
    when = at("2026-11-25T09:00")
    campaign = CampaignFactory(whole=False, schedule=ScheduleKind.ONCE, schedule_at=when, next_run_at=when)
    CampaignFactory(
        whole=False,
        schedule=ScheduleKind.ONCE,
        schedule_at=when,
        next_run_at=when,
        status=CampaignStatus.PAUSED,
    )
    with transaction.atomic():
        assert [one.pk for one, _ in schedules.claim_due(now=when, limit=5)] == [campaign.pk]
        assert schedules.claim_due(now=when + timedelta(days=1), limit=5) == []


@pytest.mark.django_db(transaction=True)
def test_of_many_beats_one_claims() -> None:
    cron("* * * * *", "UTC", next_run_at=at("2026-11-25T09:00"))
    start, claimed = threading.Barrier(6), []

    def beat() -> None:
        start.wait(5)
        with transaction.atomic():
            claimed.extend(schedules.claim_due(now=at("2026-11-25T09:00")))
        connection.close()

    threads = [threading.Thread(target=beat) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(claimed) == 1


@pytest.mark.django_db
def test_activate_pause_and_what_they_need() -> None:
    campaign = cron("0 9 * * *", "UTC", status=CampaignStatus.DRAFT)
    with pytest.raises(NotAllowed):
        schedules.activate(campaign=campaign, by=UserFactory())
    launcher = UserFactory(permissions=["campaigns.launch_campaign"])
    schedules.activate(campaign=campaign, by=launcher, now=at("2026-11-25T10:00"))
    campaign.refresh_from_db()
    assert (campaign.status, campaign.next_run_at) == (CampaignStatus.ACTIVE, at("2026-11-26T09:00"))
    schedules.hold(campaign=campaign, reason="a value has expired")
    campaign.refresh_from_db()
    assert (campaign.status, campaign.next_run_at) == (CampaignStatus.PAUSED, None)
    schedules.activate(campaign=campaign, by=launcher)
    campaign.refresh_from_db()
    assert campaign.held_because == ""
    schedules.archive(campaign=campaign, by=launcher)
    with pytest.raises(schedules.CampaignClosed):
        schedules.activate(campaign=campaign, by=launcher)


@pytest.mark.django_db
def test_a_launch_time_in_the_past_is_refused() -> None:
    campaign = CampaignFactory(whole=False, schedule=ScheduleKind.ONCE, schedule_at=at("2026-11-25T09:00"))
    with pytest.raises(InvalidInput) as caught:
        schedules.activate(campaign=campaign, by=None, now=at("2026-11-25T09:00"))
    assert caught.value.field == "schedule_at"


@pytest.mark.django_db
def test_pausing_everything_by_command_leaves_drafts_and_archives_alone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    active = cron("0 9 * * *", "UTC", status=CampaignStatus.ACTIVE, next_run_at=at("2026-11-25T09:00"))
    draft = CampaignFactory(whole=False, status=CampaignStatus.DRAFT)

    call_command("pause_campaigns")

    active.refresh_from_db()
    draft.refresh_from_db()
    assert (active.status, active.next_run_at, draft.status) == ("paused", None, "draft")
    assert f"paused {active.slug}" in capsys.readouterr().out
