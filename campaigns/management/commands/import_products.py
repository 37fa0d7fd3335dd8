"""The catalogue from a file."""

from __future__ import annotations

from campaigns import importing
from campaigns.management.commands._import import ImportCommand


class Command(ImportCommand):
    help = (
        "Import products from a CSV or JSON file. Safe to repeat. A product without a noun phrase gets one from its "
        "name: 'HAND GRINDER 250ML' becomes 'a hand grinder'."
    )
    kind = "products"
    example = "sku=sku name=title price=price currency:=GBP category=category"
    importer = staticmethod(importing.import_products)
