"""Rows to the catalogue."""

from __future__ import annotations

from collections.abc import Sequence

from campaigns import cleaning, products
from campaigns.cleaning import Problem, Unusable
from campaigns.importing.mapping import FieldMap
from campaigns.importing.reading import Row
from campaigns.importing.running import Counts, Tally, cell
from campaigns.models import ImportKind, Product
from campaigns.products import ProductInput

_WORDS = ("name", "noun_phrase", "category", "description", "price", "currency", "url")


class ProductRows:
    """An empty cell says nothing: what is stored stays."""

    kind = ImportKind.PRODUCTS

    def __init__(self, *, fields: FieldMap, seen: Tally) -> None:
        self._fields = fields
        self._seen = seen
        self.ignored: set[str] = set()

    def prepare(self) -> None:
        return None

    def convert(self, row: Row) -> tuple[ProductInput | None, list[Problem]]:
        fields = self._fields.fields
        problems: list[Problem] = []
        available: bool | None = None
        if word := cell(row, fields.get("is_available")):
            try:
                available = cleaning.boolean(word)
            except Unusable as error:
                problems.append(Problem("is_available", str(error)))
        item, found = products.clean(
            ProductInput(
                sku=cell(row, fields["sku"]),
                is_available=available,
                **{name: cell(row, fields.get(name)) or None for name in _WORDS},
            )
        )
        problems += found
        if not item.name and not any(problem.field == "name" for problem in problems):
            problems.append(Problem("name", "is missing: a product needs a name"))
        return (None if any(problem.refuses for problem in problems) else item), problems

    def recall(self, items: Sequence[tuple[int, ProductInput]]) -> None:
        self._seen.add([item.sku for _, item in items])

    def store(self, items: Sequence[tuple[int, ProductInput]], *, dry_run: bool) -> Counts:
        if not items:
            return Counts()
        if not dry_run:
            result = products.store(items=[item for _, item in items])
            return Counts(result.created, result.updated, result.unchanged)
        skus = [item.sku for _, item in items]
        known = set(Product.objects.filter(sku__in=skus).values_list("sku", flat=True))
        created = sum(
            not earlier and sku not in known for sku, earlier in zip(skus, self._seen.add(skus), strict=True)
        )
        return Counts(created=created, updated=len(skus) - created)
