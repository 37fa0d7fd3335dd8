"""Sending hours, quiet hours and blackouts in the reader's own time zone, from -11 to +14."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaigns.sending_times import Hours, Rules, Why

NINE_TO_FIVE = Hours(time(9), time(17))
NIGHT = Hours(time(21), time(8))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "now", "leaves"),
    [
        ("Pacific/Kiritimati", "2026-06-10T12:00", "2026-06-10T19:00"),  # +14: 02:00 there, nine is 19:00 UTC
        ("Pacific/Auckland", "2026-06-10T12:00", "2026-06-10T21:00"),
        ("Asia/Tokyo", "2026-06-10T12:00", "2026-06-11T00:00"),
        ("Asia/Kathmandu", "2026-06-10T12:00", "2026-06-11T03:15"),
        ("Europe/Berlin", "2026-06-10T12:00", "2026-06-10T12:00"),  # 14:00 there
        ("America/New_York", "2026-06-10T12:00", "2026-06-10T13:00"),
        ("America/Los_Angeles", "2026-06-10T12:00", "2026-06-10T16:00"),
        ("Pacific/Pago_Pago", "2026-06-10T12:00", "2026-06-10T20:00"),  # -11
        ("", "2026-06-10T06:00", "2026-06-10T07:00"),  # none on file: the campaign's, Berlin
        ("Mars/Olympus", "2026-06-10T06:00", "2026-06-10T07:00"),
    ],
)
def test_sending_hours_are_the_readers_own(zone: str, now: str, leaves: str) -> None:
    slot = Rules("Europe/Berlin", window=NINE_TO_FIVE).slot(zone, at(now))
    assert slot.at == at(leaves)
    assert slot.why == (None if leaves == now else Why.WINDOW)


@pytest.mark.parametrize(
    ("rules", "now", "leaves", "why"),
    [
        # Quiet hours past midnight.
        (Rules("UTC", quiet=NIGHT), "2026-06-10T20:59", "2026-06-10T20:59", None),
        (Rules("UTC", quiet=NIGHT), "2026-06-10T21:00", "2026-06-11T08:00", Why.QUIET),
        (Rules("UTC", quiet=NIGHT), "2026-06-11T07:59", "2026-06-11T08:00", Why.QUIET),
        (Rules("UTC", quiet=NIGHT), "2026-06-11T08:00", "2026-06-11T08:00", None),
        # Sending hours that begin inside quiet hours.
        (
            Rules("UTC", window=Hours(time(6), time(12)), quiet=NIGHT),
            "2026-06-10T13:00", "2026-06-11T08:00", Why.WINDOW,
        ),
        # Past midnight, on Friday and Saturday evenings: Sunday 01:00 still belongs to Saturday.
        (
            Rules("UTC", window=Hours(time(22), time(2)), window_days=frozenset({5, 6})),
            "2026-06-14T01:00", "2026-06-14T01:00", None,
        ),
        (
            Rules("UTC", window=Hours(time(22), time(2)), window_days=frozenset({5, 6})),
            "2026-06-14T22:30", "2026-06-19T22:00", Why.WINDOW,
        ),
        # Weekdays alone.
        (Rules("UTC", window_days=frozenset({1, 2})), "2026-06-10T10:00", "2026-06-15T00:00", Why.WINDOW),
        # Blackouts: two that touch, then the quiet night after them.
        (
            Rules(
                "UTC",
                quiet=NIGHT,
                blackouts=((date(2026, 12, 24), date(2026, 12, 26)), (date(2026, 12, 27), date(2026, 12, 27))),
            ),
            "2026-12-24T12:00", "2026-12-28T08:00", Why.BLACKOUT,
        ),
        # Leap day.
        (Rules("UTC", blackouts=((date(2028, 2, 29), date(2028, 2, 29)),)), "2028-02-29T10:00",
         "2028-03-01T00:00", Why.BLACKOUT),
    ],
)  # fmt: skip
def test_what_stands_against_it(rules: Rules, now: str, leaves: str, why: Why | None) -> None:
    slot = rules.slot("UTC", at(now))
    assert (slot.at, slot.why) == (at(leaves), why)


def test_days_on_which_the_clocks_change() -> None:
    morning = Rules("UTC", window=Hours(time(9), time(17)))
    # The night before 29 March has 23 hours in Berlin, that before 25 October 25.
    assert morning.slot("Europe/Berlin", at("2026-03-28T17:00")).at == at("2026-03-29T07:00")
    assert morning.slot("Europe/Berlin", at("2026-10-24T17:00")).at == at("2026-10-25T08:00")
    # Hours that the change skips: never before the gap, and not lost for good.
    gap = Rules("UTC", window=Hours(time(2, 15), time(4)))
    found = gap.slot("Europe/Berlin", at("2026-03-29T00:00")).at
    assert found is not None and at("2026-03-29T01:00") <= found < at("2026-03-29T02:00")
    # 02:30 comes twice; from within the second 02:xx the hours are not over.
    twice = Rules("UTC", window=Hours(time(2, 30), time(3)))
    assert twice.slot("Europe/Berlin", at("2026-10-25T01:10")).at == at("2026-10-25T01:30")


def test_rules_that_leave_no_time_say_so() -> None:
    never = Rules("UTC", window=Hours(time(22), time(23)), quiet=NIGHT)
    assert never.slot("UTC", at("2026-06-10T12:00")).at is None


CLOCK = st.times().map(lambda t: t.replace(second=0, microsecond=0))


@settings(max_examples=150, deadline=None)
@given(
    start=CLOCK, end=CLOCK, quiet_from=CLOCK, quiet_until=CLOCK,
    days=st.frozensets(st.integers(1, 7)),
    zone=st.sampled_from(["Pacific/Kiritimati", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "UTC"]),
    now=st.datetimes(datetime(2026, 1, 1), datetime(2028, 12, 31)),
)  # fmt: skip
def test_the_moment_found_is_allowed_and_never_past(
    start: time,
    end: time,
    quiet_from: time,
    quiet_until: time,
    days: frozenset[int],
    zone: str,
    now: datetime,
) -> None:
    now = now.replace(tzinfo=UTC)
    quiet = Hours(quiet_from, quiet_until) if quiet_from != quiet_until else None
    rules = Rules("UTC", window=Hours(start, end) if start != end else None, window_days=days, quiet=quiet)
    slot = rules.slot(zone, now)
    if slot.at is None:
        return
    assert slot.at >= now
    local = slot.at.astimezone(ZoneInfo(zone)).time()
    assert rules.window is None or rules.window.contains(local)
    assert quiet is None or not quiet.contains(local)
    assert rules.slot(zone, slot.at).why is None
    assert slot.at - now < timedelta(days=400)
