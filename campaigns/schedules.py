"""When a campaign runs: the next times, and the claim of those that are due.

Cron expressions are read in the campaign's own time zone by cronsim (Debian cron's rules, also for daylight
saving: a time that does not exist runs right after the gap, one that exists twice runs once). Missed times: after
downtime the latest missed time runs, once; the older ones are skipped.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime
from itertools import islice
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from django.contrib.auth.models import AbstractBaseUser, PermissionsMixin
from django.db import transaction
from django.utils import timezone

from campaigns.models import Campaign, CampaignStatus, ScheduleKind
from personalize.core.errors import DomainError, InvalidInput, NotAllowed


class CampaignClosed(DomainError):
    """The campaign's status does not allow it."""

    code = "campaign_closed"


def check(*, cron: str, time_zone: str) -> None:
    """Raise InvalidInput naming the field if the expression or the zone cannot be read or never comes due."""
    zone = _zone(time_zone)
    if len(cron.split()) != 5:
        raise InvalidInput(
            "A cron expression has five parts: minute, hour, day, month, weekday. '0 9 * * MON' is Mondays at nine.",
            field="schedule_cron",
        )
    try:
        next(CronSim(cron.upper(), timezone.now().astimezone(zone)))
    except CronSimError as error:
        raise InvalidInput(f"The cron expression cannot be read: {error}.", field="schedule_cron") from error
    except StopIteration as error:
        raise InvalidInput(
            "The cron expression names a day that never comes.", field="schedule_cron"
        ) from error


def next_time(campaign: Campaign, *, after: datetime) -> datetime | None:
    """The first scheduled time later than `after`, in UTC; None when there is none."""
    return next(_times(campaign, after), None)


def upcoming(campaign: Campaign, *, count: int = 5, after: datetime | None = None) -> list[datetime]:
    """The next `count` times, in the campaign's own zone, for showing."""
    zone = _zone(campaign.schedule_time_zone)
    return [when.astimezone(zone) for when in islice(_times(campaign, after or timezone.now()), count)]


@transaction.atomic
def activate(*, campaign: Campaign, by: AbstractBaseUser | None, now: datetime | None = None) -> Campaign:
    """Start or resume the schedule. A manual campaign becomes launchable; an archived one is refused."""
    now = now or timezone.now()
    stored = _locked(campaign, by)
    if stored.status == CampaignStatus.ARCHIVED:
        raise CampaignClosed("An archived campaign cannot be started. Copy it instead.")
    due = next_time(stored, after=now)
    if stored.schedule == ScheduleKind.ONCE and due is None:
        raise InvalidInput("The launch time is already past. Choose a later one.", field="schedule_at")
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
) -> list[tuple[Campaign, datetime]]:
    """Lock up to `limit` campaigns that are due, move their next time on, and return them with the time to run.

    Call inside the transaction that opens the runs: if that rolls back, they are due again. Rows that another
    beat has locked are skipped, as are the ids in `skip`; Run's unique (campaign, scheduled_for) holds whatever
    happens.
    """
    due = list(
        Campaign.objects.select_for_update(skip_locked=True, of=("self",))
        .filter(status=CampaignStatus.ACTIVE, next_run_at__lte=now)
        .exclude(pk__in=skip)
        .order_by("next_run_at", "id")[:limit]
    )
    claimed = []
    for campaign in due:
        assert campaign.next_run_at is not None
        when = _latest_due(campaign, campaign.next_run_at, now)
        campaign.next_run_at = next_time(campaign, after=now)
        Campaign.objects.filter(pk=campaign.pk).update(
            next_run_at=campaign.next_run_at, updated_at=timezone.now()
        )
        claimed.append((campaign, when))
    return claimed


def _latest_due(campaign: Campaign, first: datetime, now: datetime) -> datetime:
    """The newest scheduled time not after `now`; `first` when the schedule has changed meanwhile."""
    if campaign.schedule != ScheduleKind.CRON:
        return first
    zone = _zone(campaign.schedule_time_zone)
    latest = first
    # Backwards from now: one step, however long the downtime was.
    for when in islice(CronSim(campaign.schedule_cron.upper(), now.astimezone(zone), reverse=True), 1):
        latest = max(first, when.astimezone(ZoneInfo("UTC")))
    return latest


def _times(campaign: Campaign, after: datetime) -> Iterator[datetime]:
    if campaign.schedule == ScheduleKind.ONCE and campaign.schedule_at and campaign.schedule_at > after:
        yield campaign.schedule_at
    if campaign.schedule == ScheduleKind.CRON:
        zone = _zone(campaign.schedule_time_zone)
        try:
            for when in CronSim(campaign.schedule_cron.upper(), after.astimezone(zone)):
                yield when.astimezone(ZoneInfo("UTC"))
        except CronSimError as error:
            raise InvalidInput(
                f"The cron expression cannot be read: {error}.", field="schedule_cron"
            ) from error


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise InvalidInput(
            f"'{name}' is no time zone. Use a name such as Europe/Berlin.", field="schedule_time_zone"
        ) from error


def _locked(campaign: Campaign, by: AbstractBaseUser | None) -> Campaign:
    """The stored row under a lock, after checking that `by` may launch. None is the system itself."""
    if isinstance(by, PermissionsMixin) and not by.has_perm("campaigns.launch_campaign"):
        raise NotAllowed("You may not launch or pause campaigns. Ask somebody with the launch permission.")
    return Campaign.objects.select_for_update(of=("self",)).get(pk=campaign.pk)


def _set(
    campaign: Campaign, *, status: CampaignStatus, next_run_at: datetime | None, held_because: str
) -> Campaign:
    campaign.status, campaign.next_run_at, campaign.held_because = status, next_run_at, held_because
    campaign.save(update_fields=["status", "next_run_at", "held_because", "updated_at"])
    return campaign
