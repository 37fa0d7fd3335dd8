"""Everything about a person as one zip, made while it is fetched: nothing about them lies on a disk for it.

`ask` writes down who asked, until when the archive may be fetched, and gives its number.
"""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from django.contrib.auth.models import AbstractBaseUser
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import F
from django.utils import timezone

from campaigns.models import DataExport, Profile
from campaigns.privacy.people import person_of
from personalize.core.errors import DomainError
from personalize.core.personal_data import Person, Table, holders
from personalize.core.spreadsheets import defuse

log = structlog.get_logger(__name__)
KEPT_HOURS = 48
_BATCH = 500  # rows read and written at a time

README = """Everything this system keeps about one person.

Made {made}. Each table is a JSON file; tables of plain columns are there as CSV (UTF-8) too.

{tables}
Not in here: the keyed hashes by which an address is kept from being written to again, which name nobody; and the audit
trail, which says who decided on which text, not about whom.
"""


class ArchiveGone(DomainError):
    """There is no archive of this number, or its time is over."""

    status = 404
    code = "archive_gone"


def ask(*, external_id: str, by: AbstractBaseUser | None, now: datetime | None = None) -> DataExport:
    """Let the archive be fetched for two days. Raises UnknownProfile."""
    now = now or timezone.now()
    profile = Profile.objects.get(pk=person_of(external_id).profile_ids[0])
    asked = DataExport.objects.create(
        profile=profile,
        asked_by_id=by.pk if by else None,
        asked_by_name=by.get_username() if by else "",
        expires_at=now + timedelta(hours=KEPT_HOURS),
    )
    log.info("archive_asked", profile_id=profile.pk, number=str(asked.number), by=by.pk if by else None)
    return asked


def stream(
    *, number: UUID, by: AbstractBaseUser | None, now: datetime | None = None, count: bool = True
) -> Iterator[bytes]:
    """The zip's bytes; raises ArchiveGone at once, not with the first byte. `count`: note the fetch in the row too.

    Reading by GET changes nothing: such a fetch stands in the log alone.
    """
    now = now or timezone.now()
    live = DataExport.objects.filter(number=number, expires_at__gt=now)
    if count:
        live.update(downloads=F("downloads") + 1, last_download_at=now)
    if not live.exists():
        raise ArchiveGone(
            f"This archive is gone: it can be fetched for {KEPT_HOURS} hours. Ask for a new one."
        )
    external_id = live.values_list("profile__external_id", flat=True).get()
    log.info("archive_fetched", number=str(number), by=by.pk if by else None)
    return everything(person_of(external_id), now=now)


def everything(person: Person, *, now: datetime | None = None) -> Iterator[bytes]:
    """The zip of one person, made piece by piece: its size does not matter to memory."""
    now = now or timezone.now()
    tables = [table for holder in holders() for table in holder.tables(person)]
    return _zip(tables, now)


def _zip(tables: list[Table], now: datetime) -> Iterator[bytes]:
    out = _Out()
    made = timezone.localtime(now)
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        listed = "".join(f"{table.name}: {table.about}\n" for table in tables)
        _write(archive, "README.txt", README.format(made=f"{made:%Y-%m-%d %H:%M %Z}", tables=listed), made)
        for table in tables:
            with archive.open(_info(f"{table.name}.json", made), "w") as file:
                before = "[\n"
                for row in _rows(table):
                    text = json.dumps(row, cls=DjangoJSONEncoder, ensure_ascii=False, indent=1)
                    file.write(f"{before}{text}".encode())
                    before = ",\n"
                    yield out.take()
                file.write(b"[]\n" if before == "[\n" else b"\n]\n")
            if table.flat:
                with archive.open(_info(f"{table.name}.csv", made), "w") as file:
                    for line in _csv(table):
                        file.write(line)
                        yield out.take()
            yield out.take()
    yield out.take()


def _columns(table: Table) -> list[str]:
    return [f.attname for f in table.rows.model._meta.concrete_fields if f.attname not in table.without]


def _rows(table: Table) -> Iterator[dict[str, Any]]:
    for row in table.rows.order_by("pk").values(*_columns(table)).iterator(chunk_size=_BATCH):
        yield {name: _plain(value) for name, value in row.items()}


def _plain(value: Any) -> Any:
    """As JSON has it; a vector as the list of its numbers."""
    return value.to_list() if hasattr(value, "to_list") else value


def _csv(table: Table) -> Iterator[bytes]:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, _columns(table))
    text.write("\ufeff")
    writer.writeheader()
    for row in _rows(table):
        writer.writerow({name: defuse("" if cell is None else str(cell)) for name, cell in row.items()})
        yield text.getvalue().encode()
        text.seek(0)
        text.truncate()
    yield text.getvalue().encode()


def _info(name: str, made: datetime) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, date_time=made.timetuple()[:6])
    info.compress_type = zipfile.ZIP_DEFLATED
    return info


def _write(archive: zipfile.ZipFile, name: str, text: str, made: datetime) -> None:
    archive.writestr(_info(name, made), text.encode())


class _Out(io.RawIOBase):
    """A file that only grows, emptied by whoever sends it on. Not seekable, so zipfile writes in one pass."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        self._size += len(data)
        return len(data)

    def tell(self) -> int:
        return self._size

    def take(self) -> bytes:
        data, self._parts = b"".join(self._parts), []
        return data
