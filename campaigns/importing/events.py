"""Rows to what people did. An order's lines become purchases, lines with a quantity below zero returns."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from campaigns import cleaning, events, people, products
from campaigns.cleaning import Problem, Unusable
from campaigns.events import EventInput
from campaigns.importing.mapping import FieldMap
from campaigns.importing.reading import Row
from campaigns.importing.running import Counts, Options, Tally, cell, now_text
from campaigns.models import Event, ImportKind, Product, Profile
from campaigns.people import ProfileInput
from campaigns.products import ProductInput

_IDENTITY = (
    "external_id", "event", "occurred_at", "sku", "quantity", "amount", "unit_price", "order_id",
)  # fmt: skip


class EventRows:
    """Without a message id one is made of what the line says and how often the file said it before: the same
    file read again repeats nothing, and two lines that are alike to the letter stay two."""

    kind = ImportKind.EVENTS

    def __init__(self, *, fields: FieldMap, options: Options, seen: Tally) -> None:
        self._fields = fields
        self._options = options
        self._seen = seen
        self._now = now_text()
        self._names: dict[str, str] = {}  # sku -> name, of the chunk at hand
        self.ignored: set[str] = set()

    def prepare(self) -> None:
        return None

    def convert(self, row: Row) -> tuple[EventInput | None, list[Problem]]:
        fields = self._fields.fields
        text = {name: cell(row, fields.get(name)) for name in (*_IDENTITY, "message_id", "product_name")}
        problems: list[Problem] = []
        try:
            when = self._now if text["occurred_at"] == "now" else text["occurred_at"]
            occurred_at = cleaning.moment(when, day_first=self._options.day_first, zone=self._options.zone)
        except Unusable as error:
            return None, [Problem("occurred_at", str(error))]
        quantity, amount = self._numbers(text, problems)
        extra: dict[str, object] = {
            name: value for name, take in self._fields.properties.items() if (value := cell(row, take))
        }
        if text["order_id"]:
            extra["order_id"] = text["order_id"]
        item, found = events.clean(
            EventInput(
                message_id=text["message_id"] or self._digest(text, extra),
                external_id=text["external_id"],
                name=text["event"],
                occurred_at=occurred_at,
                sku=text["sku"],
                quantity=quantity,
                amount=amount,
                properties=extra,
            )
        )
        problems += found
        if item.name == events.PURCHASED and item.quantity is not None and item.quantity < 0:
            item = replace(item, name=events.RETURNED)
        if text["sku"] and text["product_name"]:
            self._names.setdefault(text["sku"], text["product_name"])
        return (None if any(problem.refuses for problem in problems) else item), problems

    def _numbers(self, text: dict[str, str], problems: list[Problem]) -> tuple[int | None, Decimal | None]:
        exact: dict[str, Decimal | None] = {}
        for name in ("quantity", "amount", "unit_price"):
            try:
                exact[name] = cleaning.number(text[name]) if text[name] else None
            except Unusable as error:
                exact[name] = None
                problems.append(Problem(name, str(error)))
        quantity, amount, price = exact["quantity"], exact["amount"], exact["unit_price"]
        if quantity is not None and quantity != quantity.to_integral_value():
            problems.append(Problem("quantity", "is not a whole number"))
        if amount is None and price is not None:
            amount = price * (quantity if quantity is not None else 1)
        return (None if quantity is None else int(quantity)), amount

    def _digest(self, text: dict[str, str], extra: dict[str, object]) -> str:
        said = [text[name] for name in _IDENTITY] + [f"{name}={extra[name]}" for name in sorted(extra)]
        return "made:" + hashlib.sha256("\x00".join(said).encode("utf-8", "replace")).hexdigest()[:40]

    def recall(self, items: Sequence[tuple[int, EventInput]]) -> None:
        self._numbered(items)

    def store(self, items: Sequence[tuple[int, EventInput]], *, dry_run: bool) -> Counts:
        if not items:
            return Counts()
        items = self._numbered(items)
        counts = Counts()
        names, self._names = self._names, {}
        unknown = self._unknown_people(items, dry_run=dry_run)
        for number, item in items:
            if item.external_id in unknown:
                counts.problems.append(
                    (
                        number,
                        Problem("external_id", "is nobody known: import people first, or let them be made"),
                    )
                )
        known = [pair for pair in items if pair[1].external_id not in unknown]
        missing = self._unknown_products(known, names, dry_run=dry_run)
        for number, item in known:
            if item.sku in missing:
                counts.problems.append(
                    (number, Problem("sku", "is not in the catalogue: kept without a product", refuses=False))
                )
        if dry_run:
            ids = [item.message_id for _, item in known]
            stored = set(Event.objects.filter(message_id__in=ids).values_list("message_id", flat=True))
            counts.created = len(set(ids) - stored)
            counts.unchanged = len(ids) - counts.created
        elif known:
            result = events.store(items=[item for _, item in known])
            counts.created, counts.unchanged = result.created, result.duplicates
        return counts

    def _numbered(self, items: Sequence[tuple[int, EventInput]]) -> list[tuple[int, EventInput]]:
        """Made message ids with the count of lines alike before them."""
        made = [item.message_id for _, item in items if item.message_id.startswith("made:")]
        if not made:
            return list(items)
        earlier = iter(self._seen.add(made))
        return [
            (number, replace(item, message_id=f"{item.message_id}:{next(earlier)}"))
            if item.message_id.startswith("made:")
            else (number, item)
            for number, item in items
        ]

    def _unknown_people(self, items: Sequence[tuple[int, EventInput]], *, dry_run: bool) -> set[str]:
        ids = {item.external_id for _, item in items}
        unknown = ids - set(Profile.objects.filter(external_id__in=ids).values_list("external_id", flat=True))
        if unknown and self._options.create_profiles:
            if not dry_run:
                people.store(
                    items=[ProfileInput(external_id=external_id) for external_id in sorted(unknown)],
                    source=self._options.source,
                )
            return set()
        return unknown

    def _unknown_products(
        self, items: Sequence[tuple[int, EventInput]], names: dict[str, str], *, dry_run: bool
    ) -> set[str]:
        skus = {item.sku for _, item in items if item.sku}
        unknown = skus - set(Product.objects.filter(sku__in=skus).values_list("sku", flat=True))
        if unknown and self._options.create_products:
            made = [
                products.clean(ProductInput(sku=sku, name=names.get(sku, sku))) for sku in sorted(unknown)
            ]
            good = [item for item, problems in made if not any(problem.refuses for problem in problems)]
            if not dry_run:
                products.store(items=good)
            return unknown - {item.sku for item in good}
        return unknown
