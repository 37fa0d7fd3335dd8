"""manage.py unknown_deliveries: uncertain ends, and a person's decision on them."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError

from delivery import sending
from delivery.models import Delivery, DeliveryStatus
from personalize.core.errors import DomainError


class Command(BaseCommand):
    help = (
        "List mails of which nobody knows whether they left, with the Message-ID to look for in the mail server's "
        "log. With --piece, --as and --verdict, decide one: delivered, send_again (the reader may get it twice) "
        "or withdraw."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--piece", type=int, metavar="ID", help="decide this piece")
        parser.add_argument("--as", dest="user", metavar="USER", help="who decides")
        parser.add_argument("--verdict", choices=[str(r) for r in sending.Resolution])
        parser.add_argument("--note", default="", help="what you found, for the audit trail")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["piece"] is None:
            self._list()
            return
        if not options["user"] or not options["verdict"]:
            raise CommandError("To decide a piece give --as USER and --verdict as well.")
        by = get_user_model().objects.filter(username=options["user"]).first()
        if by is None:
            raise CommandError(f"There is no user {options['user']}.")
        try:
            piece = sending.resolve_unknown(
                piece_id=options["piece"], by=by, verdict=options["verdict"], note=options["note"]
            )
        except DomainError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"piece {piece.pk} is now: {piece.get_status_display().lower()}")

    def _list(self) -> None:
        rows = Delivery.objects.filter(status=DeliveryStatus.UNKNOWN).order_by("begun_at", "id")
        for row in rows.select_related("piece").iterator():
            begun = f"{row.begun_at:%Y-%m-%d %H:%M:%S}" if row.begun_at else "-"
            self.stdout.write(
                f"piece {row.piece_id}  run {row.piece.run_id}  {begun}  {row.message_id}  {row.response}"
            )
        self.stdout.write(f"{rows.count()} uncertain")
