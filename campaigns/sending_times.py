"""When a message may leave: sending hours, quiet hours and days without mail, in the reader's own time zone. Pure.

`Rules.allows` answers for one reader's zone: the first moment, from now on, at which nothing stands against it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import cached_property
from zoneinfo import ZoneInfo

DAYS_AHEAD = 400  # further than that nothing is looked for: the reader would get it never


class Why(StrEnum):
    """What keeps a message back. The same words as delivery's HoldReason."""

    WINDOW = "window"
    QUIET = "quiet"
    BLACKOUT = "blackout"


@dataclass(frozen=True, slots=True)
class Hours:
    """From `start` until before `end`; past midnight when `end` is the earlier one."""

    start: time
    end: time

    def contains(self, clock: time) -> bool:
        if self.start <= self.end:
            return self.start <= clock < self.end
        return clock >= self.start or clock < self.end


@dataclass(frozen=True, slots=True)
class Slot:
    """When a message may leave: now if `why` is None. `at` is None when it never may."""

    at: datetime | None
    why: Why | None


@dataclass(frozen=True)
class Rules:
    """All that holds for one campaign. `fallback` is the zone of readers who have none of their own."""

    fallback: str
    window: Hours | None = None
    window_days: frozenset[int] = frozenset()  # ISO weekdays; empty: every day
    quiet: Hours | None = None
    blackouts: Sequence[tuple[date, date]] = ()
    _known: dict[tuple[str, datetime], Slot] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def are_empty(self) -> bool:
        return not (self.window or self.window_days or self.quiet or self.blackouts)

    def slot(self, zone: str, now: datetime) -> Slot:
        """For a reader in `zone` ('' or an unknown one: the fallback), the first moment from `now` on."""
        if self.are_empty:
            return Slot(now, None)
        key = (zone, now)
        if key not in self._known:
            self._known[key] = self._find(_zone(zone, self.fallback), now)
        return self._known[key]

    def _find(self, zone: ZoneInfo, now: datetime) -> Slot:
        moment, first = now, None
        last = now + timedelta(days=DAYS_AHEAD)
        while moment < last:
            local = moment.astimezone(zone)
            why, until = self._against(local)
            if why is None:
                return Slot(moment, first)
            first = first or why
            # Wall clocks: the zone says what moment that is, also on days when the clocks change. A step never
            # goes back: an hour that comes twice could otherwise end before it began.
            moment = max(_moment(until, zone), moment + timedelta(minutes=1))
        return Slot(None, first)

    def _against(self, local: datetime) -> tuple[Why | None, datetime]:
        """What stands against this wall-clock time, and the wall-clock time at which to look again."""
        clock, today = local.time(), local.date()
        for first_day, last_day in self.blackouts:
            if first_day <= today <= last_day:
                return Why.BLACKOUT, _at(last_day + timedelta(days=1), time())
        if self.quiet and self.quiet.contains(clock):
            return Why.QUIET, _next(local, self.quiet.end)
        if self.window is None:
            if self.window_days and today.isoweekday() not in self.window_days:
                return Why.WINDOW, _at(today + timedelta(days=1), time())
            return None, local
        if not self.window.contains(clock):
            return Why.WINDOW, _next(local, self.window.start)
        # Past midnight the hours still belong to the day on which they began.
        began = today - timedelta(days=1) if self.window.end <= self.window.start > clock else today
        if self.window_days and began.isoweekday() not in self.window_days:
            return Why.WINDOW, _next(local, self.window.start)
        return None, local


def _zone(name: str, fallback: str) -> ZoneInfo:
    for each in (name, fallback):
        try:
            if each:
                return ZoneInfo(each)
        except (KeyError, ValueError, OSError):
            continue
    return ZoneInfo("UTC")


def _next(local: datetime, clock: time) -> datetime:
    """The next time the wall clock shows `clock`, later than now."""
    today = _at(local.date(), clock)
    naive = local.replace(tzinfo=None)
    return today if today > naive else today + timedelta(days=1)


def _at(day: date, clock: time) -> datetime:
    return datetime.combine(day, clock)


def _moment(wall: datetime, zone: ZoneInfo) -> datetime:
    """A wall-clock time as a moment: the first when it comes twice; after the gap when the clocks skip it."""
    return wall.replace(tzinfo=zone).astimezone(UTC)
