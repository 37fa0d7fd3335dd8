"""The columns that each platform reads, one row for one piece, and the CSV text of a file. Pure but for models.

UTF-8 with a byte order mark: Google Ads Editor and Meta's import read it, and a spreadsheet shows £ and é right.
Headers are English, as the platforms' importers ask
(https://support.google.com/google-ads/editor/answer/57747). Every cell that a spreadsheet would run as a
formula gets an apostrophe in front.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from campaigns.models import Channel
from delivery import rendering
from generation.models import Piece
from personalize.core.spreadsheets import FORMULA, defuse

ENCODING = "utf-8-sig"
Row = dict[str, str]


@dataclass(frozen=True, slots=True)
class Line:
    """One piece's row; `hash` is of what stands in it, before the apostrophes."""

    row: Row
    hash: str


HEADLINES, DESCRIPTIONS = 15, 4
COLUMNS: Mapping[Channel, Sequence[str]] = {
    Channel.GOOGLE_RSA: (
        "Campaign",
        "Ad group",
        "Ad type",
        *(f"Headline {n}" for n in range(1, HEADLINES + 1)),
        *(f"Description {n}" for n in range(1, DESCRIPTIONS + 1)),
        "Path 1",
        "Path 2",
        "Final URL",
    ),
    Channel.META_AD: (
        "Campaign Name",
        "Ad Set Name",
        "Ad Name",
        "Title",
        "Body",
        "Link Description",
        "Call to Action",
        "Link",
    ),
    Channel.LINKEDIN_AD: (
        "Campaign Name",
        "Ad Name",
        "Introductory Text",
        "Headline",
        "Destination URL",
    ),
    Channel.SMS: ("external_id", "text"),
    Channel.PUSH: ("external_id", "title", "body", "link"),
}


def line(piece: Piece) -> Line:
    """The piece as a row of its channel's file. Raises RenderError as `rendering.fill` does."""
    from delivery.claiming import content_hash

    row = _ROWS[Channel(piece.channel)](piece)
    return Line(row, content_hash(row))


def write(channel: Channel, rows: Iterable[Row]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS[channel], restval="", lineterminator="\r\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: defuse(cell) for name, cell in row.items()})
    return text.getvalue().encode(ENCODING)


def read(content: bytes) -> list[Row]:
    """Our own reader: the rows of a file that `write` made, apostrophes taken off again."""
    with io.StringIO(content.decode(ENCODING), newline="") as text:
        return [{name: _armed(cell) for name, cell in row.items()} for row in csv.DictReader(text)]


def _armed(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and cell[1:].startswith((*FORMULA, "'")) else cell


def _google(piece: Piece) -> Row:
    filled = rendering.fill(piece)
    row = {
        "Campaign": piece.run.campaign.name,
        "Ad group": _group(piece),
        "Ad type": "Responsive search ad",
        "Final URL": rendering.link(piece),
    }
    row |= _numbered("Headline", filled["headlines"], HEADLINES)
    row |= _numbered("Description", filled["descriptions"], DESCRIPTIONS)
    return row


def _meta(piece: Piece) -> Row:
    filled = rendering.fill(piece)
    return {
        "Campaign Name": piece.run.campaign.name,
        "Ad Set Name": _group(piece),
        "Ad Name": _ad_name(piece),
        "Title": _one(filled["headline"]),
        "Body": _one(filled["primary_text"]),
        "Link Description": _one(filled.get("description", "")),
        "Call to Action": "LEARN_MORE",
        "Link": rendering.link(piece),
    }


def _linkedin(piece: Piece) -> Row:
    filled = rendering.fill(piece)
    return {
        "Campaign Name": piece.run.campaign.name,
        "Ad Name": _ad_name(piece),
        "Introductory Text": _one(filled["intro"]),
        "Headline": _one(filled["headline"]),
        "Destination URL": rendering.link(piece),
    }


def _sms(piece: Piece) -> Row:
    return {"external_id": _reader(piece), "text": _one(rendering.fill(piece)["text"])}


def _push(piece: Piece) -> Row:
    filled = rendering.fill(piece)
    return {
        "external_id": _reader(piece),
        "title": _one(filled["title"]),
        "body": _one(filled["body"]),
        "link": rendering.link(piece),
    }


_ROWS: Mapping[Channel, Callable[[Piece], Row]] = {
    Channel.GOOGLE_RSA: _google,
    Channel.META_AD: _meta,
    Channel.LINKEDIN_AD: _linkedin,
    Channel.SMS: _sms,
    Channel.PUSH: _push,
}


def _numbered(name: str, found: object, most: int) -> Row:
    texts = found if isinstance(found, list) else [found]
    if len(texts) > most:
        raise rendering.RenderError(f"It has more than {most} {name.lower()}s. Take some out.")
    return {f"{name} {number}": str(text) for number, text in enumerate(texts, start=1)}


def _group(piece: Piece) -> str:
    return piece.run.campaign.audience or "Everyone"


def _ad_name(piece: Piece) -> str:
    return f"{piece.run.campaign.slug}-{piece.pk}"


def _one(value: object) -> str:
    return str(value)


def _reader(piece: Piece) -> str:
    return piece.profile.external_id if piece.profile else ""
