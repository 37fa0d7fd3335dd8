"""The suppression list by the thousand: from a file, a call or a form, and taking an address off it by hand."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import structlog
from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from campaigns import consent
from campaigns.models import Channel, Suppression, SuppressionReason
from campaigns.models.channels import PERSONAL_CHANNELS
from campaigns.sensitive import word_set
from personalize.core.errors import InvalidInput

log = structlog.get_logger(__name__)

MOST_BYTES = 50 * 1024 * 1024
_BATCH = 2_000
_HEADERS = word_set(
    """email e-mail mail address email_address e-mail-address emailaddress phone telephone mobile msisdn
    external_id externalid id userid recipient"""
)
_ADDRESS = re.compile(r"[^\s@<>,;\"']+@[^\s@<>,;\"']+\.[^\s@<>,;\"']+")


@dataclass(slots=True)
class Result:
    """`known`: on the list already. `refused`: (number of the line or item, why), the first hundred of `bad`."""

    added: int = 0
    known: int = 0
    bad: int = 0
    refused: list[tuple[int, str]] = field(default_factory=list)


def add(*, addresses: Iterable[str], channel: str, reason: str) -> Result:
    """Put addresses on the list, good ones whatever the bad ones are. Safe to repeat; numbers count from 1."""
    if channel not in PERSONAL_CHANNELS:
        raise InvalidInput(f"Addresses are for one of: {', '.join(PERSONAL_CHANNELS)}.", field="channel")
    if reason not in SuppressionReason.values:
        raise InvalidInput(f"A reason is one of: {', '.join(SuppressionReason.values)}.", field="reason")
    result = Result()
    batch: set[str] = set()

    def store() -> None:
        added = consent.suppress_hashes(pairs=[(each, channel) for each in batch], reason=reason)
        result.added += added
        result.known += len(batch) - added
        batch.clear()

    for number, address in enumerate(addresses, start=1):
        try:
            batch.add(consent.address_hash(consent.normalise_address(channel, address)))
        except InvalidInput as error:
            result.bad += 1
            if len(result.refused) < 100:
                result.refused.append((number, str(error)))
        if len(batch) >= _BATCH:
            store()
    store()
    log.info(
        "suppressions_added", channel=str(channel), reason=str(reason), added=result.added, refused=result.bad
    )
    return result


def addresses_in(content: bytes, *, channel: str) -> list[str]:
    """The addresses of a list: one a line, or the one column of a CSV file that holds them. Raises InvalidInput."""
    if len(content) > MOST_BYTES:
        raise InvalidInput(
            f"The list is larger than {MOST_BYTES // 1024 // 1024} MB. Split it.", field="file"
        )
    text = _decode(content)
    rows = [
        row
        for row in csv.reader(io.StringIO(text), delimiter=_delimiter(text))
        if any(c.strip() for c in row)
    ]
    if not rows:
        return []
    column = _column(rows, channel)
    first = rows[0][column].strip().lower() if column < len(rows[0]) else ""
    is_title = channel == Channel.EMAIL and "@" not in first and len(rows) > 1 and "@" in "".join(rows[1])
    if is_title or first.replace(" ", "_") in _HEADERS:
        rows = rows[1:]
    return [row[column].strip() for row in rows if column < len(row) and row[column].strip()]


def _decode(content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", errors="replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")


def _delimiter(text: str) -> str:
    head = "".join(text.splitlines(keepends=True)[:20])
    return max(",;\t", key=head.count)


def _column(rows: Sequence[Sequence[str]], channel: str) -> int:
    """By its header, else the one with most addresses, else the first."""
    wanted = {Channel.EMAIL: "mail", Channel.SMS: "phone"}.get(Channel(channel), "id")
    for place, name in enumerate(rows[0]):
        tidy = name.strip().lower().replace(" ", "_")
        if tidy in _HEADERS and (wanted in tidy or len(rows[0]) == 1):
            return place
    if channel == Channel.EMAIL:
        counts = [0] * max(len(row) for row in rows)
        for row in rows[:200]:
            for place, cell in enumerate(row):
                counts[place] += bool(_ADDRESS.search(cell))
        return counts.index(max(counts))
    return 0


@transaction.atomic
def take_off(*, pk: int, by: AbstractBaseUser) -> bool:
    """Take one address off the list; False if it is not there. Whoever is erased or complained stays.

    Consent is another matter: that somebody may be written to again does not mean that they agreed.
    """
    row = Suppression.objects.select_for_update().filter(pk=pk).first()
    if row is None:
        return False
    if row.reason in (SuppressionReason.ERASED, SuppressionReason.COMPLAINED):
        raise InvalidInput("Who was erased or complained comes back only by a new yes of their own.")
    row.delete()
    log.info("suppression_lifted", channel=row.channel, reason=row.reason, by=by.pk)
    return True


def lines_of(text: str) -> Iterator[str]:
    """Addresses pasted into a form: one a line, or separated by commas or semicolons."""
    for part in re.split(r"[\n,;]", text):
        if part.strip():
            yield part.strip()
