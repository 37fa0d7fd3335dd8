"""Pages without a login: each is here, opening one changes nothing, and none can be led astray."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.test import Client
from django.urls import URLPattern, get_resolver
from django.utils import timezone

from campaigns import consent
from campaigns.models import Consent, Profile, Suppression
from delivery import links, unsubscribe
from delivery import urls as delivery_urls
from delivery.models import Delivery, DeliveryStatus, Outcome
from generation.models import Piece, Status
from tests import factories
from tests.delivery import scenes

pytestmark = pytest.mark.django_db

LINK = "https://wrenandember.example/cast-iron"
BROWSER = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Accept-Language": "en-GB,en;q=0.5",
}
# name -> methods that are answered; everything else is 405. All are open to everybody: the token is the key.
PUBLIC = {
    "unsubscribe": {"get", "head", "post"},
    "preferences": {"get", "head", "post"},
    "view-in-browser": {"get", "head"},
    "follow-link": {"get", "head"},
    "open-pixel": {"get", "head"},
    "provider-report": {"get", "head", "post"},
}


@pytest.fixture
def piece() -> Piece:
    long_ago = timezone.now() - timedelta(hours=1)
    delivery = factories.DeliveryFactory(
        piece__reviewed_by=scenes.somebody(), begun_at=long_ago, finished_at=long_ago
    )
    sent: Piece = delivery.piece
    return sent


def path(url: str) -> str:
    return url.removeprefix(django_settings.PUBLIC_URL)


def addresses(piece: Piece) -> dict[str, str]:
    return {
        "unsubscribe": path(unsubscribe.url_for(piece)),
        "preferences": path(links.preferences_url(piece)),
        "view-in-browser": path(links.view_url(piece)),
        "follow-link": path(links.click_url(piece, "link")),
        "open-pixel": path(links.pixel_url(piece)),
        "provider-report": "/hooks/mail/postmark/",
    }


def may_get(piece: Piece, channel: str = "email") -> bool:
    return consent.may_receive(Profile.objects.filter(pk=piece.profile_id), channel=channel).exists()


def test_every_public_page_has_its_row(piece: Piece) -> None:
    assert {found.name for found in delivery_urls.urlpatterns} == set(PUBLIC) == set(addresses(piece))
    mounted = {found.name for found in get_resolver().url_patterns if isinstance(found, URLPattern)}
    # Whoever adds another must say here who may open it: tracking asks for a key (tests/api).
    assert mounted <= {"home", "tracking"}


@pytest.mark.parametrize("name", PUBLIC)
def test_methods_and_what_opening_changes(name: str, piece: Piece, client: Client) -> None:
    url = addresses(piece)[name]
    for method in ("get", "head", "post", "put", "patch", "delete"):
        if name == "provider-report" and method == "post":
            continue  # tests/delivery/test_reports.py
        status = getattr(Client(), method)(url).status_code
        assert (status in (200, 302)) is (method in PUBLIC[name]), f"{method} {status}"
    if "post" not in PUBLIC[name]:
        assert may_get(piece) and not Suppression.objects.exists() and Consent.objects.count() == 1


@pytest.mark.parametrize("name", sorted(PUBLIC.keys() - {"provider-report"}))
def test_a_wrong_token_opens_nothing(name: str, piece: Piece) -> None:
    url = addresses(piece)[name]
    end = ".gif" if name == "open-pixel" else "/"
    for wrong in ("x" + end, "A" + end, end):
        answer = Client().get(url.removesuffix(end) + wrong if wrong != end else url[:-5] + end)
        assert answer.status_code == (200 if name == "open-pixel" else 404)
    assert not Outcome.objects.exists()


@pytest.mark.parametrize("name", sorted(PUBLIC.keys() - {"provider-report"}))
def test_every_page_is_private_and_loads_nothing(name: str, piece: Piece) -> None:
    answer = Client().get(addresses(piece)[name], headers=BROWSER)

    assert answer["Referrer-Policy"] == "no-referrer"
    assert answer["Cache-Control"] == "no-store"
    assert "noindex" in answer["X-Robots-Tag"]
    assert answer["Content-Security-Policy"].startswith("default-src 'none'")
    assert not answer.cookies


# -- preferences -------------------------------------------------------------------------------------


@pytest.fixture
def on_two(piece: Piece) -> Piece:
    profile = piece.profile
    Profile.objects.filter(pk=profile.pk).update(
        phone="+441632960001", phone_hash=consent.address_hash("+441632960001")
    )
    consent.record(profile_id=profile.pk, channel="sms", status="given", source="form")
    assert may_get(piece, "sms")
    return piece


def test_preferences_show_the_channels_and_no_address(on_two: Piece) -> None:
    page = Client().get(addresses(on_two)["preferences"]).content.decode()

    assert page.count('type="checkbox"') == 2
    assert "E-mails" in page and "Text messages" in page and "Push" not in page
    assert "postbox" not in page and "960001" not in page


def test_what_is_unticked_is_turned_off_and_the_rest_stays(on_two: Piece) -> None:
    waiting = factories.PieceFactory(profile=on_two.profile, status=Status.APPROVED, channel="sms")

    page = Client().post(
        addresses(on_two)["preferences"], {"action": "save", "shown": ["email", "sms"], "keep": ["email"]}
    )

    assert "it takes effect at once" in page.content.decode()
    assert (may_get(on_two), may_get(on_two, "sms")) == (True, False)
    waiting.refresh_from_db()
    assert waiting.status == Status.WITHDRAWN
    assert not Outcome.objects.exists()  # the e-mail it came by has lost nobody


def test_a_form_of_yesterday_turns_off_only_what_it_showed(on_two: Piece) -> None:
    Client().post(addresses(on_two)["preferences"], {"action": "save", "shown": ["email"], "keep": ["email"]})

    assert may_get(on_two) and may_get(on_two, "sms")


def test_everything_at_once_and_taken_back_one_by_one(on_two: Piece) -> None:
    url = addresses(on_two)["preferences"]
    page = Client().post(url, {"action": "everything"}).content.decode()
    assert (may_get(on_two), may_get(on_two, "sms")) == (False, False)
    assert Outcome.objects.get().kind == "unsubscribed"
    undo = dict(
        re.findall(r'name="channel" value="(\w+)">\s*<input type="hidden" name="undo" value="([^"]+)"', page)
    )
    assert set(undo) == {"email", "sms"}

    wrong = Client().post(url, {"action": "undo", "channel": "email", "undo": undo["sms"]}).content.decode()
    assert "no longer be taken back" in wrong
    assert not may_get(on_two)

    Client().post(url, {"action": "undo", "channel": "sms", "undo": undo["sms"]})
    assert (may_get(on_two), may_get(on_two, "sms")) == (False, True)


@pytest.mark.parametrize(
    "data", [{}, {"action": "save"}, {"action": "x"}, {"action": "undo", "channel": "meta_ad"}]
)
def test_a_form_that_says_nothing_does_nothing(data: dict[str, str], on_two: Piece) -> None:
    assert Client().post(addresses(on_two)["preferences"], data).status_code == 200

    assert may_get(on_two) and may_get(on_two, "sms")


def test_an_old_mail_turns_nothing_on(on_two: Piece) -> None:
    consent.record(profile_id=on_two.profile_id, channel="email", status="withdrawn", source="the CRM")

    page = Client().post(addresses(on_two)["preferences"], {"action": "everything"}).content.decode()

    assert 'name="channel" value="email"' not in page
    assert not may_get(on_two)


# -- the mail in a browser ---------------------------------------------------------------------------


def test_the_mail_in_a_browser_is_the_mail(piece: Piece) -> None:
    answer = Client().get(addresses(piece)["view-in-browser"])

    page = answer.content.decode()
    assert answer.status_code == 200
    assert "A pan for the fire" in page and unsubscribe.url_for(piece) in page
    assert (
        "script-src" not in answer["Content-Security-Policy"]
        and "sandbox" in answer["Content-Security-Policy"]
    )


@pytest.mark.parametrize("status", [Status.IN_REVIEW, Status.APPROVED, Status.WITHDRAWN])
def test_what_has_not_left_is_not_shown(status: Status, piece: Piece) -> None:
    Piece.objects.filter(pk=piece.pk).update(status=status)

    assert Client().get(addresses(piece)["view-in-browser"]).status_code == 404


def test_the_mail_of_somebody_erased_is_gone(piece: Piece) -> None:
    url = addresses(piece)
    piece.profile.delete()

    assert Client().get(url["view-in-browser"]).status_code == 404
    assert Client().get(url["follow-link"], headers=BROWSER)["Location"] == LINK  # still a good link


# -- clicks and openings -----------------------------------------------------------------------------


def test_a_click_goes_on_and_is_counted_once(piece: Piece) -> None:
    for _ in range(3):
        answer = Client().get(addresses(piece)["follow-link"], headers=BROWSER)
        assert (answer.status_code, answer["Location"]) == (302, LINK)

    outcome = Outcome.objects.get()
    assert (outcome.kind, outcome.counted, outcome.detail) == ("clicked", True, "")


def test_the_target_is_never_taken_from_the_request(piece: Piece) -> None:
    url = addresses(piece)["follow-link"]
    for more in ("?url=https://evil.example/", "?next=//evil.example", "?link=javascript:alert(1)"):
        assert Client().get(url + more, headers=BROWSER)["Location"] == LINK
    assert Client().get(path(links.click_url(piece, "discount"))).status_code == 404


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        ({}, "no browser"),
        ({**BROWSER, "User-Agent": "python-requests/2.32"}, "link scanner"),
        ({**BROWSER, "User-Agent": "Mozilla/5.0 (compatible; BingPreview/1.0b)"}, "link scanner"),
        ({"User-Agent": BROWSER["User-Agent"]}, "no language"),
        ({**BROWSER, "Sec-Purpose": "prefetch;prerender"}, "fetched ahead"),
    ],
)
def test_a_machines_click_is_sent_on_kept_and_not_counted(
    headers: dict[str, str], why: str, piece: Piece
) -> None:
    url = addresses(piece)["follow-link"]
    assert Client().get(url, headers=headers)["Location"] == LINK

    outcome = Outcome.objects.get()
    assert (outcome.counted, outcome.detail) == (False, why)
    Client().get(url, headers=BROWSER)
    assert Outcome.objects.filter(counted=True).count() == 1  # the reader's own comes later


def test_a_click_in_the_moment_of_arrival_is_a_scanners(piece: Piece) -> None:
    Delivery.objects.filter(piece=piece).update(finished_at=timezone.now())

    Client().get(addresses(piece)["follow-link"], headers=BROWSER)

    assert Outcome.objects.get().detail == "too soon"


def test_looking_at_a_link_is_no_click(piece: Piece) -> None:
    assert Client().head(addresses(piece)["follow-link"], headers=BROWSER)["Location"] == LINK

    assert not Outcome.objects.exists()


def test_a_click_makes_an_uncertain_end_certain(piece: Piece) -> None:
    Delivery.objects.filter(piece=piece).update(status=DeliveryStatus.UNKNOWN, finished_at=None)
    Piece.objects.filter(pk=piece.pk).update(status=Status.UNKNOWN, delivered_at=None)

    Client().get(addresses(piece)["follow-link"], headers=BROWSER)

    piece.refresh_from_db()
    assert piece.status == Status.DELIVERED


@pytest.mark.parametrize(
    ("agent", "counted"), [(BROWSER["User-Agent"], True), ("Mozilla/5.0", False), ("GoogleImageProxy", True)]
)
def test_the_picture_is_always_sent_and_openings_are_told_apart(
    agent: str, counted: bool, piece: Piece
) -> None:
    answer: Any = Client().get(addresses(piece)["open-pixel"], headers={"User-Agent": agent})

    assert answer["Content-Type"] == "image/gif" and answer.content.startswith(b"GIF89a")
    assert Outcome.objects.get().counted is counted


def test_pages_hold_no_key_of_a_cookie_and_say_so_kindly(piece: Piece) -> None:
    gone = addresses(piece)
    piece.profile.delete()

    page = Client().get(gone["preferences"]).content.decode()

    assert "no longer on file" in page
