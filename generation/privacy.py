"""What this app holds about people: the texts written for them. What else is said of a text goes with it.

The audit trail keeps its rows: they hold ids of texts and users. The database itself empties the note of each row
when its text is deleted, and the chain still holds. Training rows are made from texts and kept in no table.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from generation.models import Finding, HeldOut, Piece, Status
from personalize.core.personal_data import Keeping, Person, Table

_OVER = (Status.DELIVERED, Status.REJECTED, Status.WITHDRAWN, Status.FAILED)


def tables(person: Person) -> Iterable[Table]:
    mine = Piece.objects.filter(profile__in=person.profile_ids)
    inner = ("claim", "lease_until", "seed", "text_hash", "approved_hash", "written_with", "planted")
    yield Table("texts", "what was written for them, and what the writer was told", mine, without=inner)
    held = HeldOut.objects.filter(profile__in=person.profile_ids)
    yield Table("held_out", "campaigns that left them out, so that the others could be compared", held)
    yield Table("findings", "what the checks said of these texts", Finding.objects.filter(piece__in=mine))


def forget(people: Sequence[Person]) -> None:
    """Nothing: texts, findings, drawn samples and planted copies go with the profile's row."""


def _old(before: datetime) -> QuerySet[Piece]:
    return Piece.objects.filter(profile__isnull=False, status__in=_OVER, updated_at__lt=before)


def _drop(before: datetime, most: int) -> int:
    keys = list(_old(before).order_by("pk").values_list("pk", flat=True)[:most])
    with transaction.atomic():
        Piece.objects.filter(pk__in=keys).delete()
    return len(keys)


KEEPING = (
    Keeping(
        "texts",
        "Texts written for people",
        "Delivered, rejected, withdrawn and failed ones, with their deliveries and results: statistics of these "
        "campaigns go with them. Ads are kept.",
        730,
        lambda before: _old(before).count(),
        _drop,
    ),
)
