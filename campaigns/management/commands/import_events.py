"""What people did, from a file."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from campaigns import importing
from campaigns.management.commands._import import ImportCommand


class Command(ImportCommand):
    help = (
        "Import purchases and other events from a CSV or JSON file. Safe to repeat: each event is stored once, by its "
        "message id or, without one, by what the line says."
    )
    kind = "events"
    example = (
        "external_id=CustomerID event:=purchased occurred_at=InvoiceDate sku=StockCode quantity=Quantity"
    )
    importer = staticmethod(importing.import_events)

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--create-profiles", action="store_true", help="make people that nobody knows, by their id"
        )
        parser.add_argument("--create-products", action="store_true", help="make products that nobody knows")

    def options(self, given: dict[str, Any]) -> dict[str, Any]:
        return {name: given[name] for name in ("create_profiles", "create_products")}
