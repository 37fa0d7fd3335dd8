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
from urllib.parse import urlsplit

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
        "Status",
    ),
    Channel.META_AD: (
        "Campaign Name",
        "Ad Set Name",
        "Ad Name",
        "Ad Status",
        "Creative Type",
        "Title",
        "Body",
        "Link Description",
        "Display Link",
        "Link",
        "Call to Action",
        "Image File Name",
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
        "Status": "Paused",  # uploading spends nothing: somebody switches it on
    }
    row |= _numbered("Headline", filled["headlines"], 3, HEADLINES)
    row |= _numbered("Description", filled["descriptions"], 2, DESCRIPTIONS)
    return row


def _meta(piece: Piece) -> Row:
    filled = rendering.fill(piece)
    return {
        "Campaign Name": piece.run.campaign.name,
        "Ad Set Name": _group(piece),
        "Ad Name": _ad_name(piece),
        "Ad Status": "PAUSED",
        "Creative Type": "Link Page Post Ad",
        # Meta's importer takes a line break inside a cell for the end of the row.
        "Title": _line(filled["headline"]),
        "Body": _line(filled["primary_text"]),
        "Link Description": _line(filled.get("description", "")),
        "Display Link": urlsplit(rendering.link(piece)).hostname or "",
        "Link": rendering.link(piece),
        "Call to Action": "LEARN_MORE",
    }


def _linkedin(piece: Piece) -> Row:
    filled = rendering.fill(piece)
    return {
        "Campaign Name": piece.run.campaign.name,
        "Ad Name": _ad_name(piece),
        "Introductory Text": _line(filled["intro"]),
        "Headline": _line(filled["headline"]),
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


def _numbered(name: str, found: object, least: int, most: int) -> Row:
    """One column a text. What the platform would refuse as a whole goes back to a person instead."""
    texts = [_line(text) for text in (found if isinstance(found, list) else [found])]
    if len(texts) > most:
        raise rendering.RenderError(f"It has more than {most} {name.lower()}s. Take some out.")
    if len(texts) < least:
        raise rendering.RenderError(f"It has fewer than {least} {name.lower()}s. Have it written again.")
    if len({text.casefold() for text in texts}) < len(texts):
        raise rendering.RenderError(f"Two {name.lower()}s are the same once the values are in. Change one.")
    return {f"{name} {number}": text for number, text in enumerate(texts, start=1)}


def _group(piece: Piece) -> str:
    """The audience that the run was written for; 255 characters is the most for an ad group's name."""
    audience = str(piece.run.brief.get("audience") or piece.run.campaign.audience)
    return _line(audience)[:255].strip() or "Everyone"


def _ad_name(piece: Piece) -> str:
    return f"{piece.run.campaign.slug}-{piece.pk}"


def _one(value: object) -> str:
    return str(value)


def _line(value: object) -> str:
    return " ".join(str(value).split())


def _reader(piece: Piece) -> str:
    return piece.profile.external_id if piece.profile else ""
