"""From an approved piece to exactly what leaves: values and the reader's name put in, the letter laid out.

Nothing that a marketer, a profile or the model wrote is evaluated: names are replaced from an allow-list in one
pass, and the letter's own template gets the results as data, escaped. Preview and sending are the same function
and differ in the reader's own addresses alone (leaving, preferences, the page in a browser, counted clicks): a
preview's leave nobody's list and count nothing.
"""

from __future__ import annotations

import hashlib
import json
import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formataddr
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import css_inline
from django.conf import settings
from django.core import signing
from django.template.loader import get_template

from campaigns.models import Brand
from delivery import links, unsubscribe
from generation import naming
from generation.models import Piece
from generation.writer import channels, values
from generation.writer.types import Channel, Fields
from personalize.core.errors import DomainError

# The writer writes English. A reader's locale is used where it is a kind of it, so that a screen reader
# pronounces the letter right.
LANGUAGE = "en"
_LOCALE = re.compile(r"en(?:[-_][A-Za-z]{2})?")
_LINE_END = 998 - 2  # octets in a header line, RFC 5322 2.1.1
_PIECE_SALT = "delivery.piece"
# Behind the preheader, so that a mail program's list does not show the letter's first words after it.
_PADDING = "\u034f\u200c\u00a0" * 60
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")  # a line break may stand in a body
_BREAK = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class RenderError(DomainError):
    """This piece cannot be rendered as it stands; a person must look at it again. Holds no copy."""

    code = "cannot_render"


@dataclass(frozen=True, slots=True)
class Rendered:
    """One mail as it leaves. `hash` covers subject, HTML, text and where links lead, without the reader's own
    addresses: a preview has the same."""

    subject: str
    html: str
    text: str
    sender: str
    reply_to: str
    headers: Mapping[str, str] = field(default_factory=dict)
    hash: str = ""


def fill(piece: Piece) -> Fields:
    """The piece's fields with its run's values and, where the channel allows it, the reader's name in.

    Raises RenderError for an unknown name, a stray brace, a control character, a sentence that needs a name the
    reader hasn't got, and a text that has become longer than its platform takes.
    """
    channel = Channel(piece.channel)
    spec = channels.SPECS[channel]
    known = run_values(piece.run.brief)
    name = naming.usable(piece.profile.first_name) if piece.profile and spec.first_name else ""
    if name:
        known[values.FIRST_NAME] = name
    filled: Fields = {}
    for key, value in piece.fields.items():
        texts = [
            _fill_text(text, known, key, nameless=spec.first_name and not name) for text in _texts(value, key)
        ]
        _measure(spec, key, texts)
        filled[key] = texts if isinstance(value, list) else texts[0]
    return filled


def run_values(brief: Mapping[str, Any]) -> dict[str, str]:
    """Name to text of the values that a run froze."""
    return {str(value["name"]): str(value["text"]) for value in brief.get("values", ())}


def used_values(piece: Piece) -> set[str]:
    """Names of the campaign's values in this piece, the button's or ad's link included."""
    texts = [text for key, value in piece.fields.items() for text in _texts(value, key)]
    found = {name for text in texts for name in values.names(text)} - {values.FIRST_NAME}
    return found | ({link_name(piece)} if piece.channel not in _LINKLESS else set())


_LINKLESS = frozenset({Channel.SMS})  # a text message holds its link in its text


def link_name(piece: Piece) -> str:
    return str(piece.run.brief.get("cta_link") or piece.run.campaign.cta_link)


def link(piece: Piece) -> str:
    """The address behind the button or ad as the run froze it, or RenderError."""
    name = link_name(piece)
    address = run_values(piece.run.brief).get(name, "")
    if not links.is_web_address(address):
        raise RenderError(
            f"The value {name or 'behind the button'} is no web address. Correct it in the campaign: https://…"
        )
    return address


def render_email(
    piece: Piece, *, message_id: str = "", preview: bool = False, counting_opens: bool = True
) -> Rendered:
    """The mail of one e-mail piece; for a preview with addresses that do nothing.

    The caller loads `run.campaign.brand` and `profile` with the piece; nothing else is read.
    """
    if piece.channel != Channel.EMAIL:
        raise RenderError("Only e-mails are rendered as letters; other channels are exported.")
    brand, campaign = piece.run.campaign.brand, piece.run.campaign
    filled = fill(piece)
    missing = [name for name in ("subject", "body", "cta") if not str(filled.get(name, "")).strip()]
    if missing:
        raise RenderError(f"The letter has no {missing[0]}. Write it, or have it written again.")
    link(piece)
    button, targets = (
        link_name(piece),
        {name: links.target(piece.run, name) for name in links.of_run(piece.run)},
    )
    subject = _one_line(str(filled["subject"]), "subject")
    paragraphs = [p.strip() for p in re.split(r"\n\s*\n", str(filled["body"])) if p.strip()]
    data = {
        "subject": subject,
        "preheader": _one_line(str(filled.get("preheader", "")), "preheader"),
        "paragraphs": [_wrapped(paragraph) for paragraph in paragraphs],
        "parts": [_parts(paragraph, links.of_run(piece.run)) for paragraph in paragraphs],
        "cta": _one_line(str(filled["cta"]), "cta"),
        "link": _place(button),
        "target": targets[button],
        "brand": brand.name,
        "postal_address": brand.postal_address,
        "legal_footer": brand.legal_footer,
        "unsubscribe_url": _place(_LEAVE),
        "preferences_url": _place(_PREFERENCES),
        "view_url": _place(_VIEW),
        "language": language(piece),
        "padding": _PADDING,
    }
    html = _inliner().inline(_template("mail/letter.html").render(data))
    text = _plain(_template("mail/letter.txt").render(data))
    own = _addresses(piece, preview=preview)
    counted = campaign.count_clicks and not preview
    behind = {name: links.click_url(piece, name) if counted else where for name, where in targets.items()}
    sent = _put(html, {**behind, **own}, escaped=True)
    if campaign.count_opens and counting_opens and not preview:
        sent = sent.replace("</body>", _PIXEL.format(links.pixel_url(piece)) + "</body>")
    return Rendered(
        subject=subject,
        html=sent,
        text=_put(text, {**targets, **own}),
        sender=formataddr((_one_line(brand.sender_name, "sender"), _one_line(brand.sender_email, "sender"))),
        reply_to=_one_line(brand.reply_to, "reply-to"),
        headers=_headers(piece, brand, message_id, own[_LEAVE]),
        hash=_hash(subject, html, text, targets),
    )


# The template lays out stand-ins; what they stand for is put in after the hash is taken. No value has such a name.
_LEAVE, _PREFERENCES, _VIEW = "-leave", "-preferences", "-view"
_STAND_IN = re.compile(r"https://stand-in\.invalid/(-?[a-z][a-z0-9_]{0,39})/")
_PIXEL = '<img src="{}" width="1" height="1" alt="" style="display: block; border: 0;">'


def _place(name: str) -> str:
    return f"https://stand-in.invalid/{name}/"


def _put(text: str, addresses: Mapping[str, str], *, escaped: bool = False) -> str:
    def put(match: re.Match[str]) -> str:
        address = addresses.get(match.group(1), match.group(0))
        return address.replace("&", "&amp;") if escaped else address

    return _STAND_IN.sub(put, text)


def _addresses(piece: Piece, *, preview: bool) -> dict[str, str]:
    if preview:
        return dict.fromkeys((_LEAVE, _PREFERENCES, _VIEW), unsubscribe.preview_url())
    return {
        _LEAVE: unsubscribe.url_for(piece),
        _PREFERENCES: links.preferences_url(piece),
        _VIEW: links.view_url(piece),
    }


def _parts(paragraph: str, known: Mapping[str, str]) -> list[tuple[str, str]]:
    """The paragraph in pieces, each with the address behind it or '': only the campaign's own links become links."""
    if not any(address in paragraph for address in known.values()):
        return [(paragraph, "")]
    by_address = {address: name for name, address in known.items()}
    pattern = "|".join(re.escape(address) for address in sorted(by_address, key=len, reverse=True))
    found = re.split(f"({pattern})", paragraph)
    return [(part, _place(by_address[part]) if part in by_address else "") for part in found if part]


def rendered_hash(rendered: Rendered) -> str:
    """sha256 of what leaves, the same for preview and sending."""
    return rendered.hash


def preview_html(piece: Piece) -> str:
    """The letter's HTML for a sandboxed frame: byte for byte what leaves, but for the reader's own addresses."""
    return render_email(piece, preview=True).html


def language(piece: Piece) -> str:
    locale = piece.profile.locale if piece.profile else ""
    return locale.replace("_", "-") if _LOCALE.fullmatch(locale) else LANGUAGE


def piece_reference(piece_id: int) -> str:
    """The piece's id, signed: comes back in bounces, and cannot be made up."""
    return signing.Signer(salt=_PIECE_SALT, sep=".").sign(str(piece_id))


def piece_of_reference(reference: str) -> int | None:
    try:
        return int(signing.Signer(salt=_PIECE_SALT, sep=".").unsign(reference))
    except (signing.BadSignature, ValueError):
        return None


def host() -> str:
    """The host of PUBLIC_URL: the right side of our Message-IDs."""
    return urlsplit(settings.PUBLIC_URL).hostname or "localhost"


def _headers(piece: Piece, brand: Brand, message_id: str, leave: str) -> dict[str, str]:
    headers = {
        # RFC 8058: the mail program shows its own button and posts to the address.
        "List-Unsubscribe": f"<{leave}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        "List-ID": f"<{brand.slug}.{host()}>",
        "Feedback-ID": f"{piece.run.campaign_id}:{piece.run_id}:{piece.channel}:personalize",
        "X-Personalize-Piece": piece_reference(piece.pk),
    }
    if message_id:
        headers["Message-ID"] = message_id
    for name, value in headers.items():
        _one_line(value, name)
    return headers


def _texts(value: object, key: str) -> list[str]:
    found = value if isinstance(value, list) else [value]
    texts = [text for text in found if isinstance(text, str)]
    if len(texts) != len(found):
        raise RenderError(f"The field {key} is not text. Write it again.")
    return texts


def _fill_text(text: str, known: Mapping[str, str], key: str, *, nameless: bool) -> str:
    try:
        filled = values.fill(naming.without(text) if nameless else text, known)
    except naming.NameNeeded as error:
        raise RenderError(f"In the {key} {error}. Reword it.") from error
    except values.ValueProblem as error:
        raise RenderError(f"In the {key} {error}. Correct the text or the campaign's values.") from error
    if _CONTROL.search(filled):
        raise RenderError(f"A control character stands in the {key}. Write it again.")
    return filled.strip()


def _measure(spec: channels.ChannelSpec, key: str, texts: list[str]) -> None:
    try:
        limits = spec.field(key)
    except KeyError:
        raise RenderError(f"A piece for {spec.channel} has no field {key}. Write it again.") from None
    if not limits.hard:
        return
    for text in texts:
        length, most = channels.length(text, limits.measure), channels.limit_of(limits, text)
        if length > most:
            raise RenderError(
                f"With its values in, the {key} is {length} long and {most} is the most. Shorten it."
            )


def _one_line(text: str, what: str) -> str:
    """Headers are made of it: a line break could add one."""
    if _BREAK.search(text):
        raise RenderError(f"A line break stands in the {what}. Write it on one line.")
    if len(text.encode()) > _LINE_END:
        raise RenderError(f"The {what} is too long for a mail.")
    return text.strip()


def _hash(subject: str, html: str, text: str, targets: Mapping[str, str]) -> str:
    content = json.dumps([subject, html, text, sorted(targets.items())], ensure_ascii=False)
    return hashlib.sha256(content.encode()).hexdigest()


def _wrapped(paragraph: str) -> str:
    """For old programs that show a paragraph as one line. An address is never cut in two."""
    lines = [
        textwrap.fill(line, 76, break_long_words=False, break_on_hyphens=False)
        for line in paragraph.splitlines()
    ]
    return "\n".join(lines)


def _plain(text: str) -> str:
    """Template blank lines brought down to one, none at either end."""
    return re.sub(r"\n{3,}", "\n\n", "\n".join(line.rstrip() for line in text.splitlines())).strip() + "\n"


@lru_cache(maxsize=1)
def _inliner() -> css_inline.CSSInliner:
    return css_inline.CSSInliner(keep_style_tags=False, keep_at_rules=True, load_remote_stylesheets=False)


@lru_cache(maxsize=4)
def _template(name: str) -> Any:
    return get_template(name)
