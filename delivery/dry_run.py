"""Before anything is written or sent: who would get it, when, and who would not, because of what. Reads only.

It asks the same questions as a launch and a claim, of everybody in the segment, as if the pieces were approved and
due at `at`. What a launch makes and what a claim lets through is what stands here, as long as nothing changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from django.db.models import Case, CharField, Count, Exists, OuterRef, Q, QuerySet, Value, When
from django.utils import timezone

from campaigns import briefs, consent, segments, timing
from campaigns.models import (
    Campaign,
    CampaignStatus,
    Channel,
    Consent,
    ConsentStatus,
    EntryKind,
    Profile,
    ScheduleKind,
)
from campaigns.models.channels import AD_CHANNELS, PERSONAL_CHANNELS
from campaigns.models.privacy import MARKETING
from campaigns.models.timing import Entry
from delivery import caps, exports
from delivery.models import HoldReason
from generation import arms
from personalize.core.errors import InvalidInput

NOW = "now"
WOULD = "would"
WOULD_NOT = "would_not"
MOST_PEOPLE = 200  # on one page


class Reason(StrEnum):
    """Why somebody of the segment would get nothing."""

    NO_CONSENT = "no_consent"
    CONSENT_WITHDRAWN = "consent_withdrawn"
    NO_ADDRESS = "no_address"
    SUPPRESSED = "suppressed"
    SAME_ADDRESS = "same_address"
    PRESENT = "present_before"
    HAD_IT = "had_it"
    NO_HOUR = "no_hour"
    HELD_OUT = "held_out"


WORDS: dict[str, str] = {
    Reason.NO_CONSENT: "they never agreed to this channel",
    Reason.CONSENT_WITHDRAWN: "they withdrew their consent to this channel",
    Reason.NO_ADDRESS: "there is no address for this channel",
    Reason.SUPPRESSED: "their address is on the suppression list",
    Reason.SAME_ADDRESS: "an older profile has the same address and gets it",
    Reason.PRESENT: "they were in the segment before the campaign started, so they do not enter",
    Reason.HAD_IT: "they had this campaign already and may not enter again yet",
    Reason.NO_HOUR: "sending hours, quiet hours and blackouts leave no time for them",
    Reason.HELD_OUT: "they are in the hold-out that the campaign is measured against",
    NOW: "at once",
    HoldReason.WINDOW: "later: when the campaign's sending hours begin where they live",
    HoldReason.QUIET: "later: after the quiet hours where they live",
    HoldReason.BLACKOUT: "later: after the days on which nothing is sent",
    HoldReason.CAP: "later: they have had as many messages as the frequency cap allows",
}
LATER = tuple(HoldReason.values)
CHOICES = (WOULD, WOULD_NOT, NOW, *LATER, *Reason)


@dataclass(frozen=True, slots=True)
class Line:
    """One person and channel. `at`: when it would leave; None when it would not."""

    profile_id: int
    external_id: str
    channel: str
    reason: str
    at: datetime | None

    @property
    def would(self) -> bool:
        return self.at is not None

    @property
    def short(self) -> str:
        return WORDS[self.reason]

    @property
    def words(self) -> str:
        verb = "would get it" if self.would else "would not, because"
        return f"{verb} {WORDS[self.reason]}"


@dataclass(slots=True)
class ChannelReport:
    channel: str
    would: dict[str, int] = field(default_factory=dict)  # now or why later -> people
    would_not: dict[str, int] = field(default_factory=dict)

    @property
    def label(self) -> str:
        return str(Channel(self.channel).label)

    @property
    def gets(self) -> int:
        return sum(self.would.values())

    @property
    def gets_not(self) -> int:
        return sum(self.would_not.values())


@dataclass(frozen=True, slots=True)
class Report:
    """`problems` keep the whole campaign from being launched, whatever stands below."""

    campaign: Campaign
    at: datetime
    audience: int
    channels: tuple[ChannelReport, ...]
    ads: tuple[str, ...]
    problems: tuple[str, ...]

    @property
    def would(self) -> int:
        return sum(channel.gets for channel in self.channels)

    @property
    def would_not(self) -> int:
        return sum(channel.gets_not for channel in self.channels)


class DryRun:
    """A campaign as it would go at one time. Raises SegmentNotReady for 'people like …' not read yet."""

    def __init__(self, campaign: Campaign, *, at: datetime | None = None) -> None:
        self.campaign = campaign
        self.at = at or campaign.next_run_at or timezone.now()
        self._audience = segments.audience(campaign.segment) if campaign.segment else Profile.objects.none()
        self._rules = timing.rules_of(campaign)
        self._split = arms.split_of(campaign)
        self._full: dict[str, dict[int, datetime]] = {}

    @property
    def personal(self) -> list[str]:
        return [channel for channel in PERSONAL_CHANNELS if channel in self.campaign.channels]

    def report(self) -> Report:
        """Counts by channel and reason."""
        return Report(
            campaign=self.campaign,
            at=self.at,
            audience=self._audience.count(),
            channels=tuple(self._channel(channel) for channel in self.personal),
            ads=tuple(channel for channel in AD_CHANNELS if channel in self.campaign.channels),
            problems=tuple(self._problems()),
        )

    def people(
        self, *, channel: str, reason: str = "", search: str = "", after: int = 0, limit: int = 50
    ) -> tuple[list[Line], int | None]:
        """A page of people by profile id, and the id to go on after (None: that was all).

        `reason`: one of CHOICES, or '' for everybody; `search`: part of the CRM's id, address or name.
        """
        if channel not in self.personal:
            raise InvalidInput(
                f"This campaign writes to nobody by '{channel}'. Choose one of: {', '.join(self.personal)}.",
                field="channel",
            )
        if reason and reason not in CHOICES:
            raise InvalidInput(f"The reason must be one of: {', '.join(CHOICES)}.", field="reason")
        rows = self._judged(channel).filter(self._having(channel, reason), pk__gt=after)
        if wanted := search.strip():
            names = ("external_id", "email", "first_name", "last_name")
            found = Q()
            for name in names:
                found |= Q(**{f"{name}__icontains": wanted})
            rows = rows.filter(found)
        limit = max(1, min(limit, MOST_PEOPLE))
        page = list(rows.order_by("pk").values_list("pk", "external_id", "verdict", "time_zone")[: limit + 1])
        lines = [self._line(channel, *row) for row in page[:limit]]
        return lines, lines[-1].profile_id if len(page) > limit else None

    # -- one channel -------------------------------------------------------------------------------

    def _channel(self, channel: str) -> ChannelReport:
        found = ChannelReport(channel)
        counted = self._judged(channel).order_by().values("verdict", "time_zone").annotate(n=Count("pk"))
        full = self._capped(channel)
        for row in counted:
            if row["verdict"]:
                _add(found.would_not, row["verdict"], row["n"])
                continue
            free = row["n"]
            if full:
                mine = self._judged(channel).filter(verdict="", time_zone=row["time_zone"], pk__in=list(full))
                for profile_id in mine.values_list("pk", flat=True):
                    self._count(found, channel, self._line(channel, profile_id, "", "", row["time_zone"]), 1)
                    free -= 1
            if free:
                self._count(found, channel, self._line(channel, 0, "", "", row["time_zone"]), free)
        return found

    def _count(self, found: ChannelReport, channel: str, line: Line, people: int) -> None:
        _add(found.would if line.would else found.would_not, line.reason, people)

    def _line(self, channel: str, profile_id: int, external_id: str, verdict: str, zone: str) -> Line:
        if verdict:
            return Line(profile_id, external_id, channel, verdict, None)
        now, reason = self.at, NOW
        if full := self._capped(channel).get(profile_id):
            now, reason = full, str(HoldReason.CAP.value)
        if channel not in exports.FILE_CHANNELS:  # a file has no hour
            slot = self._rules.slot(zone, now)
            if slot.at is None:
                return Line(profile_id, external_id, channel, str(Reason.NO_HOUR), None)
            if slot.why is not None:
                now = slot.at
                reason = str(slot.why) if reason == NOW else reason
        return Line(profile_id, external_id, channel, reason, now)

    def _capped(self, channel: str) -> dict[int, datetime]:
        if channel not in self._full:
            readers = self._audience.order_by().values("pk")
            self._full[channel] = caps.full_until(readers, caps=timing.caps_on(channel), now=self.at)
        return self._full[channel]

    def _having(self, channel: str, reason: str) -> Q:
        """The people to whom this reason applies, as a condition on `_judged`."""
        if not reason:
            return Q()
        if reason in (*Reason, WOULD_NOT) and reason != Reason.NO_HOUR:
            never = Q(verdict="", time_zone__in=self._zones(channel, {Reason.NO_HOUR}))
            return ~Q(verdict="") | never if reason == WOULD_NOT else Q(verdict=reason)
        free = Q(verdict="")
        capped = Q(pk__in=list(self._capped(channel)))
        if reason == WOULD:
            return free & ~Q(time_zone__in=self._zones(channel, {Reason.NO_HOUR}))
        if reason == HoldReason.CAP:
            return free & capped
        kept = free & Q(time_zone__in=self._zones(channel, {reason}))
        return kept if reason == Reason.NO_HOUR else kept & ~capped

    def _zones(self, channel: str, reasons: Iterable[str]) -> list[str]:
        zones = self._audience.order_by().values_list("time_zone", flat=True).distinct()
        wanted = {str(reason) for reason in reasons}
        return [zone for zone in zones if self._line(channel, 0, "", "", zone).reason in wanted]

    def _judged(self, channel: str) -> QuerySet[Any]:
        """The audience, each with `verdict`: '' for who would get it, else a Reason. In the order of the checks."""
        mine = Consent.objects.filter(profile=OuterRef("pk"), channel=channel, purpose=MARKETING)
        allowed = consent.may_receive(self._audience, channel=channel)
        once = consent.one_per_address(allowed, channel=channel)
        cases = [
            *self._entry_cases(),
            When(
                Exists(mine.filter(status=ConsentStatus.WITHDRAWN)), then=Value(str(Reason.CONSENT_WITHDRAWN))
            ),
            When(~Exists(mine.filter(status=ConsentStatus.GIVEN)), then=Value(str(Reason.NO_CONSENT))),
            When(consent.without_address(channel), then=Value(str(Reason.NO_ADDRESS))),
            When(~Q(pk__in=allowed.order_by().values("pk")), then=Value(str(Reason.SUPPRESSED))),
            When(~Q(pk__in=once.order_by().values("pk")), then=Value(str(Reason.SAME_ADDRESS))),
        ]
        people = self._audience
        if self._split.holdout:
            people = people.alias(arm_bucket=arms.bucket_expression(self.campaign.pk))
            cases.append(When(arm_bucket__lt=self._split.holdout, then=Value(str(Reason.HELD_OUT))))
        return people.annotate(verdict=Case(*cases, default=Value(""), output_field=CharField()))

    def _entry_cases(self) -> list[When]:
        campaign = self.campaign
        if campaign.schedule != ScheduleKind.ALWAYS_ON:
            return []
        entered = Entry.objects.filter(campaign=campaign, profile=OuterRef("pk"))
        had = entered.filter(times__gt=0)
        if campaign.reentry_days:
            had = had.filter(started_at__gt=self.at - timedelta(days=campaign.reentry_days))
        cases = [When(Exists(had), then=Value(str(Reason.HAD_IT)))]
        if campaign.entry == EntryKind.SEGMENT and not campaign.takes_present:
            present = entered.filter(is_inside=True, times=0, waits_since=None)
            started = campaign.watched_from is not None
            cases.append(
                When(Exists(present) if started else Q(pk__isnull=False), then=Value(str(Reason.PRESENT)))
            )
        return cases

    def _problems(self) -> list[str]:
        found = [problem.message for problem in briefs.problems(self.campaign)]
        if self.campaign.status in (CampaignStatus.PAUSED, CampaignStatus.ARCHIVED):
            label = CampaignStatus(self.campaign.status).label.lower()
            found.append(f"The campaign is {label}: nothing of it leaves.")
        ending = self.campaign.values.filter(valid_until__gt=timezone.now(), valid_until__lte=self.at)
        found += [
            f"The value {value.name} is valid until {value.valid_until:%d %B %Y, %H:%M} UTC, before that time: "
            "what says it goes back to review."
            for value in ending.order_by("name")
        ]
        return found


def _add(counts: dict[str, int], reason: str, people: int) -> None:
    counts[reason] = counts.get(reason, 0) + people


def words_of(counts: dict[str, int], order: Sequence[str] = CHOICES) -> list[tuple[str, str, int]]:
    """(reason, words, people), in the order of the checks."""
    return [(reason, WORDS[reason], counts[reason]) for reason in order if counts.get(reason)]
