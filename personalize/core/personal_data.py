"""What every app that holds data about people says of it, so that an archive, an erasure and retention reach it all.

An app names one module in settings.PERSONAL_DATA_HOLDERS with three things: `tables(person)`, what belongs into the
archive of everything; `forget(people)`, which removes what does not go by itself with the profile's row (files, texts
without a foreign key) and may be called again; `KEEPING`, the kinds of data that a retention rule may be set for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib import import_module
from typing import Any, Protocol, cast

from django.conf import settings
from django.db.models import QuerySet


@dataclass(slots=True)
class Person:
    """All that finds one person: the keys of the profiles that were joined to one, and what they are known by.

    `texts`: ids and addresses as stored; `names`: given and family names, for looking only. `removed` counts what
    went, by kind, for the certificate.
    """

    profile_ids: tuple[int, ...]
    texts: tuple[str, ...]
    names: tuple[str, ...] = ()
    removed: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of an archive. `flat`: also as CSV. `without`: columns that say nothing of the person."""

    name: str
    about: str
    rows: QuerySet[Any]
    flat: bool = False
    without: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Keeping:
    """A kind of data that may be kept for so many days. `due` counts what is older, `remove` takes at most so many."""

    kind: str
    label: str
    about: str
    days: int  # suggested
    due: Callable[[datetime], int]
    remove: Callable[[datetime, int], int]


class Holder(Protocol):
    KEEPING: Sequence[Keeping]

    def tables(self, person: Person) -> Iterable[Table]: ...

    def forget(self, people: Sequence[Person]) -> None: ...


def holders() -> list[Holder]:
    return [cast(Holder, import_module(name)) for name in settings.PERSONAL_DATA_HOLDERS]
