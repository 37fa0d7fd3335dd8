"""People from a file."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from campaigns import importing
from campaigns.management.commands._import import ImportCommand


class Command(ImportCommand):
    help = (
        "Import people from a CSV or JSON file. Safe to repeat: known people are updated, an empty cell changes "
        "nothing, and a consent once withdrawn is never given back by a file. Columns of opt-outs, bounces and "
        "complaints (opt_out.email, bounced.email, complained.email) stop the address, even in rows that are refused."
    )
    kind = "profiles"
    example = "external_id='Record ID' email='Email Address' attribute.city=City consent.email=opt_in"
    importer = staticmethod(importing.import_profiles)

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--source", default="", metavar="NAME", help="written beside each consent of the file"
        )
        parser.add_argument(
            "--region", default="", metavar="GB", help="where telephone numbers without + belong"
        )
        parser.add_argument(
            "--lenient", action="store_true",
            help="keep a person whose telephone, locale, time zone or consent cannot be used, without that value",
        )  # fmt: skip
        parser.add_argument(
            "--define-attributes", action="store_true",
            help="put the mapped attributes on the allow-list; attribute.spend:number=Spend states a kind",
        )  # fmt: skip

    def options(self, given: dict[str, Any]) -> dict[str, Any]:
        return {name: given[name] for name in ("source", "region", "lenient", "define_attributes")}
