"""The letter: values in, nothing evaluated, headers safe, preview and sending the same."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from delivery import links, rendering, unsubscribe
from delivery.rendering import RenderError
from generation.models import Piece
from tests import factories

LINK = "https://wrenandember.example/cast-iron"


def letter(**changes: Any) -> Piece:
    """A piece that is nowhere in a database: rendering reads the objects it is handed."""
    fields = {**factories.EMAIL_FIELDS, **changes.pop("fields", {})}
    profile = factories.ProfileFactory.build(pk=7, **changes.pop("profile", {}))
    run = factories.RunFactory.build(
        pk=3,
        campaign=factories.CampaignFactory.build(
            pk=2,
            segment=None,
            brand=factories.BrandFactory.build(pk=1, slug="wren", **changes.pop("brand", {})),
        ),
        **changes,
    )
    return Piece(pk=11, run=run, profile=profile, channel="email", fields=fields)


def test_values_and_name_stand_in_every_part() -> None:
    rendered = rendering.render_email(letter(profile={"first_name": "Ada"}))

    assert rendered.subject == "A pan for the fire"
    assert "Hello Ada," in rendered.text
    assert "Hello Ada," in rendered.html
    assert "Cast iron is 15% off" in rendered.html
    assert "all cast iron is 15% off until 5 July." in rendered.text
    assert f'href="{links.click_url(letter(), "link")}"' in rendered.html
    assert f"See the cast iron:\n{LINK}\n" in rendered.text
    assert "{{" not in rendered.html + rendered.text + rendered.subject


def test_a_missing_name_leaves_a_plain_greeting() -> None:
    rendered = rendering.render_email(letter(profile={"first_name": ""}))

    assert rendered.text.startswith("Hello,\n\nYour moka pot")


def test_a_name_that_is_an_advertisement_is_left_out() -> None:
    rendered = rendering.render_email(letter(profile={"first_name": "win-at.evil.example"}))

    assert "evil" not in rendered.html + rendered.text


@pytest.mark.parametrize(
    ("field", "text", "word"),
    [
        ("body", "Only {{prize}} left.", "prize"),
        ("body", "A {brace} stands here.", "braces"),
        ("subject", "{{first_name}} loves cast iron", "first name"),
        ("subject", "A pan\r\nBcc: everyone@postbox.example", "control character"),
        ("subject", "A pan\nfor you", "line break"),
        ("body", "Null \x00 here.", "control character"),
        ("body", "   ", "no body"),
        ("subject", "", "no subject"),
    ],
)
def test_what_cannot_be_rendered_goes_to_a_person(field: str, text: str, word: str) -> None:
    with pytest.raises(RenderError, match=word):
        rendering.render_email(letter(profile={"first_name": ""}, fields={field: text}))


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        "data:text/html,hello",
        "ftp://files.example/a",
        "//wrenandember.example",
        "wrenandember.example/cast-iron",
        "https://shop@evil.example/",
        'https://wrenandember.example/"onclick="x',
        "https://wrenandember.example/a b",
        "https://",
        "https://[::1",
        "",
    ],
)
def test_a_button_leads_to_a_web_address_or_nowhere(address: str) -> None:
    piece = letter()
    piece.run.brief["values"][2]["text"] = address

    with pytest.raises(RenderError, match="no web address"):
        rendering.render_email(piece)


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def tags(html: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = _Tags()
    parser.feed(html)
    return parser.tags


def test_what_people_and_models_wrote_is_text_and_never_evaluated() -> None:
    hostile = "<script>alert(1)</script><img src=x onerror=y> {% load x %} & more"
    plain = rendering.render_email(letter())
    piece = letter(
        fields={"body": hostile, "subject": f"S {hostile}", "preheader": hostile, "cta": hostile},
        brand={"name": hostile, "postal_address": hostile, "legal_footer": hostile},
    )
    piece.fields = {k: v.replace("{%", "(%").replace("%}", "%)") for k, v in piece.fields.items()}

    rendered = rendering.render_email(piece)

    known = {tag for tag, _ in tags(plain.html)}
    assert {tag for tag, _ in tags(rendered.html)} <= known
    assert not any(name.startswith("on") for _, found in tags(rendered.html) for name in found)
    assert "{% load x %}" in rendered.text  # the brand's own words, as they stand
    assert "<script>" in rendered.text


@settings(deadline=None)
@given(st.text(alphabet=st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="{}"), max_size=80))
def test_any_text_keeps_the_letter_whole(text: str) -> None:
    known = {tag for tag, _ in tags(rendering.render_email(letter()).html)}
    piece = letter(fields={"body": f"x {text}"}, brand={"legal_footer": text})

    rendered = rendering.render_email(piece)

    assert {tag for tag, _ in tags(rendered.html)} <= known


def test_headers_let_a_mail_program_unsubscribe_with_one_click() -> None:
    piece = letter()

    headers = rendering.render_email(piece, message_id="<one@host>").headers

    assert headers["List-Unsubscribe"] == f"<{unsubscribe.url_for(piece)}>"
    assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert headers["Message-ID"] == "<one@host>"
    assert headers["Feedback-ID"] == "2:3:email:personalize"
    assert rendering.piece_of_reference(headers["X-Personalize-Piece"]) == 11


def test_headers_hold_nothing_personal() -> None:
    piece = letter(profile={"first_name": "Zebedee", "external_id": "crm-secret"})

    headers = str(dict(rendering.render_email(piece, message_id="<one@host>").headers))

    assert not re.search("zebedee|crm-secret|postbox", headers, re.IGNORECASE)


def test_a_piece_reference_cannot_be_made_up() -> None:
    assert rendering.piece_of_reference("11.AAAA") is None
    assert rendering.piece_of_reference("") is None


@pytest.mark.parametrize(
    "brand",
    [
        {"sender_name": "Ada\r\nBcc: all@postbox.example"},
        {"sender_email": "a@b.example\nX: y"},
        {"reply_to": "a@b.example\nX: y"},
    ],
)
def test_no_brand_adds_a_header(brand: dict[str, str]) -> None:
    with pytest.raises(RenderError):
        rendering.render_email(letter(brand=brand))


def test_preview_is_what_leaves_but_for_the_readers_own_addresses() -> None:
    piece = letter()

    sent = rendering.render_email(piece, message_id="<one@host>")
    shown = rendering.preview_html(piece)

    assert shown != sent.html
    assert re.sub('href="[^"]+"', "", shown) == re.sub('href="[^"]+"', "", sent.html)
    own = {unsubscribe.url_for(piece), links.preferences_url(piece), links.click_url(piece, "link")}
    assert not [address for address in (*own, "/v/") if address in shown]
    assert all(address in sent.html for address in (*own, "/v/"))
    assert f'href="{LINK}"' in shown
    again = rendering.render_email(piece, preview=True)
    assert rendering.rendered_hash(again) == rendering.rendered_hash(sent)
    assert len(rendering.rendered_hash(sent)) == 64


def test_another_text_has_another_hash() -> None:
    one = rendering.render_email(letter())
    other = rendering.render_email(letter(fields={"body": "Hello {{first_name}},\n\nSomething else."}))

    assert one.hash != other.hash


@pytest.mark.parametrize(
    ("locale", "language"),
    [("en-GB", "en-GB"), ("en_US", "en-US"), ("de-DE", "en"), ("", "en"), ('"><b', "en")],
)
def test_the_language_is_that_of_the_words(locale: str, language: str) -> None:
    html = rendering.render_email(letter(profile={"locale": locale})).html

    assert dict(tags(html)[0][1])["lang"] == language


def test_the_letter_loads_nothing_from_elsewhere_and_carries_the_law() -> None:
    rendered = rendering.render_email(letter())

    found = tags(rendered.html)
    assert not {"img", "link", "script", "iframe", "object"} & {tag for tag, _ in found}
    assert "url(" not in rendered.html
    for part in (rendered.html.replace("&amp;", "&"), rendered.text):
        assert "Wren & Ember, The Old Forge, Ottersby" in part
        assert "You get this because you asked for our letter." in part
        assert unsubscribe.url_for(letter()) in part


def test_styles_are_in_the_elements_and_dark_rules_stay() -> None:
    html = rendering.render_email(letter()).html

    assert 'class="words" style="' in html
    assert "prefers-color-scheme: dark" in html
    assert html.count("<style") == 1


def test_an_sms_that_its_values_make_too_long_goes_to_a_person() -> None:
    piece = letter()
    piece.channel = "sms"
    piece.fields = {"text": "x" * 150 + " {{discount}} {{first_name}}"}
    piece.profile.first_name = "Bartholomew"

    with pytest.raises(RenderError, match="160 is the most"):
        rendering.fill(piece)


def test_an_ad_never_carries_a_name() -> None:
    piece = letter(profile={"first_name": "Ada"})
    piece.channel = "meta_ad"
    piece.fields = {"primary_text": "For {{first_name}}", "headline": "h", "description": "d"}

    with pytest.raises(RenderError, match="first_name"):
        rendering.fill(piece)


def test_only_the_campaigns_own_links_become_links_in_the_text() -> None:
    piece = letter(fields={"body": "See {{link}} or https://evil.example/x or <b>this</b>.\nTwo lines."})

    rendered = rendering.render_email(piece, preview=True)

    hrefs = [found.get("href") for tag, found in tags(rendered.html) if tag == "a"]
    assert hrefs.count(LINK) == 2  # in the text and behind the button
    assert "https://evil.example/x" not in hrefs
    assert f"See {LINK} or" in rendered.text
    assert "stand-in.invalid" not in rendered.html + rendered.text


def test_links_get_tags_and_clicks_are_counted_as_the_campaign_says() -> None:
    piece = letter()
    campaign = piece.run.campaign
    campaign.utm_source, campaign.slug = "letter", "cast-iron"
    campaign.brand.own_sites = ["wrenandember.example"]
    where = f"{LINK}?utm_source=letter&utm_medium=email&utm_campaign=cast-iron"

    counted = rendering.render_email(piece)
    campaign.count_clicks = False
    straight = rendering.render_email(piece)

    assert f'href="{links.click_url(piece, "link")}"' in counted.html
    assert f'href="{where.replace("&", "&amp;")}"' in straight.html
    assert where in counted.text and where in straight.text  # readable there, so never by way of us
    assert counted.hash == straight.hash
    campaign.utm_source = "another"
    assert rendering.render_email(piece).hash != counted.hash


def test_an_opening_is_counted_only_if_the_campaign_says_so() -> None:
    piece = letter()
    assert "<img" not in rendering.render_email(piece).html

    piece.run.campaign.count_opens = True
    found = [found for tag, found in tags(rendering.render_email(piece).html) if tag == "img"]

    assert [(one["src"], one["alt"]) for one in found] == [(links.pixel_url(piece), "")]
    assert "<img" not in rendering.preview_html(piece)


def test_used_values_name_the_link_behind_the_button() -> None:
    assert rendering.used_values(letter()) == {"discount", "end_date", "link"}


# What the letter is laid out with, and why each is safe: docs/mail.md. Add here only what the same page explains.
PROPERTIES = {
    "background-color", "border-collapse", "border-radius", "color", "display", "font-family", "font-size",
    "font-weight", "line-height", "margin", "max-width", "mso-hide", "padding", "text-align", "text-decoration",
    "width", "word-break", "-webkit-text-size-adjust",
}  # fmt: skip
ELEMENTS = {
    "a", "body", "br", "div", "head", "html", "meta", "p", "style", "table", "tbody", "td", "title", "tr",
}  # fmt: skip


def test_the_letter_uses_only_what_mail_programs_know() -> None:
    html = rendering.render_email(letter(), preview=True).html

    found = tags(html)
    used = {part.split(":")[0].strip() for _, a in found for part in (a.get("style") or "").split(";")}
    assert used - {""} <= PROPERTIES
    assert {tag for tag, _ in found} <= ELEMENTS
    assert all(a.get("role") == "presentation" for tag, a in found if tag == "table" and "class" in a)
    assert "bgcolor" not in html  # where styles are dropped it would hide the words on the button


def test_the_plain_part_is_readable_and_its_addresses_are_whole() -> None:
    piece = letter(
        fields={"body": "Hello {{first_name}},\n\n" + "many words and " * 30 + "see {{link}} for more."}
    )

    text = rendering.render_email(piece).text

    lines = [line for line in text.splitlines() if "://" not in line]
    assert [line for line in lines if len(line) > 76] == []
    assert f"{LINK}" in text and unsubscribe.url_for(piece) in text
    assert "&amp;" not in text and "<" not in text
