"""What this app holds about people: deliveries and results, mails and export files on the disk."""

from __future__ import annotations

import hashlib
import os
import re
import uuid
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from email.parser import BytesHeaderParser
from pathlib import Path

from django.conf import settings

from campaigns.models import Channel, Profile
from delivery import exports, sheets
from delivery.models import Delivery, ExportFile, Outcome
from personalize.core.personal_data import Keeping, Person, Table

_HEADERS = 64 * 1024  # bytes of a mail in which its headers end
_READERS = (Channel.SMS, Channel.PUSH)  # files that name people by the CRM's id


def tables(person: Person) -> Iterable[Table]:
    mine = Delivery.objects.filter(piece__profile__in=person.profile_ids)
    inner = ("address_hash", "rendered_hash", "lease_until", "attempts")
    yield Table("deliveries", "when and how texts were handed over", mine, flat=True, without=inner)
    yield Table(
        "results",
        "what came back: clicks, purchases, bounces",
        Outcome.objects.filter(delivery__in=mine),
        flat=True,
    )


def forget(people: Sequence[Person]) -> None:
    """Mails and lines of export files. The rows go with the profile's."""
    by_text = {text.lower(): person for person in people for text in person.texts}
    by_message: dict[str, Person] = {}
    files: set[int] = set()
    for person in people:
        sent = Delivery.objects.filter(piece__profile__in=person.profile_ids)
        for message_id, file_id in sent.values_list("message_id", "export_file_id"):
            by_message[message_id] = person
            files |= {file_id} - {None}
    for path in _mails():
        if owner := _owner(path, by_text, by_message):
            path.unlink(missing_ok=True)
            owner.removed["mails"] += 1
    by_id = dict(_external_ids(people))
    for file in ExportFile.objects.filter(pk__in=files, channel__in=_READERS).order_by("pk"):
        _take_out(file, by_id)


def _mails() -> Iterator[Path]:
    yield from sorted(Path(settings.EMAIL_FILE_PATH).glob("*/*.eml"))


def _owner(path: Path, by_text: dict[str, Person], by_message: dict[str, Person]) -> Person | None:
    """Whose mail it is, by our Message-ID or by an address it went to."""
    try:
        with path.open("rb") as file:
            headers = BytesHeaderParser().parsebytes(file.read(_HEADERS))
    except OSError:
        return None
    if owner := by_message.get(str(headers.get("Message-ID", "")).strip()):
        return owner
    for name in ("To", "Cc", "Bcc"):
        for value in headers.get_all(name, []):
            for address in re.findall(r"[^\s<>,;\"]+@[^\s<>,;\"]+", str(value)):
                if owner := by_text.get(address.lower()):
                    return owner
    return None


def _external_ids(people: Sequence[Person]) -> Iterator[tuple[str, Person]]:
    owners = {key: person for person in people for key in person.profile_ids}
    for key, external_id in Profile.objects.filter(pk__in=owners).values_list("pk", "external_id"):
        yield external_id, owners[key]


def _take_out(file: ExportFile, by_id: dict[str, Person]) -> None:
    """Write the file anew without these people's lines; whole or not at all, under its own name."""
    path = exports.location(file)
    try:
        rows = sheets.read(path.read_bytes())
    except FileNotFoundError:
        return
    kept = [row for row in rows if row["external_id"] not in by_id]
    if len(kept) == len(rows):
        return
    for row in rows:
        if owner := by_id.get(row["external_id"]):
            owner.removed["lines_of_export_files"] += 1
    content = sheets.write(Channel(file.channel), kept)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    with temporary.open("xb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    temporary.replace(path)
    ExportFile.objects.filter(pk=file.pk).update(sha256=hashlib.sha256(content).hexdigest(), rows=len(kept))


# -- how long it is kept -----------------------------------------------------------------------------


def _older(paths: Iterable[Path], before: datetime) -> list[Path]:
    found = []
    for path in paths:
        try:
            if path.stat().st_mtime < before.timestamp():
                found.append(path)
        except OSError:
            continue
    return found


def _drop_files(paths: list[Path], most: int) -> int:
    for path in paths[:most]:
        path.unlink(missing_ok=True)
    return len(paths[:most])


def _export_files() -> Iterator[Path]:
    yield from sorted((Path(settings.OUTPUT_DIR) / "exports").glob("*.csv"))


KEEPING = (
    Keeping(
        "mails",
        "Mails written to the disk",
        "Only where mails become files instead of leaving: EMAIL_BACKEND is the Maildir.",
        90,
        lambda before: len(_older(_mails(), before)),
        lambda before, most: _drop_files(_older(_mails(), before), most),
    ),
    Keeping(
        "export_files",
        "Export files",
        "CSV files of ads, text messages and push messages. What was handed over stays on record.",
        90,
        lambda before: len(_older(_export_files(), before)),
        lambda before, most: _drop_files(_older(_export_files(), before), most),
    ),
)
