"""What people did comes in: each message once, however often it is delivered."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import connection, transaction
from django.db.models.functions import Coalesce
from django.utils import timezone

from campaigns import cleaning
from campaigns.cleaning import Problem, Unusable
from campaigns.models import Product, Profile
from personalize.core.errors import InvalidInput

PURCHASED = "purchased"
RETURNED = "returned"


@dataclass(frozen=True, slots=True)
class EventInput:
    """`name` is snake_case: purchased, cart_left, viewed, asked_about, signed_up, returned, … A quantity below
    zero means goods that came back; `amount` is that of the whole line."""

    message_id: str
    external_id: str
    name: str
    occurred_at: datetime
    sku: str = ""
    quantity: int | None = None
    amount: Decimal | str | float | None = None
    properties: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EventResult:
    """Events of unknown people are not stored; of unknown products they are, with the sku as a property."""

    created: int
    duplicates: int
    unknown_profiles: set[str] = field(default_factory=set)
    unknown_products: set[str] = field(default_factory=set)
    left_out: list[tuple[int, Problem]] = field(default_factory=list)


def check(item: EventInput, *, now: datetime | None = None) -> list[Problem]:
    """Everything wrong with an item. Those that `refuses` keep it out; the others cost one value."""
    return clean(item, now=now)[1]


def clean(item: EventInput, *, now: datetime | None = None) -> tuple[EventInput, list[Problem]]:
    problems: list[Problem] = []
    changes: dict[str, object] = {}

    def tidy(name: str, value: object, reader: object) -> None:
        try:
            changes[name] = reader(value)  # type: ignore[operator]
        except Unusable as error:
            problems.append(Problem(name, str(error)))

    tidy("message_id", str(item.message_id), cleaning.identifier)
    tidy("external_id", str(item.external_id), cleaning.identifier)
    tidy("name", item.name, event_name)
    tidy("occurred_at", item.occurred_at, lambda moment: _moment(moment, now or timezone.now()))
    tidy("sku", str(item.sku or ""), lambda text: cleaning.identifier(text) if text.strip() else "")
    if item.quantity is not None:
        tidy("quantity", item.quantity, _quantity)
    if item.amount is not None:
        tidy("amount", item.amount, lambda amount: round(cleaning.number(str(amount)), 2))
    changes["properties"], found = cleaning.properties(item.properties)
    return replace(item, **changes), [*problems, *found]  # type: ignore[arg-type]


_NOT_WORD = re.compile(r"[^a-z0-9]+")


def event_name(text: str) -> str:
    """snake_case, from 'Cart Left' or 'cartLeft' too."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", cleaning.plain(str(text)))
    name = _NOT_WORD.sub("_", spaced.lower()).strip("_")
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,63}", name):
        raise Unusable("is not the name of an event, such as purchased")
    return name


def _quantity(value: object) -> int:
    exact = cleaning.number(str(value))
    if exact != exact.to_integral_value() or abs(exact) > 2_000_000_000:
        raise Unusable("is not a whole number")
    return int(exact)


def _moment(moment: object, now: datetime) -> datetime:
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        raise Unusable("has no time zone: write it like 2024-04-03T09:30Z")
    if moment > now + timedelta(days=1):
        raise Unusable("lies in the future")
    if moment.year < 1970:
        raise Unusable("lies before 1970")
    return moment


def record(*, items: Sequence[EventInput], now: datetime | None = None) -> EventResult:
    """Store events, all or (at the first item that must be refused) none; known message ids are left alone.

    The people concerned become due for new traits.
    """
    cleaned = [clean(item, now=now) for item in items]
    for index, (_, problems) in enumerate(cleaned):
        for problem in problems:
            if problem.refuses:
                raise InvalidInput(
                    f"Item {index}: {problem.field} {problem.message}.", field=problem.field, row=index
                )
    result = store(items=[item for item, _ in cleaned], now=now)
    result.left_out.extend((index, problem) for index, (_, found) in enumerate(cleaned) for problem in found)
    return result


@transaction.atomic
def store(*, items: Sequence[EventInput], now: datetime | None = None) -> EventResult:
    """Store items that `clean` returned without a refusal."""
    now = now or timezone.now()
    people = {item.external_id for item in items}
    # Locked against erasure, in one order, until the events are in.
    profiles = dict(
        Profile.objects.select_for_update(no_key=True)
        .filter(external_id__in=people)
        .order_by("external_id")
        .values_list("external_id", Coalesce("merged_into", "pk"))
    )
    skus = {item.sku for item in items if item.sku}
    products = dict(Product.objects.filter(sku__in=skus).values_list("sku", "pk"))
    known = [item for item in items if item.external_id in profiles]
    rows = {item.message_id: item for item in reversed(known)}  # of a repeated id the first counts
    ordered = [rows[message_id] for message_id in sorted(rows)]
    touched = _insert(ordered, profiles, products, now=now) if ordered else []
    if touched:
        Profile.objects.filter(pk__in=set(touched), traits_at__isnull=False).update(traits_at=None)
    return EventResult(
        created=len(touched),
        duplicates=len(known) - len(touched),
        unknown_profiles=people - set(profiles),
        unknown_products=skus - set(products),
    )


def _insert(
    rows: Sequence[EventInput], profiles: Mapping[str, int], products: Mapping[str, int], *, now: datetime
) -> list[int]:
    """The profile of each event that is new."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO campaigns_event (profile_id, message_id, name, occurred_at, product_id, quantity, amount,
                properties, received_at)
            SELECT profile_id, message_id, name, occurred_at, product_id, quantity, amount, properties,
                %s::timestamptz
            FROM json_to_recordset(%s::json) AS given (profile_id bigint, message_id text, name text,
                occurred_at timestamptz, product_id bigint, quantity int, amount numeric, properties jsonb)
            ON CONFLICT (message_id) DO NOTHING
            RETURNING profile_id
            """,
            [now, json.dumps([_row(row, profiles, products) for row in rows])],
        )
        return [row[0] for row in cursor.fetchall()]


def _row(row: EventInput, profiles: Mapping[str, int], products: Mapping[str, int]) -> dict[str, object]:
    return {
        "profile_id": profiles[row.external_id],
        "message_id": row.message_id,
        "name": row.name,
        "occurred_at": row.occurred_at.isoformat(),
        "product_id": products.get(row.sku),
        "quantity": row.quantity,
        "amount": None if row.amount is None else str(row.amount),
        "properties": _properties(row, products),
    }


def _properties(row: EventInput, products: Mapping[str, int]) -> dict[str, object]:
    if row.sku and row.sku not in products:
        return {**row.properties, "sku": row.sku}
    return dict(row.properties)


def known_names(*, limit: int) -> list[str]:
    """Names of events there are, in order: from one to the next by the index, not over all rows."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH RECURSIVE known AS (
                (SELECT name FROM campaigns_event ORDER BY name LIMIT 1)
                UNION ALL
                SELECT (SELECT name FROM campaigns_event WHERE name > known.name ORDER BY name LIMIT 1)
                FROM known WHERE known.name IS NOT NULL
            )
            SELECT name FROM known WHERE name IS NOT NULL LIMIT %s
            """,
            [limit],
        )
        return [row[0] for row in cursor.fetchall()]
