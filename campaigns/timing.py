"""The rules of sending as they stand: of one campaign, of all campaigns, and for each reader."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q

from campaigns.models import Campaign
from campaigns.models.timing import Blackout, FrequencyCap, SendingRules
from campaigns.sending_times import Hours, Rules

EVERYTHING = "all"  # the limit of all campaigns together


@dataclass(frozen=True, slots=True)
class Cap:
    """At most `most` messages within `days`, on one channel or ('') on all together."""

    channel: str
    most: int
    days: int


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `per_minute` messages of what `name` stands for."""

    name: str
    per_minute: int


def general() -> SendingRules:
    """The rules of all campaigns; empty ones while nobody has set any."""
    return SendingRules.objects.filter(pk=1).first() or SendingRules(pk=1)


def rules_of(campaign: Campaign) -> Rules:
    """Sending hours, quiet hours and blackouts that hold for this campaign's readers."""
    all_campaigns = general()
    window = quiet = None
    if campaign.window_start is not None and campaign.window_end is not None:
        window = Hours(campaign.window_start, campaign.window_end)
    if all_campaigns.quiet_from is not None and all_campaigns.quiet_until is not None:
        quiet = Hours(all_campaigns.quiet_from, all_campaigns.quiet_until)
    days = Blackout.objects.filter(Q(campaign=campaign) | Q(campaign=None))
    return Rules(
        fallback=campaign.schedule_time_zone,
        window=window,
        window_days=frozenset(campaign.window_days),
        quiet=quiet,
        blackouts=tuple(days.values_list("first_day", "last_day")),
    )


def caps_on(channel: str) -> list[Cap]:
    """The caps that a message on this channel counts against."""
    rows = FrequencyCap.objects.filter(channel__in=("", channel))
    return [Cap(*row) for row in rows.values_list("channel", "most", "days")]


def limits_of(campaign: Campaign) -> list[Limit]:
    """The limits a minute that a message of this campaign counts against, its own first."""
    found = []
    if campaign.per_minute:
        found.append(Limit(f"campaign-{campaign.pk}", campaign.per_minute))
    if total := general().per_minute:
        found.append(Limit(EVERYTHING, total))
    return found


def changed_at(now: datetime) -> datetime | None:
    """When the rules of all campaigns were last changed; None: never. Not after `now`."""
    changed = SendingRules.objects.filter(pk=1).values_list("updated_at", flat=True).first()
    return None if changed is None else min(changed, now)
