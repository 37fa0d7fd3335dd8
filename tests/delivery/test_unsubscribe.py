"""Leaving a list: without effect on opening, at once on asking, and kind in every other case."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.test import Client
from django.utils import timezone

from campaigns import consent, people
from campaigns.models import Consent, Profile, Suppression
from delivery import unsubscribe
from delivery.models import Outcome
from generation.models import Piece, Status
from tests import factories
from tests.delivery import scenes

pytestmark = pytest.mark.django_db


@pytest.fixture
def piece() -> Piece:
    sent: Piece = factories.DeliveryFactory(piece__reviewed_by=scenes.somebody()).piece
    return sent


def path(piece: Piece) -> str:
    return unsubscribe.url_for(piece).removeprefix(django_settings.PUBLIC_URL)


def may_get_mail(piece: Piece) -> bool:
    everybody = Profile.objects.filter(pk=piece.profile_id)
    return consent.may_receive(everybody, channel="email").exists()


def test_the_link_holds_no_address_and_is_signed(piece: Piece) -> None:
    url = unsubscribe.url_for(piece)

    assert "postbox" not in url and "%" not in url and "@" not in url
    token = unsubscribe.token_for(piece)
    for wrong in (token[:-1], token + "x", "x" + token, token.replace(".", "", 1), "", "x" * 5000):
        assert unsubscribe.look_up(wrong) is None


def test_opening_changes_nothing(client: Client, piece: Piece) -> None:
    for method in (client.get, client.head):
        assert method(path(piece)).status_code == 200

    assert may_get_mail(piece)
    assert not Suppression.objects.exists()


def test_the_button_leaves_the_list_and_takes_back_what_waits(client: Client, piece: Piece) -> None:
    waiting = {
        status: factories.PieceFactory(profile=piece.profile, status=status)
        for status in (Status.DRAFT, Status.GENERATING, Status.IN_REVIEW, Status.APPROVED)
    }
    other_channel = factories.PieceFactory(profile=piece.profile, status=Status.IN_REVIEW, channel="sms")
    somebody_else = factories.PieceFactory(status=Status.IN_REVIEW)

    page = client.post(path(piece), {"action": "unsubscribe"})

    assert page.status_code == 200
    assert "You are unsubscribed" in page.content.decode()
    assert not may_get_mail(piece)
    assert Suppression.objects.get().reason == "unsubscribed"
    for row in waiting.values():
        row.refresh_from_db()
        assert row.status == Status.WITHDRAWN
    for row in (other_channel, somebody_else):
        row.refresh_from_db()
        assert row.status == Status.IN_REVIEW
    assert Outcome.objects.get().kind == "unsubscribed"


def test_one_click_from_a_mail_program_needs_no_cookie(piece: Piece) -> None:
    strict = Client(enforce_csrf_checks=True)

    answer = strict.post(
        path(piece), "List-Unsubscribe=One-Click", content_type="application/x-www-form-urlencoded"
    )

    assert answer.status_code == 200
    assert not answer.cookies
    assert not may_get_mail(piece)


def test_leaving_twice_is_leaving_once(client: Client, piece: Piece) -> None:
    for _ in range(3):
        assert client.post(path(piece)).status_code == 200

    assert (Suppression.objects.count(), Outcome.objects.count(), Consent.objects.count()) == (1, 1, 1)


def undo_token(page: Any) -> str:
    match = re.search(r'name="undo" value="([^"]+)"', page.content.decode())
    assert match is not None
    return match.group(1)


def test_a_mistake_can_be_taken_back(client: Client, piece: Piece) -> None:
    left = client.post(path(piece))

    page = client.post(path(piece), {"action": "undo", "undo": undo_token(left)})

    assert "You are on the list again" in page.content.decode()
    assert may_get_mail(piece)
    assert not Suppression.objects.exists()


def test_an_old_mail_takes_back_no_leaving_of_another_way(client: Client, piece: Piece) -> None:
    consent.record(
        profile_id=piece.profile_id, channel="email", status="withdrawn", source="the CRM", at=timezone.now()
    )

    left = client.post(path(piece)).content.decode()

    assert "You are unsubscribed" in left and "That was a mistake" not in left
    place = unsubscribe.look_up(unsubscribe.token_for(piece))
    assert place is not None and unsubscribe.leave(place) == ""


def test_a_complaint_is_not_taken_back_here(client: Client, piece: Piece) -> None:
    left = client.post(path(piece))
    consent.suppress(address=piece.profile.email, channel="email", reason="complained")

    client.post(path(piece), {"action": "undo", "undo": undo_token(left)})

    assert not may_get_mail(piece)


def test_taking_back_needs_the_page_that_left_and_an_hour(
    client: Client, piece: Piece, time_machine: Any = None
) -> None:
    left = client.post(path(piece))
    other = factories.DeliveryFactory(piece__reviewed_by=scenes.somebody()).piece
    token = undo_token(left)

    for undo in ("", "made up", token[:-2], undo_token(client.post(path(other)))):
        page = client.post(path(piece), {"action": "undo", "undo": undo})
        assert "no longer be taken back" in page.content.decode()
    assert not may_get_mail(piece)


def test_after_an_hour_a_forwarded_page_signs_nobody_up(piece: Piece) -> None:
    import time_machine

    place = unsubscribe.look_up(unsubscribe.token_for(piece))
    assert place is not None
    undo = unsubscribe.leave(place)

    with time_machine.travel(timezone.now() + timedelta(hours=1, seconds=5), tick=False):
        assert not unsubscribe.come_back(place, undo)


def test_an_erased_person_gets_a_kind_page(client: Client, piece: Piece) -> None:
    url = path(piece)
    people.erase(external_id=piece.profile.external_id, by=None)

    for answer in (client.get(url), client.post(url)):
        assert answer.status_code == 200
        assert "no longer on file" in answer.content.decode()


@pytest.mark.parametrize("token", ["nonsense", "WzFd.AAAA", "%3Cscript%3E"])
def test_a_wrong_link_gets_a_kind_page(client: Client, token: str) -> None:
    answer = client.get(f"/u/{token}/")

    assert answer.status_code == 404
    assert "This link does not work" in answer.content.decode()
    assert "<script>" not in answer.content.decode()


def test_the_link_in_a_preview_does_nothing(client: Client) -> None:
    page = client.post(unsubscribe.preview_url().removeprefix(django_settings.PUBLIC_URL))

    assert "This is a preview" in page.content.decode()


def test_the_page_keeps_the_link_to_itself(client: Client, piece: Piece) -> None:
    page = client.get(path(piece))
    html = page.content.decode()

    assert page["Referrer-Policy"] == "no-referrer"
    assert page["Cache-Control"] == "no-store"
    assert "default-src 'none'" in page["Content-Security-Policy"]
    assert not page.cookies
    assert 'lang="en"' in html
    assert not re.search(r'(?:src|href)="https?:', html)
    assert piece.profile.email not in html
    assert piece.profile.first_name not in html


def test_other_methods_are_refused(client: Client, piece: Piece) -> None:
    assert client.put(path(piece)).status_code == 405


@pytest.fixture
def joined(piece: Piece) -> Profile:
    """Who the piece's reader became, with another address and a consent of their own."""
    new: Profile = factories.ProfileFactory(consents=["email"])
    Profile.objects.filter(pk=piece.profile_id).update(merged_into=new)
    return new


def of(profile: Profile) -> Any:
    return consent.may_receive(Profile.objects.filter(pk=profile.pk), channel="email")


def test_a_mail_to_a_former_id_leaves_for_the_person(client: Client, piece: Piece, joined: Profile) -> None:
    waiting = factories.PieceFactory(profile=joined, status=Status.IN_REVIEW)
    page = client.post(path(piece))

    assert not of(joined).exists()
    waiting.refresh_from_db()
    assert waiting.status == Status.WITHDRAWN
    undo = re.search(r'name="undo" value="([^"]+)"', page.content.decode())
    assert undo
    client.post(path(piece), {"action": "undo", "undo": undo[1]})
    assert of(joined).exists()


def test_preferences_of_a_former_id_are_the_persons(client: Client, piece: Piece, joined: Profile) -> None:
    client.post(path(piece).replace("/u/", "/p/"), {"action": "everything"})

    assert not of(joined).exists()


def test_a_complaint_about_a_mail_to_a_former_id_counts(piece: Piece, joined: Profile) -> None:
    from delivery import outcomes

    outcomes.record(
        items=[
            outcomes.OutcomeInput(
                kind="complained", event_id="c-1", occurred_at=timezone.now(), piece_id=piece.pk
            )
        ]
    )

    assert not of(joined).exists()


def test_the_address_that_the_mail_went_to_is_left_alone_too(client: Client, piece: Piece) -> None:
    assert piece.profile is not None
    was = piece.profile.email
    piece.delivery.address_hash = piece.profile.email_hash
    piece.delivery.save()
    people.upsert(
        items=[people.ProfileInput(piece.profile.external_id, email="moved@postbox.example")], source="crm"
    )
    client.post(path(piece))

    assert consent.is_suppressed(address=was, channel="email")
    assert consent.is_suppressed(address="moved@postbox.example", channel="email")
