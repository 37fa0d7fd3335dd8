"""What is known of many people at once: a few queries for a batch, none for each person."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection

NEWEST = 12  # products kept of each person and event: rules speak of the newest


@dataclass(frozen=True, slots=True)
class EventFacts:
    """All of one person's events of one name. `days`: on how many days it happened."""

    days: int
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class ProductFacts:
    """One person's events of one name about one product. `bought`: when they last bought it."""

    noun_phrase: str
    category: str
    days: int
    last: datetime
    quantity: int
    bought: datetime | None
    returned: int


@dataclass(slots=True)
class Facts:
    """`products` are newest first, `categories` most often first, both by name of the event."""

    profile_id: int
    time_zone: str
    attributes: dict[str, Any]
    names: tuple[str, str]
    events: dict[str, EventFacts] = field(default_factory=dict)
    products: dict[str, list[ProductFacts]] = field(default_factory=lambda: defaultdict(list))
    categories: dict[str, list[tuple[str, int]]] = field(default_factory=lambda: defaultdict(list))


_EVENTS = """
    SELECT profile_id, name, count(DISTINCT occurred_at::date), min(occurred_at), max(occurred_at)
    FROM campaigns_event WHERE profile_id = ANY(%s) AND occurred_at <= %s
    GROUP BY profile_id, name
"""
_PRODUCTS = """
    WITH per_product AS MATERIALIZED (
        SELECT profile_id, name, product_id, count(DISTINCT occurred_at::date) AS days, max(occurred_at) AS last,
            sum(coalesce(quantity, 1)) AS quantity
        FROM campaigns_event
        WHERE profile_id = ANY(%s) AND occurred_at <= %s AND name = ANY(%s) AND product_id IS NOT NULL
        GROUP BY profile_id, name, product_id
    ), told AS (
        SELECT seen.profile_id, seen.name, product.noun_phrase, product.category, seen.days, seen.last,
            seen.quantity, bought.last AS bought, abs(coalesce(back.quantity, 0)) AS returned,
            row_number() OVER (
                PARTITION BY seen.profile_id, seen.name
                ORDER BY seen.last::date DESC, seen.days DESC, seen.quantity DESC, seen.product_id
            ) AS place
        FROM per_product AS seen
        JOIN campaigns_product AS product ON product.id = seen.product_id AND product.noun_phrase <> ''
        LEFT JOIN per_product AS bought ON bought.profile_id = seen.profile_id
            AND bought.product_id = seen.product_id AND bought.name = 'purchased'
        LEFT JOIN per_product AS back ON back.profile_id = seen.profile_id
            AND back.product_id = seen.product_id AND back.name = 'returned'
    )
    SELECT profile_id, name, noun_phrase, category, days, last, quantity, bought, returned
    FROM told WHERE place <= %s ORDER BY profile_id, name, place
"""
_CATEGORIES = """
    SELECT profile_id, name, category, days FROM (
        SELECT event.profile_id, event.name, product.category, count(DISTINCT event.occurred_at::date) AS days
        FROM campaigns_event AS event
        JOIN campaigns_product AS product ON product.id = event.product_id AND product.category <> ''
        WHERE event.profile_id = ANY(%s) AND event.occurred_at <= %s AND event.name = ANY(%s)
        GROUP BY event.profile_id, event.name, product.category
        HAVING count(DISTINCT event.occurred_at::date) >= 2
    ) AS counted ORDER BY profile_id, name, days DESC, category
"""


def gather(
    profiles: Sequence[tuple[int, str, dict[str, Any], str, str]],
    *,
    now: datetime,
    product_events: set[str],
    category_events: set[str],
) -> list[Facts]:
    """Facts of the given (id, time zone, attributes, first name, last name), in their order."""
    found = {
        profile_id: Facts(profile_id, time_zone, attributes, (first, last))
        for profile_id, time_zone, attributes, first, last in profiles
    }
    ids = list(found)
    with connection.cursor() as cursor:
        cursor.execute(_EVENTS, [ids, now])
        for profile_id, name, days, first, last in cursor.fetchall():
            found[profile_id].events[name] = EventFacts(days, first, last)
        eventful = [profile_id for profile_id in ids if found[profile_id].events]
        if eventful and product_events:
            names = sorted(product_events | {"purchased", "returned"})
            cursor.execute(_PRODUCTS, [eventful, now, names, NEWEST])
            for profile_id, name, *rest in cursor.fetchall():
                found[profile_id].products[name].append(ProductFacts(*rest))
        if eventful and category_events:
            cursor.execute(_CATEGORIES, [eventful, now, sorted(category_events)])
            for profile_id, name, category, days in cursor.fetchall():
                found[profile_id].categories[name].append((category, days))
    return list(found.values())
