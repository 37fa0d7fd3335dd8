"""See the versions of the writer, promote one, or go back."""

from __future__ import annotations

from argparse import ArgumentParser, RawDescriptionHelpFormatter
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.core.management.base import BaseCommand, CommandError
from django.db.models import Q
from rich.console import Console
from rich.table import Table

from generation import promotion, versions
from generation.management import arguments
from generation.models import ModelVersion
from generation.promotion_rule import MEASURES, number, shown
from personalize.core.errors import DomainError

DESCRIPTION = """\
Choose the version of the writer that workers load where WRITER_ADAPTER names none.

  promote_writer --list                     every version with its measures
  promote_writer --version 4f1c09ab         promote it, if the rule allows
  promote_writer --rollback                 the version that was active before is active again

The rule: it was evaluated (evaluate_writer --record) on the same validation briefs as the active version and
invented no number; its clean rate and its faithful rate are not lower by more than 1 point, readers identified not by
more than 3, the grammar ratio is not higher by more than 0.1; and at least one of clean, faithful and identified is
better. Against an active version that was never evaluated, an evaluation without invented numbers is enough.
docs/model-versions.md has the reasons.

--force goes against the rule, in the name of a person with the permission (--as) and for a --reason; both are kept.
Workers that run keep what they have loaded: restart them after a change.
"""
COLUMNS = ("clean_rate", "faithful_rate", "reader_identified", "grammar_ratio", "invented_numbers")
HEADS = ("Clean", "Faithful", "Reader found", "Grammar", "Invented")


class Command(BaseCommand):
    help = DESCRIPTION

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> Any:
        # "resolve": --version is the writer's here, not Django's.
        options = {"formatter_class": RawDescriptionHelpFormatter, "conflict_handler": "resolve", **kwargs}
        return super().create_parser(prog_name, subcommand, **options)

    def add_arguments(self, parser: ArgumentParser) -> None:
        deed = parser.add_mutually_exclusive_group()
        deed.add_argument("--list", action="store_true", help="show the versions; the default")
        deed.add_argument(
            "--version", dest="chosen", metavar="ID|HASH|NAME",
            help="promote this version: its number, the beginning of its hash (4 digits or more), or its name",
        )  # fmt: skip
        deed.add_argument(
            "--rollback", action="store_true", help="go back to the version before the active one"
        )
        parser.add_argument(
            "--force", action="store_true", help="promote against the rule; needs --as and --reason"
        )
        parser.add_argument("--reason", default="", help="kept with the decision")
        parser.add_argument(
            "--as", dest="username", metavar="USERNAME", help="who decides; default: the system"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        by = arguments.person(options["username"]) if options["username"] else None
        try:
            if options["chosen"]:
                self._promote(options["chosen"], by, force=options["force"], reason=options["reason"])
            elif options["rollback"]:
                self._roll_back(by, options["reason"])
            elif options["force"]:
                raise CommandError("--force needs the version to promote.")
            else:
                self._list()
        except DomainError as error:
            raise CommandError(str(error)) from error

    def _promote(self, chosen: str, by: AbstractBaseUser | None, *, force: bool, reason: str) -> None:
        event = promotion.promote(version=_version(chosen), by=by, force=force, reason=reason)
        before = f" instead of {event.replaced.name}" if event.replaced else ""
        how = " against the rule" if event.forced else ""
        self.stdout.write(f"{event.version.name} is active{before}{how}. Restart the writers to load it.")

    def _roll_back(self, by: AbstractBaseUser | None, reason: str) -> None:
        active = promotion.active_of(versions.kind())
        if active is None:
            raise CommandError(f"No version is active for {versions.kind()}.")
        event = promotion.roll_back(active=active, by=by, reason=reason)
        self.stdout.write(f"{event.version.name} is active again. Restart the writers to load it.")

    def _list(self) -> None:
        rows = list(ModelVersion.objects.order_by("kind", "-pk"))
        if not rows:
            self.stdout.write("No version yet: the first launch or evaluation notes one down.")
            return
        table = Table(box=None, pad_edge=False)
        for head in ("Id", "State", "Hash", "Version", "Kind"):
            table.add_column(head, no_wrap=head != "Version", overflow="fold")
        for head in HEADS:
            table.add_column(head, justify="right", no_wrap=True)
        table.add_column("Evaluated", no_wrap=True)
        by_key = {measure.key: measure for measure in MEASURES}
        for row in rows:
            measured = [shown(by_key[key], number(row.metrics, by_key[key])) for key in COLUMNS]
            when = f"{row.evaluated_at:%Y-%m-%d %H:%M}" if row.evaluated_at else "never"
            hashed = row.model_hash[:8] or "—"
            table.add_row(str(row.pk), row.get_state_display(), hashed, row.name, row.kind, *measured, when)
        wide = None if self.stdout.isatty() else 160
        console = Console(width=wide, highlight=False, markup=False)
        with console.capture() as printed:
            console.print(table)
        self.stdout.write(printed.get())
        if pinned := versions.pinned():
            self.stdout.write(f"WRITER_ADAPTER is set: workers load {pinned}, whichever version is active.")


def _version(chosen: str) -> ModelVersion:
    """By number, hash or name; of these the one that fits, and only one."""
    wanted = Q(name=chosen)
    if chosen.isascii() and chosen.isdecimal() and len(chosen) < 10:
        wanted |= Q(pk=int(chosen))
    if len(chosen) >= 4:
        wanted |= Q(model_hash__startswith=chosen.lower())
    found = list(ModelVersion.objects.filter(wanted).order_by("pk")[:2])
    if not found:
        raise CommandError(f"There is no version '{chosen}'. promote_writer --list shows them.")
    if len(found) > 1:
        raise CommandError(
            f"'{chosen}' fits more than one version. Give its number: promote_writer --list shows it."
        )
    return found[0]
