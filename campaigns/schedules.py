"""When a campaign runs: the next times, and the claim of those that are due.

Every kind of schedule that repeats is a cron expression, read in the campaign's own time zone by cronsim (Debian
cron's rules, also for daylight saving: a time that does not exist runs right after the gap, one that exists twice
runs once). After downtime the latest missed time runs, once, or none does, as the campaign says.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import structlog
from cronsim import CronSim, CronSimError
from django.contrib.auth.models import AbstractBaseUser, PermissionsMixin
from django.db import transaction
from django.utils import timezone

from campaigns import brand_access
from campaigns.models import Campaign, CampaignStatus, EntryKind, MissedPolicy, ScheduleKind, Weekday
from campaigns.models.channels import PERSONAL_CHANNELS
from personalize.core.errors import DomainError, InvalidInput, NotAllowed

log = structlog.get_logger(__name__)

MISSED_AFTER = timedelta(minutes=15)  # later than that, a time counts as missed
LOOK_EVERY = timedelta(minutes=1)  # how often an always-on campaign looks who has entered
_UTC = ZoneInfo("UTC")


class CampaignClosed(DomainError):
    """The campaign's status does not allow it."""

    code = "campaign_closed"


def check(*, cron: str, time_zone: str) -> None:
    """Raise InvalidInput naming the field if the expression or the zone cannot be read or never comes due."""
    here = zone(time_zone)
    if len(cron.split()) != 5:
        raise InvalidInput(
            "A cron expression has five parts: minute, hour, day, month, weekday. '0 9 * * MON' is Mondays at nine.",
            field="schedule_cron",
        )
    try:
        next(CronSim(cron.upper(), timezone.now().astimezone(here)))
    except CronSimError as error:
        raise InvalidInput(f"The cron expression cannot be read: {error}.", field="schedule_cron") from error
    except StopIteration as error:
        raise InvalidInput(
            "The cron expression names a day that never comes.", field="schedule_cron"
        ) from error


def check_campaign(campaign: Campaign) -> None:
    """Raise InvalidInput naming the field that keeps the campaign's schedule or sending hours from being one."""
    zone(campaign.schedule_time_zone)
    match ScheduleKind(campaign.schedule):
        case ScheduleKind.ONCE if campaign.schedule_at is None:
            raise InvalidInput("Choose the time of the launch.", field="schedule_at")
        case ScheduleKind.DAILY | ScheduleKind.WEEKLY if campaign.schedule_time is None:
            raise InvalidInput("Choose the time of day.", field="schedule_time")
        case ScheduleKind.WEEKLY if not campaign.schedule_days:
            raise InvalidInput("Choose at least one day of the week.", field="schedule_days")
        case ScheduleKind.CRON if not campaign.schedule_cron:
            raise InvalidInput("Say when: '0 9 * * MON' is Mondays at nine.", field="schedule_cron")
        case ScheduleKind.CRON:
            check(cron=campaign.schedule_cron, time_zone=campaign.schedule_time_zone)
        case ScheduleKind.ALWAYS_ON:
            _check_entry(campaign)
        case _:
            pass
    if (campaign.window_start is None) != (campaign.window_end is None):
        missing = "window_end" if campaign.window_end is None else "window_start"
        raise InvalidInput("Sending hours have a beginning and an end.", field=missing)
    if campaign.window_start is not None and campaign.window_start == campaign.window_end:
        raise InvalidInput(
            "Sending hours cannot begin and end at the same time. Leave both empty for any hour.",
            field="window_end",
        )


def _check_entry(campaign: Campaign) -> None:
    if not set(campaign.channels) <= set(PERSONAL_CHANNELS):
        raise InvalidInput(
            "An always-on campaign writes to people as they enter. Make another campaign for the ads.",
            field="channels",
        )
    if campaign.entry == EntryKind.EVENT and not campaign.entry_event:
        raise InvalidInput("Name the event, such as purchased.", field="entry_event")
    if campaign.reentry_days == 0:
        raise InvalidInput("Again after at least one day; empty means never again.", field="reentry_days")


def expression(campaign: Campaign) -> str:
    """The cron expression of a schedule that repeats, or ''."""
    at = campaign.schedule_time
    match ScheduleKind(campaign.schedule):
        case ScheduleKind.CRON:
            return campaign.schedule_cron.upper()
        case ScheduleKind.DAILY if at is not None:
            return f"{at.minute} {at.hour} * * *"
        case ScheduleKind.WEEKLY if at is not None and campaign.schedule_days:
            days = ",".join(str(day % 7) for day in sorted(set(campaign.schedule_days)))
            return f"{at.minute} {at.hour} * * {days}"
        case _:
            return ""


def describe(campaign: Campaign) -> str:
    """The schedule in one line of English."""
    at = f"{campaign.schedule_time:%H:%M}" if campaign.schedule_time else "?"
    where = campaign.schedule_time_zone
    match ScheduleKind(campaign.schedule):
        case ScheduleKind.ONCE if campaign.schedule_at is not None:
            return f"once, {campaign.schedule_at.astimezone(zone(where)):%d %b %Y, %H:%M} ({where})"
        case ScheduleKind.DAILY:
            return f"every day at {at} ({where})"
        case ScheduleKind.WEEKLY:
            days = [Weekday(day).label for day in sorted(set(campaign.schedule_days))]
            return f"every {' and '.join(filter(None, (', '.join(days[:-1]), *days[-1:])))} at {at} ({where})"
        case ScheduleKind.CRON:
            return f"by cron, {campaign.schedule_cron} ({where})"
        case ScheduleKind.ALWAYS_ON:
            what = (
                f"does '{campaign.entry_event}'"
                if campaign.entry == EntryKind.EVENT
                else "enters the segment"
            )
            again = f"again after {campaign.reentry_days} days" if campaign.reentry_days else "once a person"
            return f"always on: whenever somebody {what}, {again}"
        case _:
            return "when somebody launches it"


def next_time(campaign: Campaign, *, after: datetime) -> datetime | None:
    """The first scheduled time later than `after`, in UTC; None when there is none."""
    if campaign.schedule == ScheduleKind.ALWAYS_ON:
        return after + LOOK_EVERY
    return next(_times(campaign, after), None)


def upcoming(
    campaign: Campaign, *, count: int = 5, after: datetime | None = None, until: datetime | None = None
) -> list[datetime]:
    """The next `count` times (those before `until`), in the campaign's own zone, for showing."""
    here = zone(campaign.schedule_time_zone)
    found = []
    for when in islice(_times(campaign, after or timezone.now()), count):
        if until is not None and when >= until:
            break
        found.append(when.astimezone(here))
    return found


@transaction.atomic
def activate(*, campaign: Campaign, by: AbstractBaseUser | None, now: datetime | None = None) -> Campaign:
    """Start or resume the schedule. A manual campaign becomes launchable; an archived one is refused."""
    now = now or timezone.now()
    stored = _locked(campaign, by)
    if stored.status == CampaignStatus.ARCHIVED:
        raise CampaignClosed("An archived campaign cannot be started. Copy it instead.")
    check_campaign(stored)
    due = next_time(stored, after=now)
    if stored.schedule == ScheduleKind.ONCE and due is None:
        raise InvalidInput("The launch time is already past. Choose a later one.", field="schedule_at")
    if stored.schedule == ScheduleKind.ALWAYS_ON:
        due = now  # its first look says who is in the segment already
    return _set(stored, status=CampaignStatus.ACTIVE, next_run_at=due, held_because="")


@transaction.atomic
def pause(*, campaign: Campaign, by: AbstractBaseUser | None) -> Campaign:
    """Stop writing and sending of all its runs and start no new one, until `activate`. Idempotent."""
    stored = _locked(campaign, by)
    if stored.status not in {CampaignStatus.ACTIVE, CampaignStatus.PAUSED}:
        raise CampaignClosed("Only an active campaign can be paused.")
    return _set(stored, status=CampaignStatus.PAUSED, next_run_at=None, held_because=stored.held_because)


@transaction.atomic
def archive(*, campaign: Campaign, by: AbstractBaseUser | None) -> Campaign:
    """Close it for good: no new runs; what its runs hold stays to be read."""
    return _set(_locked(campaign, by), status=CampaignStatus.ARCHIVED, next_run_at=None, held_because="")


def hold(*, campaign: Campaign, reason: str) -> None:
    """Pause a campaign whose scheduled launch was impossible, and say why on its page."""
    Campaign.objects.filter(pk=campaign.pk).update(
        status=CampaignStatus.PAUSED, next_run_at=None, held_because=reason[:300], updated_at=timezone.now()
    )


def claim_due(
    *, now: datetime, limit: int = 1, skip: Collection[int] = ()
) -> list[tuple[Campaign, datetime | None]]:
    """Lock up to `limit` campaigns that are due, move their next time on, and return them with the time to run.

    The time is None when it was missed and the campaign skips those. Call inside the transaction that opens the
    runs: if that rolls back, they are due again. Rows that another beat has locked are skipped, as are the ids in
    `skip`; Run's unique (campaign, scheduled_for) holds whatever happens.
    """
    due = list(
        Campaign.objects.select_for_update(skip_locked=True, of=("self",))
        .filter(status=CampaignStatus.ACTIVE, next_run_at__lte=now)
        .exclude(pk__in=skip)
        .order_by("next_run_at", "id")[:limit]
    )
    claimed: list[tuple[Campaign, datetime | None]] = []
    for campaign in due:
        assert campaign.next_run_at is not None
        when = _latest_due(campaign, campaign.next_run_at, now)
        campaign.next_run_at = next_time(campaign, after=now)
        skipped = _is_skipped(campaign, when, now)
        if skipped:
            campaign.skipped_at = when
            log.warning("missed_time_skipped", campaign_id=campaign.pk, scheduled_for=when.isoformat())
        # `updated_at` is left alone: nobody changed the campaign, and delivery looks anew when somebody does.
        Campaign.objects.filter(pk=campaign.pk).update(
            next_run_at=campaign.next_run_at, skipped_at=campaign.skipped_at
        )
        claimed.append((campaign, None if skipped else when))
    return claimed


def mend(*, now: datetime) -> int:
    """Bring forward next times that a jump of the clock, there and back, left too far ahead; how many.

    A time that comes round twice by this finds its run made already.
    """
    mended = 0
    rows = Campaign.objects.filter(status=CampaignStatus.ACTIVE, next_run_at__gt=now + LOOK_EVERY)
    for campaign in rows.exclude(schedule=ScheduleKind.MANUAL):
        expected = next_time(campaign, after=now)
        if expected is not None and campaign.next_run_at is not None and expected < campaign.next_run_at:
            mended += Campaign.objects.filter(pk=campaign.pk, next_run_at=campaign.next_run_at).update(
                next_run_at=expected
            )
    if mended:
        log.warning("next_times_mended", campaigns=mended)
    return mended


def zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise InvalidInput(
            f"'{name}' is no time zone. Use a name such as Europe/Berlin.", field="schedule_time_zone"
        ) from error


def _is_skipped(campaign: Campaign, when: datetime, now: datetime) -> bool:
    if campaign.missed_policy != MissedPolicy.SKIP or campaign.schedule == ScheduleKind.ALWAYS_ON:
        return False
    return when < now - MISSED_AFTER


def _latest_due(campaign: Campaign, first: datetime, now: datetime) -> datetime:
    """The newest scheduled time not after `now`; `first` when the schedule has changed meanwhile."""
    cron = expression(campaign)
    if not cron:
        return first
    latest = first
    # Backwards from now: one step, however long the downtime was.
    here = (now + timedelta(minutes=1)).astimezone(zone(campaign.schedule_time_zone))
    for when in islice(CronSim(cron, here, reverse=True), 2):
        if when <= now:
            latest = max(first, when.astimezone(_UTC))
            break
    return latest


def _times(campaign: Campaign, after: datetime) -> Iterator[datetime]:
    if campaign.schedule == ScheduleKind.ONCE and campaign.schedule_at and campaign.schedule_at > after:
        yield campaign.schedule_at
    if cron := expression(campaign):
        here = zone(campaign.schedule_time_zone)
        try:
            for when in CronSim(cron, after.astimezone(here)):
                yield when.astimezone(_UTC)
        except CronSimError as error:
            raise InvalidInput(
                f"The cron expression cannot be read: {error}.", field="schedule_cron"
            ) from error


def _locked(campaign: Campaign, by: AbstractBaseUser | None) -> Campaign:
    """The stored row under a lock, after checking that `by` may launch. None is the system itself."""
    if isinstance(by, PermissionsMixin) and not by.has_perm("campaigns.launch_campaign"):
        raise NotAllowed("You may not launch or pause campaigns. Ask somebody with the launch permission.")
    stored = Campaign.objects.select_for_update(of=("self",)).get(pk=campaign.pk)
    brand_access.check(by, stored.brand_id)
    return stored


def _set(
    campaign: Campaign, *, status: CampaignStatus, next_run_at: datetime | None, held_because: str
) -> Campaign:
    campaign.status, campaign.next_run_at, campaign.held_because = status, next_run_at, held_because
    if status == CampaignStatus.ACTIVE:
        campaign.skipped_at = None
    campaign.save(update_fields=["status", "next_run_at", "held_because", "skipped_at", "updated_at"])
    return campaign
