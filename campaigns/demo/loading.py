"""Puts the demo brand into the database through the same services as everybody's data. Safe to repeat."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.utils import timezone

from campaigns import brands, importing, traits
from campaigns.demo import content
from campaigns.models import (
    AttributeDefinition,
    Brand,
    Campaign,
    Event,
    Fact,
    Import,
    Product,
    Profile,
    Segment,
    Value,
)
from personalize.core.errors import DomainError

TRAITS_AT_ONCE = 500
PRODUCT_MAPPING = {
    name: name
    for name in ("sku", "name", "noun_phrase", "category", "description", "price", "currency", "url")
}
# What is not named here, such as the notes of the CRM, is left out on arrival.
PERSON_MAPPING = {
    **{
        name: name
        for name in ("external_id", "email", "phone", "first_name", "locale", "time_zone", "country")
    },
    **{f"consent.{channel}": f"consent_{channel}" for channel in ("email", "sms", "push")},
    "consent_source": "consent_source",
    "consent_at": "consent_at",
}
EVENT_MAPPING = {
    name: name for name in ("message_id", "external_id", "event", "occurred_at", "sku", "quantity", "amount")
}

Progress = Callable[[str, int, int], None]  # (what, done, of how many)


class DemoRefused(DomainError):
    """A row of the demo's own files was refused: the files and the importers disagree."""


@dataclass(slots=True)
class Loaded:
    """Rows that are new, by kind. All empty: everything was there already, and nothing changed."""

    products: int = 0
    people: int = 0
    events: int = 0
    derived: int = 0  # people whose traits were derived
    campaigns: list[str] = field(default_factory=list)  # slugs

    @property
    def anything(self) -> bool:
        return bool(self.products or self.people or self.events or self.derived or self.campaigns)


def load(
    *, by: AbstractBaseUser | None, now: datetime | None = None, progress: Progress | None = None
) -> Loaded:
    """Load what is missing of the demo: catalogue, people, events, traits, brand and campaigns.

    What is there already stays as it is, whatever a person made of it. Raises DemoRefused.
    """
    now = now or timezone.now()
    done = Loaded()
    tell = progress or (lambda what, count, total: None)
    _define()
    _import_files(done, now, by, tell)
    while count := traits.refresh_due(now=now, limit=TRAITS_AT_ONCE):
        done.derived += count
        tell("traits", done.derived, done.derived)
    _load_campaigns(done, now, by)
    return done


def launched_slug() -> str:
    """The campaign that the demo launches by itself."""
    return next(str(brief["slug"]) for brief in content.briefs() if brief["launch"])


@transaction.atomic
def _define() -> None:
    """Which attributes may be kept, and which phrases may be made of them."""
    rules = content.rules()
    for attribute in rules["attributes"]:
        AttributeDefinition.objects.get_or_create(
            name=attribute["name"], defaults={"label": attribute["label"]}
        )
    traits.install_trait_rules()
    traits.install_trait_rules(rules["rules"])


def _import_files(done: Loaded, now: datetime, by: AbstractBaseUser | None, tell: Progress) -> None:
    """Read the files in through the importers, each only if something of it is missing."""
    rows = list(content.products())
    if _missing(Product, "sku", rows):
        done.products = _import(importing.import_products, rows, "products", PRODUCT_MAPPING, by, tell)
    prices = {row["sku"]: Decimal(row["price"]) for row in rows}
    rows = list(content.profiles(day=now.date()))
    if _missing(Profile, "external_id", rows):
        attributes = {f"attribute.{given['name']}": given["name"] for given in content.rules()["attributes"]}
        mapping = PERSON_MAPPING | attributes
        done.people = _import(importing.import_profiles, rows, "profiles", mapping, by, tell)
    rows = [{**row, "amount": _amount(row, prices)} for row in content.events(day=now.date())]
    if _missing(Event, "message_id", rows):
        done.events = _import(importing.import_events, rows, "events", EVENT_MAPPING, by, tell)


def _missing(model: type[Product] | type[Profile] | type[Event], key: str, rows: list[content.Row]) -> bool:
    known = model._default_manager.filter(**{f"{key}__in": [row[key] for row in rows]}).count()
    return bool(known < len(rows))


def _amount(row: content.Row, prices: dict[str, Decimal]) -> str:
    return str(prices[row["sku"]] * int(row["quantity"])) if row["event"] == "purchased" else ""


def _import(
    importer: Callable[..., Import],
    rows: list[content.Row],
    name: str,
    mapping: dict[str, str],
    by: AbstractBaseUser | None,
    tell: Progress,
) -> int:
    with _as_file(rows, f"{name}.csv") as path:
        found = importer(
            path=path,
            mapping=mapping,
            by=by,
            progress=lambda read, size: tell(name, round(len(rows) * read / max(size, 1)), len(rows)),
        )
    if found.refused:
        problem = found.problems.order_by("row").first()
        where = f" Row {problem.row}: {problem.field} {problem.message}." if problem else ""
        raise DemoRefused(f"{found.refused} rows of the demo's {name}.csv were refused.{where}")
    return found.created


@contextmanager
def _as_file(rows: Iterable[content.Row], name: str) -> Iterator[Path]:
    """The rows as a CSV file of that name for as long as the block runs: days are dates in it."""
    rows = list(rows)
    with tempfile.TemporaryDirectory(prefix="personalize-demo-") as folder:
        path = Path(folder) / name
        with path.open("w", encoding="utf-8", newline="") as out:
            writer = csv.DictWriter(out, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        yield path


@transaction.atomic
def _load_campaigns(done: Loaded, now: datetime, by: AbstractBaseUser | None) -> None:
    brand = _brand(by)
    for brief in content.campaigns(day=now.date()):
        if Campaign.objects.filter(slug=brief.slug).exists():
            continue
        segment, _ = Segment.objects.get_or_create(
            slug=brief.segment["slug"],
            defaults={
                "name": brief.segment["name"],
                "filter": brief.segment["filter"],
                "created_by_id": by.pk if by else None,
            },
        )
        campaign = Campaign.objects.create(
            slug=brief.slug,
            name=brief.name,
            brand=brand,
            goal=brief.goal,
            cta=brief.cta,
            cta_link=brief.cta_link,
            must_mention=list(brief.must_mention),
            channels=list(brief.channels),
            segment=segment,
            audience=brief.audience,
            review_policy=brief.review_policy,
            created_by_id=by.pk if by else None,
        )
        Fact.objects.bulk_create(
            Fact(campaign=campaign, text=text, position=position)
            for position, text in enumerate(brief.facts, start=1)
        )
        Value.objects.bulk_create(
            Value(
                campaign=campaign,
                name=value.name,
                text=value.text,
                kind=value.kind,
                valid_until=value.valid_until,
            )
            for value in brief.values
        )
        done.campaigns.append(brief.slug)


def _brand(by: AbstractBaseUser | None) -> Brand:
    given: dict[str, Any] = content.brand()
    known = Brand.objects.filter(slug=given["slug"]).first()
    return known or brands.save(brand=Brand(**given), by=by)
