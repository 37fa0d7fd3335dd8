"""What is on the calendar: runs that were, times to come, and days on which nothing is sent. Reads only."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Any

from django.utils import timezone

from campaigns import schedules
from campaigns.models import Campaign, CampaignStatus, Run, RunStatus, RunTrigger, ScheduleKind
from campaigns.models.timing import Blackout
from personalize.core.errors import DomainError

MOST_TIMES = 2_000  # of one campaign: a month of every half hour
MOST_RUNS = 2_000
SHOWN_EACH = 3  # times of one campaign on one day; more stand as one line


@dataclass(frozen=True, slots=True)
class Item:
    """One line of a day: a run that is there, or a time to come."""

    at: datetime
    campaign_id: int
    name: str
    run_id: int | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Day:
    date: date
    items: tuple[Item, ...]
    blackouts: tuple[str, ...]


def days(*, first: date, last: date, zone: tzinfo, now: datetime | None = None) -> list[Day]:
    """Every day from `first` to `last`, in that zone."""
    now = now or timezone.now()
    start = datetime.combine(first, time(), tzinfo=zone)
    end = datetime.combine(last + timedelta(days=1), time(), tzinfo=zone)
    by_day: dict[date, list[Item]] = defaultdict(list)
    for item in [*_runs(start, end), *_to_come(max(start, now), end)]:
        by_day[item.at.astimezone(zone).date()].append(item)
    closed = list(
        Blackout.objects.filter(first_day__lte=last, last_day__gte=first).select_related("campaign")
    )
    found = []
    day = first
    while day <= last:
        names = tuple(
            f"{each.name} ({each.campaign.name})" if each.campaign else each.name
            for each in closed
            if each.first_day <= day <= each.last_day
        )
        found.append(Day(day, tuple(_fold(sorted(by_day[day], key=lambda item: item.at))), names))
        day += timedelta(days=1)
    return found


def _runs(start: datetime, end: datetime) -> list[Item]:
    rows = Run.objects.filter(scheduled_for__gte=start, scheduled_for__lt=end).exclude(
        trigger=RunTrigger.COMPOSE
    )
    return [
        Item(
            at=run.scheduled_for,
            campaign_id=run.campaign_id,
            name=run.campaign.name,
            run_id=run.pk,
            note="" if run.status == RunStatus.OPEN else str(RunStatus(run.status).label).lower(),
        )
        for run in rows.select_related("campaign").order_by("scheduled_for")[:MOST_RUNS]
    ]


def _to_come(start: datetime, end: datetime) -> list[Item]:
    """Times of active campaigns. An always-on campaign has none: it stands in the list beside the calendar."""
    found: list[Item] = []
    rows: Any = Campaign.objects.filter(status=CampaignStatus.ACTIVE, next_run_at__isnull=False)
    for campaign in rows.exclude(schedule__in=(ScheduleKind.MANUAL, ScheduleKind.ALWAYS_ON)):
        try:
            times = schedules.upcoming(
                campaign, count=MOST_TIMES, after=start - timedelta(seconds=1), until=end
            )
        except DomainError:
            continue
        found += [Item(at=when, campaign_id=campaign.pk, name=campaign.name) for when in times]
    return found


def _fold(items: list[Item]) -> list[Item]:
    """Many times of one campaign on one day as its first and how often."""
    planned: dict[int, list[Item]] = defaultdict(list)
    for item in items:
        if item.run_id is None:
            planned[item.campaign_id].append(item)
    shown = []
    for item in items:
        mine = planned[item.campaign_id]
        if item.run_id is not None or len(mine) <= SHOWN_EACH:
            shown.append(item)
        elif item is mine[0]:
            shown.append(Item(item.at, item.campaign_id, item.name, note=f"{len(mine)} times this day"))
    return shown
