"""Kinds of schedules over the days the clocks change, leap days and every time zone; missed times; clock jumps."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import transaction

from campaigns import schedules
from campaigns.models import Campaign, CampaignStatus, MissedPolicy, ScheduleKind
from personalize.core.errors import InvalidInput
from tests.factories import CampaignFactory

pytestmark = pytest.mark.django_db


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def daily(clock: str, zone: str, days: list[int] | None = None, **changes: object) -> Campaign:
    return CampaignFactory(
        whole=False,
        schedule=ScheduleKind.WEEKLY if days else ScheduleKind.DAILY,
        schedule_time=time.fromisoformat(clock),
        schedule_days=days or [],
        schedule_time_zone=zone,
        **changes,
    )


# In winter, in summer; +14 to -11. What nine in the morning is there, in UTC.
NINE = [
    ("Pacific/Kiritimati", "2026-01-14T19:00", "2026-07-14T19:00"),  # +14
    ("Pacific/Apia", "2026-01-14T20:00", "2026-07-14T20:00"),  # +13
    ("Pacific/Chatham", "2026-01-14T19:15", "2026-07-14T20:15"),  # +13:45 and +12:45
    ("Pacific/Auckland", "2026-01-14T20:00", "2026-07-14T21:00"),
    ("Australia/Lord_Howe", "2026-01-14T22:00", "2026-07-14T22:30"),  # half an hour of summer time
    ("Australia/Adelaide", "2026-01-14T22:30", "2026-07-14T23:30"),
    ("Asia/Tokyo", "2026-01-15T00:00", "2026-07-15T00:00"),
    ("Asia/Kathmandu", "2026-01-15T03:15", "2026-07-15T03:15"),  # +5:45
    ("Asia/Kolkata", "2026-01-15T03:30", "2026-07-15T03:30"),
    ("Europe/Berlin", "2026-01-15T08:00", "2026-07-15T07:00"),
    ("UTC", "2026-01-15T09:00", "2026-07-15T09:00"),
    ("Atlantic/Cape_Verde", "2026-01-15T10:00", "2026-07-15T10:00"),
    ("America/St_Johns", "2026-01-15T12:30", "2026-07-15T11:30"),
    ("America/New_York", "2026-01-15T14:00", "2026-07-15T13:00"),
    ("America/Los_Angeles", "2026-01-15T17:00", "2026-07-15T16:00"),
    ("Pacific/Marquesas", "2026-01-15T18:30", "2026-07-15T18:30"),
    ("Pacific/Pago_Pago", "2026-01-15T20:00", "2026-07-15T20:00"),  # -11
]


@pytest.mark.parametrize(("zone", "winter", "summer"), NINE)
def test_nine_in_the_morning_everywhere(zone: str, winter: str, summer: str) -> None:
    campaign = daily("09:00", zone)
    here = ZoneInfo(zone)
    for expected in (at(winter), at(summer)):
        midnight = expected.astimezone(here).replace(hour=0)
        assert schedules.next_time(campaign, after=midnight) == expected
        assert expected.astimezone(here).hour == 9


CHANGES = [
    # Berlin, 29 March: 02:00 -> 03:00. What falls in the gap runs right after it, once.
    ("02:30", "Europe/Berlin", "2026-03-28T00:00", ["2026-03-28T01:30", "2026-03-29T01:00", "2026-03-30T00:30"]),
    # Berlin, 25 October: 03:00 -> 02:00. What comes twice runs the first time.
    ("02:30", "Europe/Berlin", "2026-10-24T00:00", ["2026-10-24T00:30", "2026-10-25T00:30", "2026-10-26T01:30"]),
    # New York, 8 March and 1 November.
    ("02:30", "America/New_York", "2026-03-07T00:00", ["2026-03-07T07:30", "2026-03-08T07:00", "2026-03-09T06:30"]),
    ("01:30", "America/New_York", "2026-10-31T00:00", ["2026-10-31T05:30", "2026-11-01T05:30", "2026-11-02T06:30"]),
    # Sydney, the other half of the year: 5 April back, 4 October forward.
    ("02:30", "Australia/Sydney", "2026-04-03T12:00", ["2026-04-03T15:30", "2026-04-04T15:30", "2026-04-05T16:30"]),
    ("02:30", "Australia/Sydney", "2026-10-02T12:00", ["2026-10-02T16:30", "2026-10-03T16:00", "2026-10-04T15:30"]),
    # Lord Howe goes forward by half an hour: 02:00 -> 02:30.
    ("02:15", "Australia/Lord_Howe", "2026-10-02T12:00",
     ["2026-10-02T15:45", "2026-10-03T15:30", "2026-10-04T15:15"]),
]  # fmt: skip


@pytest.mark.parametrize(("clock", "zone", "after", "expected"), CHANGES)
def test_days_on_which_the_clocks_change(clock: str, zone: str, after: str, expected: list[str]) -> None:
    times = schedules.upcoming(daily(clock, zone), count=3, after=at(after))
    assert [when.astimezone(UTC) for when in times] == [at(text) for text in expected]


def test_leap_days_and_weekdays_across_them() -> None:
    tuesday = daily("12:00", "UTC", [2])
    times = schedules.upcoming(
        tuesday, count=2, after=at("2028-02-28T13:00")
    )  # a Monday; Tuesday is the 29th
    assert times == [at("2028-02-29T12:00"), at("2028-03-07T12:00")]
    every_day = schedules.upcoming(daily("12:00", "UTC"), count=3, after=at("2028-02-28T00:00"))
    assert [when.day for when in every_day] == [28, 29, 1]
    not_leap = schedules.upcoming(daily("12:00", "UTC"), count=2, after=at("2100-02-28T00:00"))
    assert [(when.month, when.day) for when in not_leap] == [(2, 28), (3, 1)]


def test_every_week_on_several_days_sunday_too() -> None:
    campaign = daily("08:15", "Asia/Tokyo", [7, 1, 3])
    times = schedules.upcoming(campaign, count=4, after=at("2026-11-26T00:00"))
    assert [f"{when:%a %H:%M}" for when in times] == ["Sun 08:15", "Mon 08:15", "Wed 08:15", "Sun 08:15"]
    assert schedules.describe(campaign) == "every Monday, Wednesday and Sunday at 08:15 (Asia/Tokyo)"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"schedule": "daily"}, "schedule_time"),
        ({"schedule": "weekly", "schedule_time": time(9)}, "schedule_days"),
        ({"schedule": "once"}, "schedule_at"),
        ({"schedule": "cron"}, "schedule_cron"),
        ({"schedule": "always_on", "entry": "event"}, "entry_event"),
        ({"schedule": "always_on", "channels": ["email", "meta_ad"]}, "channels"),
        ({"window_start": time(9)}, "window_end"),
        ({"window_start": time(9), "window_end": time(9)}, "window_end"),
        ({"schedule_time_zone": "Europe/Atlantis"}, "schedule_time_zone"),
    ],
)
def test_what_is_missing_is_named(changes: dict[str, object], field: str) -> None:
    campaign = CampaignFactory.build(brand=None, segment=None, **changes)
    with pytest.raises(InvalidInput) as caught:
        schedules.check_campaign(campaign)
    assert caught.value.field == field


# -- downtime ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "now", "runs"),
    [
        (MissedPolicy.RUN_ONCE, "2026-11-25T12:00", "2026-11-25T09:00"),
        (MissedPolicy.SKIP, "2026-11-25T12:00", None),
        (MissedPolicy.SKIP, "2026-11-25T09:15", "2026-11-25T09:00"),  # a little late is not missed
        (MissedPolicy.SKIP, "2026-11-25T09:16", None),
    ],
)
def test_times_missed_while_nothing_ran(policy: str, now: str, runs: str | None) -> None:
    campaign = daily("09:00", "UTC", missed_policy=policy, next_run_at=at("2026-11-01T09:00"))
    with transaction.atomic():
        ((_, when),) = schedules.claim_due(now=at(now))
    assert when == (at(runs) if runs else None)
    campaign.refresh_from_db()
    assert campaign.next_run_at == at("2026-11-26T09:00")
    assert campaign.skipped_at == (None if runs else at("2026-11-25T09:00"))


def test_a_single_launch_that_was_missed_is_skipped_for_good_if_the_campaign_says_so() -> None:
    when = at("2026-11-25T09:00")
    campaign = CampaignFactory(
        whole=False, schedule="once", schedule_at=when, next_run_at=when, missed_policy="skip"
    )
    with transaction.atomic():
        assert schedules.claim_due(now=when + timedelta(hours=2)) == [(campaign, None)]
        assert schedules.claim_due(now=when + timedelta(hours=3)) == []


# -- clocks that jump ----------------------------------------------------------------------------------


def claimed(now: str) -> list[datetime | None]:
    with transaction.atomic():
        return [when for _, when in schedules.claim_due(now=at(now))]


def test_a_clock_that_goes_back_runs_nothing_twice() -> None:
    daily("09:00", "UTC", next_run_at=at("2026-11-25T09:00"))
    assert claimed("2026-11-25T09:00:05") == [at("2026-11-25T09:00")]
    assert claimed("2026-11-25T08:00") == []
    assert claimed("2026-11-25T09:00:05") == []


def test_a_clock_that_went_a_year_ahead_and_came_back_does_not_silence_the_campaign() -> None:
    campaign = daily("09:00", "UTC", next_run_at=at("2026-11-26T09:00"))
    assert claimed("2027-11-25T10:00") == [at("2027-11-25T09:00")]
    campaign.refresh_from_db()
    assert campaign.next_run_at == at("2027-11-26T09:00")
    assert schedules.mend(now=at("2026-11-25T10:00")) == 1
    assert schedules.mend(now=at("2026-11-25T10:00")) == 0
    campaign.refresh_from_db()
    assert (campaign.next_run_at, campaign.status) == (at("2026-11-26T09:00"), CampaignStatus.ACTIVE)
