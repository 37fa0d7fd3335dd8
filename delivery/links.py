"""The addresses in a mail: every one signed, none with anything personal in it.

A click's address names a run, a piece and a value; where it leads is looked up among the values that the run froze,
so it can lead nowhere else. Tags for web statistics are put on links to the brand's own sites alone, and leave
every other part of the address as it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from django.conf import settings
from django.core import signing

from campaigns.models import Brand, Campaign, Run, ValueKind
from delivery import unsubscribe
from generation.models import Piece

VIEW_DAYS = 90  # how long a mail can be opened in a browser
_VIEW_SALT = "delivery.view"
_CLICK_SALT = "delivery.click"
_OPEN_SALT = "delivery.open"
# A transparent picture of one point.
PIXEL = bytes.fromhex(
    "47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b"
)


@dataclass(frozen=True, slots=True)
class Click:
    """What the address of a counted link stands for."""

    run_id: int
    piece_id: int
    name: str


def preferences_url(piece: Piece) -> str:
    return f"{settings.PUBLIC_URL}/p/{unsubscribe.token_for(piece)}/"


def view_url(piece: Piece) -> str:
    """The mail in a browser, for VIEW_DAYS."""
    token = signing.TimestampSigner(salt=_VIEW_SALT, sep=".").sign(str(piece.pk))
    return f"{settings.PUBLIC_URL}/v/{token}/"


def viewed(token: str) -> int | None:
    """The piece of a view's token; None when it is not one of ours, or too old."""
    signer = signing.TimestampSigner(salt=_VIEW_SALT, sep=".")
    try:
        return int(signer.unsign(token, max_age=VIEW_DAYS * 86400))
    except (signing.BadSignature, ValueError):
        return None


def click_url(piece: Piece, name: str) -> str:
    token = signing.Signer(salt=_CLICK_SALT, sep=".").sign(f"{piece.run_id}-{piece.pk}-{name}")
    return f"{settings.PUBLIC_URL}/c/{token}/"


def clicked(token: str) -> Click | None:
    try:
        run_id, piece_id, name = signing.Signer(salt=_CLICK_SALT, sep=".").unsign(token).split("-", 2)
        return Click(int(run_id), int(piece_id), name)
    except (signing.BadSignature, ValueError):
        return None


def pixel_url(piece: Piece) -> str:
    token = signing.Signer(salt=_OPEN_SALT, sep=".").sign(str(piece.pk))
    return f"{settings.PUBLIC_URL}/o/{token}.gif"


def opened(token: str) -> int | None:
    try:
        return int(signing.Signer(salt=_OPEN_SALT, sep=".").unsign(token))
    except (signing.BadSignature, ValueError):
        return None


# -- where links lead --------------------------------------------------------------------------------


def is_web_address(address: str) -> bool:
    """http or https, a host, no user name before it, nothing that could end an attribute or a header."""
    try:
        parts = urlsplit(address)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and not parts.username
    except ValueError:
        return False
    return good and not any(c.isspace() or not c.isprintable() or c in '<>"\\' for c in address)


def of_run(run: Run) -> dict[str, str]:
    """Name to address of the links that a run froze; what is no web address is left out."""
    button = str(run.brief.get("cta_link") or run.campaign.cta_link)
    return {
        str(value["name"]): str(value["text"])
        for value in run.brief.get("values", ())
        if (value.get("kind") == ValueKind.LINK or value["name"] == button)
        and is_web_address(str(value["text"]))
    }


def target(run: Run, name: str) -> str:
    """Where the link `name` of a run leads, with its tags; '' when the run has no such link."""
    address = of_run(run).get(name, "")
    return tagged(address, tags=tags_of(run.campaign), own=own_sites(run.campaign.brand)) if address else ""


def tags_of(campaign: Campaign) -> dict[str, str]:
    """The utm tags of a campaign's links; none without a source."""
    if not campaign.utm_source:
        return {}
    tags = {
        "utm_source": campaign.utm_source,
        "utm_medium": campaign.utm_medium,
        "utm_campaign": campaign.utm_campaign or campaign.slug,
    }
    return {name: text for name, text in tags.items() if text}


def own_sites(brand: Brand) -> list[str]:
    return list(brand.own_sites) or [brand.sender_email.rpartition("@")[2]]


def tagged(address: str, *, tags: Mapping[str, str], own: list[str]) -> str:
    """The address with those tags it hasn't got. Its path, query and fragment stay to the letter."""
    parts = urlsplit(address)
    host = (parts.hostname or "").lower()
    if not tags or not any(host == site.lower() or host.endswith("." + site.lower()) for site in own):
        return address
    there = {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    new = urlencode({name: text for name, text in tags.items() if name not in there}, quote_via=quote)
    query = "&".join(part for part in (parts.query, new) if part)
    return urlunsplit(parts._replace(query=query))
