"""How many a filter means right now and some of them to look at, within seconds or as an honest estimate."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from django.db import OperationalError, connection, transaction
from django.db.models import QuerySet

from campaigns import consent
from campaigns.models import AttributeDefinition, Event, Product, Profile
from campaigns.models.channels import PERSONAL_CHANNELS, Channel
from campaigns.segments.conditions import FIELDS, to_query

Found = TypeVar("Found")

SECONDS = 4  # for one count; then the planner's estimate stands in
SAMPLE = 8
NEWEST = 20_000  # profiles whose values are offered as suggestions
SEEN_BY = 3  # people who share a value before it is suggested: a value of one person's says who they are
SUGGESTIONS = 40
_CANCELLED = "57014"  # query_canceled


@dataclass(frozen=True, slots=True)
class Count:
    """`exact` is False for the planner's estimate."""

    people: int
    exact: bool = True


@dataclass(frozen=True, slots=True)
class Look:
    """What a filter means right now. `reachable`: by channel, those with consent, address and no suppression."""

    count: Count
    reachable: Sequence[tuple[Channel, Count]] = ()
    sample: Sequence[Profile] = field(default=())


def look(filter: object, *, seconds: float = SECONDS) -> Look:
    """Count, reach and a sample of those who pass. Raises InvalidInput as `check`."""
    return look_at(Profile.objects.filter(to_query(filter)), seconds=seconds)


def look_at(people: QuerySet[Profile], *, seconds: float = SECONDS) -> Look:
    total = count_within(people, seconds=seconds)
    reachable = [
        (channel, count_within(consent.may_receive(people, channel=channel), seconds=seconds))
        for channel in PERSONAL_CHANNELS
        if total.exact and total.people
    ]
    newest = people.order_by("-pk").only("pk", "lifecycle", "traits")[:SAMPLE]
    return Look(total, reachable, _within(seconds, lambda: list(newest)) or ())


def count_within(people: QuerySet[Profile], *, seconds: float = SECONDS) -> Count:
    """An exact count if it takes no longer, else the planner's estimate."""
    found = _within(seconds, people.count)
    if found is not None:
        return Count(found)
    plan = json.loads(people.order_by().explain(format="json"))
    return Count(int(plan[0]["Plan"]["Plan Rows"]), exact=False)


def _within(seconds: float, ask: Callable[[], Found]) -> Found | None:
    """Its answer, or None when the database took longer."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL statement_timeout = {max(1, int(seconds * 1000))}")
            found = ask()
            cursor.execute("SET LOCAL statement_timeout = DEFAULT")
            return found
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", "") != _CANCELLED:
            raise
        return None


def event_names() -> list[str]:
    """What people were seen doing, by jumps through the index rather than a walk over all events."""
    table = Event._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH RECURSIVE seen AS ((SELECT name FROM {table} ORDER BY name LIMIT 1) UNION ALL "
            f"SELECT (SELECT e.name FROM {table} e WHERE e.name > seen.name ORDER BY e.name LIMIT 1) "
            "FROM seen WHERE seen.name IS NOT NULL) SELECT name FROM seen WHERE name IS NOT NULL LIMIT 200"
        )
        return [row[0] for row in cursor.fetchall()]


def categories() -> list[str]:
    names = Product.objects.exclude(category="").order_by("category").values_list("category", flat=True)
    return list(names.distinct()[:200])


def values_of(name: str) -> list[str]:
    """The commonest values of a text field or attribute among the newest people; none that fewer than three share."""
    if name.startswith("attributes."):
        attribute = name.removeprefix("attributes.")
        allowed = AttributeDefinition.objects.filter(
            name=attribute, kind="text", in_segments=True, is_protected=False
        )
        if not allowed.exists():
            return []
        value, given = "attributes ->> %s", [attribute]
    elif FIELDS.get(name) == "text" and name != "external_id":
        value, given = connection.ops.quote_name(name), []
    else:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT value FROM (SELECT {value} AS value FROM {Profile._meta.db_table} ORDER BY id DESC LIMIT %s) "
            "newest WHERE value <> '' GROUP BY value HAVING count(*) >= %s ORDER BY count(*) DESC, value LIMIT %s",
            [*given, NEWEST, SEEN_BY, SUGGESTIONS],
        )
        return [row[0] for row in cursor.fetchall()]
