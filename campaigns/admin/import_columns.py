"""The page where a person says which column is what: what it offers, what was posted, why something is proposed."""

from __future__ import annotations

import zoneinfo
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import phonenumbers
from django.http import QueryDict

from campaigns import importing
from campaigns.importing import Options
from campaigns.importing.mapping import REQUIRED, STOPPING, TARGETS
from campaigns.models import AttributeDefinition, ImportKind, ImportSource, Upload
from campaigns.models.channels import PERSONAL_CHANNELS
from campaigns.sensitive import is_secret_name
from personalize.core.errors import InvalidInput

EXAMPLES = 3
WHY = {
    "name": "by its name",
    "spelling": "by its name, misspelt",
    "contents": "by its contents",
    "file name": "by the file's name",
    "meaning": "by a likeness of meaning: look twice",
    "nothing better": "",
    "last time": "as last time",
}
_SPECIAL = {
    "external_id": (
        (":=contact", "made from the e-mail address or telephone"),
        (":=row", "made from the row's number"),
    ),
    "consent": (
        (":=yes", "everybody in this file agreed"),
        (":=unsubscribed", "everybody in this file unsubscribed"),
        (":=bounced", "every address in this file bounced"),
    ),
}
_LABELS = {
    "consent": "may get",
    "opt_out": "opted out of",
    "bounced": "bounced:",
    "complained": "complained:",
}


@dataclass(frozen=True, slots=True)
class Seen:
    """What the file holds: columns, a sample of rows, the proposal (our field -> (column, why)) and a word on it."""

    headers: list[str]
    examples: Mapping[str, list[str]]
    proposal: Mapping[str, tuple[str, str]]
    note: str
    options: Options


def look(path: Path, upload: Upload, kind: str) -> Seen:
    """Read the beginning of the file and propose a mapping: the source's last one if it still fits."""
    headers, rows = importing.sample_of(path)
    guesses = importing.propose(
        headers, kind=kind, attributes=_attributes(), rows=rows, file_name=upload.file_name,
        likeness=upload.likeness,
    )  # fmt: skip
    proposal = {guess.target: (guess.column, guess.why) for guess in guesses}
    options, note = Options(lenient=True), ""
    source = ImportSource.objects.filter(kind=kind, name=upload.source).first() if upload.source else None
    if source is not None:
        options = Options.of(source.options)
        gone = [c for c in source.mapping.values() if not c.startswith(":=") and c not in headers]
        last = {
            target: (column, "last time")
            for target, column in source.mapping.items()
            if column.startswith(":=") or column in headers
        }
        taken = {column for column, _ in last.values()}
        new = {t: v for t, v in proposal.items() if t in REQUIRED[kind] and v[0] not in taken}
        proposal = {**new, **last}
        note = "As it was confirmed for the last file of this source."
        if gone:
            note += f" Columns that are no longer there: {', '.join(gone)}."
    secret = {header for header in headers if is_secret_name(header)}
    examples = {header: _examples(rows, header) for header in headers if header not in secret}
    return Seen(headers, examples, proposal, note, options)


def _examples(rows: Sequence[Mapping[str, object]], header: str) -> list[str]:
    found = (str(row.get(header) or "").strip() for row in rows)
    return [text[:40] for text in dict.fromkeys(filter(None, found))][:EXAMPLES]


def _attributes() -> list[str]:
    return list(AttributeDefinition.objects.order_by("name").values_list("name", flat=True))


def _targets(kind: str) -> list[str]:
    more: list[str] = []
    if kind == ImportKind.PROFILES:
        more = [f"consent.{channel}" for channel in PERSONAL_CHANNELS]
        more += [f"{group}.{channel}" for group, channels in STOPPING.items() for channel in channels]
        more += [f"attribute.{name}" for name in _attributes()]
    return [*TARGETS[kind], *more]


def table(kind: str, seen: Seen, chosen: Mapping[str, str]) -> list[dict[str, Any]]:
    """A row for each of our fields, those with a column first."""
    usable = [(header, header) for header in seen.headers if not is_secret_name(header)]
    rows = []
    for target in _targets(kind):
        group, _, name = target.rpartition(".")
        special: list[tuple[str, str]] = []
        if target == "external_id" and kind != ImportKind.PRODUCTS:
            special = list(_SPECIAL["external_id"])
        elif group == "consent":
            special = list(_SPECIAL["consent"])
        held = chosen.get(target, "")
        if held.startswith(":=") and held not in dict(special):
            special.append((held, f"always “{held[2:]}”"))
        proposed, why = seen.proposal.get(target, ("", ""))
        rows.append(
            {
                "name": target,
                "label": f"{_LABELS.get(group, group)} {name.replace('_', ' ')}".strip().capitalize(),
                "required": target in REQUIRED[kind],
                "options": [*special, *usable],
                "chosen": held,
                "why": WHY[why] if held and held == proposed else "",
                "doubtful": why in ("meaning", "spelling", "file name"),
            }
        )
    return sorted(rows, key=lambda row: not (row["chosen"] or row["required"]))


def columns(seen: Seen, chosen: Mapping[str, str]) -> list[dict[str, Any]]:
    """What is in the file, column by column."""
    use = {column: target for target, column in chosen.items()}
    return [
        {
            "name": header,
            "examples": seen.examples.get(header, []),
            "use": use.get(header, "").replace("_", " ").replace(".", ": "),
            "secret": header not in seen.examples,
        }
        for header in seen.headers
    ]


def posted(data: QueryDict, kind: str, headers: Sequence[str]) -> dict[str, str]:
    """The mapping as posted: known fields, columns of this file or our own words, nothing else."""
    found = {}
    for target in _targets(kind):
        value = data.get(f"to_{target}", "")
        if value in headers or value.startswith(":="):
            found[target] = value[:200]
    return found


def posted_options(data: QueryDict) -> Options:
    """Raises InvalidInput for a country or time zone that is none."""
    region = data.get("region", "").strip().upper()
    if region and region not in phonenumbers.SUPPORTED_REGIONS:
        raise InvalidInput(
            f"'{region[:20]}' is not a country's two letters, such as GB or DE.", field="region"
        )
    zone = data.get("time_zone", "").strip() or "UTC"
    try:
        read = zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidInput(
            f"There is no time zone '{zone[:60]}': write one like Europe/London.", field="time_zone"
        ) from None
    return Options(
        lenient=data.get("lenient") == "yes",
        day_first={"day": True, "month": False}.get(data.get("dates", "")),
        zone=read,
        region=region,
        create_profiles=data.get("create_profiles") == "yes",
        create_products=data.get("create_products") == "yes",
    )
