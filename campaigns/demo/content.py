"""Reads the demo brand's files and turns their day offsets into times. Pure: no database, no settings."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent

_WEEKDAYS = {
    "monday": 0,
    "tuesday": 1,
    "wednesday": 2,
    "thursday": 3,
    "friday": 4,
    "saturday": 5,
    "sunday": 6,
}

Row = dict[str, str]


@dataclass(frozen=True, slots=True)
class DemoValue:
    """A campaign's value with its text as it reads on the day of loading."""

    name: str
    text: str
    kind: str
    valid_until: datetime | None


@dataclass(frozen=True, slots=True)
class DemoCampaign:
    """One brief of campaigns.json, its dates worked out. `launch`: the demo launches it by itself."""

    slug: str
    name: str
    goal: str
    facts: tuple[str, ...]
    values: tuple[DemoValue, ...]
    cta: str
    cta_link: str
    must_mention: tuple[str, ...]
    channels: tuple[str, ...]
    segment: dict[str, Any]  # name, slug, filter
    audience: str
    review_policy: str
    launch: bool


def brand() -> dict[str, Any]:
    return _json("brand.json")


def rules() -> dict[str, Any]:
    """{"attributes": [{"name", "label"}], "rules": [{"name", "kind", "settings", "position"}]}"""
    return _json("rules.json")


def products() -> Iterator[Row]:
    return _rows("products.csv")


def profiles(*, day: date, file_name: str = "profiles.csv") -> Iterator[Row]:
    """The rows with `consent_at` (ISO 8601, UTC) in place of `consent_days_ago`.

    An offset that is no number is handed on as it is, so that the importer can refuse it.
    """
    for row in _rows(file_name):
        days = row.pop("consent_days_ago")
        row["consent_at"] = _moment(day, days, "12:00").isoformat() if days.isdecimal() else days
        yield row


def events(*, day: date) -> Iterator[Row]:
    """The rows with `occurred_at` (ISO 8601, UTC) in place of `days_ago` and `time`."""
    for row in _rows("events.csv"):
        row["occurred_at"] = _moment(day, row.pop("days_ago"), row.pop("time")).isoformat()
        yield row


def briefs() -> list[dict[str, Any]]:
    """The campaigns as the file has them, dates still as days ahead."""
    found: list[dict[str, Any]] = _json("campaigns.json")["campaigns"]
    return found


def campaigns(*, day: date) -> list[DemoCampaign]:
    return [
        DemoCampaign(
            slug=brief["slug"],
            name=brief["name"],
            goal=brief["goal"],
            facts=tuple(brief["facts"]),
            values=tuple(_value(entry, day) for entry in brief["values"]),
            cta=brief["cta"],
            cta_link=brief["cta_link"],
            must_mention=tuple(brief["must_mention"]),
            channels=tuple(brief["channels"]),
            segment=brief["segment"],
            audience=brief["audience"],
            review_policy=brief["review_policy"],
            launch=brief["launch"],
        )
        for brief in briefs()
    ]


def _value(entry: dict[str, Any], day: date) -> DemoValue:
    """A date is true until the end of the day it names; another value for `valid_for_days`, or for good."""
    last: date | None = None
    if "date_in_days" in entry:
        last = _date_ahead(day, entry["date_in_days"], entry.get("on"))
    elif "valid_for_days" in entry:
        last = day + timedelta(days=entry["valid_for_days"])
    text = _in_words(last) if "date_in_days" in entry and last else entry["text"]
    until = datetime.combine(last, time(23, 59, 59), UTC) if last else None
    return DemoValue(name=entry["name"], text=text, kind=entry["kind"], valid_until=until)


def _date_ahead(day: date, days: int, weekday: str | None) -> date:
    """`days` from `day`, or the first such weekday from then on."""
    ahead = day + timedelta(days=days)
    if weekday is not None:
        ahead += timedelta(days=(_WEEKDAYS[weekday] - ahead.weekday()) % 7)
    return ahead


def _in_words(day: date) -> str:
    """`5 July`: as a British shop writes it, whatever the locale of the machine."""
    return f"{day.day} {_MONTHS[day.month - 1]}"


_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip


def _moment(day: date, days_ago: str, clock: str) -> datetime:
    return datetime.combine(day - timedelta(days=int(days_ago)), time.fromisoformat(clock), UTC)


def _rows(name: str) -> Iterator[Row]:
    with (FOLDER / name).open(encoding="utf-8", newline="") as source:
        yield from csv.DictReader(source)


def _json(name: str) -> dict[str, Any]:
    with (FOLDER / name).open(encoding="utf-8") as source:
        content: dict[str, Any] = json.load(source)
    return content
