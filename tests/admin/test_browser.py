"""The desk, the queue and a launch in a real Chromium: by keyboard, by mouse, without scripts, without the world."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from django.conf import settings as django_settings
from playwright.sync_api import expect

from generation import engines, review
from generation.models import Piece, Status
from personalize.celery import app as celery
from tests import factories
from tests.admin.chromium import needs_chromium, status
from tests.fakes import FakeWriter, HashEmbedder

pytestmark = needs_chromium


def test_reviewing_by_keyboard_alone(open_desk: Any, scene: SimpleNamespace) -> None:
    """Approve, reject with a reason, undo, step, edit, help: no mouse, no word of another server."""
    pieces = [factories.PieceFactory(run=scene.run, score=n / 10) for n in range(5)]
    first, second, third, fourth, _ = (piece.pk for piece in pieces)
    desk = open_desk(scene.superuser)
    desk.context.clear_cookies()
    desk.sign_in(scene.superuser)
    desk.open(f"/admin/generation/piece/{first}/change/")
    desk.press("a")
    assert (status(first), desk.piece()) == (Status.APPROVED, second)
    desk.page.keyboard.press("r")
    expect(desk.page.locator("#reject input[name=reason]").first).to_be_visible()
    desk.page.keyboard.press("3")
    desk.press("Enter")
    assert (status(second), Piece.objects.get(pk=second).reject_reason) == (Status.REJECTED, "voice")
    assert desk.piece() == third
    desk.press("u")
    assert (status(second), desk.piece()) == (Status.IN_REVIEW, second)
    desk.press("j")
    assert desk.piece() == third
    desk.press("j")
    desk.press("k")
    assert desk.piece() == third
    desk.page.keyboard.press("?")
    expect(desk.page.locator("#help table")).to_be_visible()
    desk.page.keyboard.press("Escape")
    expect(desk.page.locator("#help table")).to_be_hidden()
    desk.page.keyboard.press("e")
    expect(desk.page.locator("#field_subject")).to_be_focused()
    desk.page.keyboard.press("Control+a")
    desk.page.keyboard.type("A pan for jars and jam")  # keys that decide elsewhere are letters here
    desk.press("Control+Enter")
    piece = Piece.objects.get(pk=third)
    assert (piece.fields["subject"], piece.revision, piece.edited_by) == (
        "A pan for jars and jam",
        2,
        scene.superuser,
    )
    expect(desk.page.locator("#h-text + .pz-field .pz-text")).to_have_text("A pan for jars and jam")
    expect(desk.page.locator("#approve-form button")).to_be_disabled()  # one's own edit
    expect(desk.page.locator("#why-not")).to_contain_text("somebody else must approve it")
    desk.page.keyboard.press("a")
    assert (status(third), status(fourth)) == (Status.IN_REVIEW, Status.IN_REVIEW)
    assert desk.strangers == [] and desk.errors == []


def test_a_text_that_changed_meanwhile_is_not_approved(open_desk: Any, scene: SimpleNamespace) -> None:
    piece = factories.PieceFactory(run=scene.run)
    desk = open_desk(scene.Reviewers)
    desk.open(f"/admin/generation/piece/{piece.pk}/change/")
    fields = {**piece.fields, "subject": "Something else entirely"}
    review.edit(piece_id=piece.pk, revision=1, fields=fields, by=scene.Writers)
    desk.press("a")
    expect(desk.page.locator("body")).to_contain_text("Last change: writer")
    expect(desk.page.locator("body")).to_contain_text("Something else entirely")
    assert status(piece.pk) == Status.IN_REVIEW
    desk.press("a")  # now it has been seen
    assert status(piece.pk) == Status.APPROVED


def test_deciding_everything_a_filter_matches(open_desk: Any, scene: SimpleNamespace) -> None:
    for _ in range(55):
        factories.PieceFactory(run=scene.run)
    outside = factories.PieceFactory(run=scene.run, warnings=1)
    desk = open_desk(scene.Reviewers)
    desk.open("/admin/generation/piece/")
    desk.page.click("text=Clean 55")
    desk.page.check("#action-toggle")
    desk.page.click(".question a")
    desk.page.select_option("select[name=action]", "approve_all")
    desk.page.click("button[title='Run the selected action']")
    expect(desk.page.locator(".pz-confirm h2")).to_have_text("Approve 55 pieces?")
    desk.page.click("button:has-text('Approve 55 pieces')")
    expect(desk.page.locator("body")).to_contain_text("55 approved")
    assert Piece.objects.filter(status=Status.APPROVED).count() == 55
    assert status(outside.pk) == Status.IN_REVIEW and desk.errors == []


def test_launching_from_the_campaign_page(
    open_desk: Any, scene: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The button, the numbers, and the written pieces, with the real tasks run in place."""
    for _ in range(3):
        factories.ProfileFactory(consents=["email"])
    monkeypatch.setitem(celery.conf, "task_always_eager", True)
    with engines.use(writer=FakeWriter(), embedder=HashEmbedder()):
        desk = open_desk(scene.Writers)
        desk.open(f"/admin/campaigns/campaign/{scene.campaign.pk}/change/")
        desk.page.click("a:has-text('Launch…')")
        desk.page.click("button:has-text('Launch: write 3 pieces')")
        expect(desk.page.locator("#progress")).to_contain_text("3 of 3 written")
    run = scene.campaign.runs.order_by("-pk").first()
    assert Piece.objects.filter(run=run, status=Status.IN_REVIEW).count() == 3
    assert desk.strangers == [] and desk.errors == []


def test_deciding_without_scripts(open_desk: Any, scene: SimpleNamespace) -> None:
    piece = factories.PieceFactory(run=scene.run)
    other = factories.PieceFactory(run=scene.run)
    desk = open_desk(scene.Reviewers, java_script_enabled=False)
    desk.open(f"/admin/generation/piece/{piece.pk}/change/")
    desk.page.click("#approve-form button")
    assert status(piece.pk) == Status.APPROVED
    desk.page.click("#reject summary")
    desk.page.check("#reject input[value=dull]")
    desk.page.click("#reject-form button")
    assert status(other.pk) == Status.REJECTED


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_and_ask_nobody_else(scheme: str, open_desk: Any, scene: SimpleNamespace) -> None:
    piece = factories.PieceFactory(run=scene.run)
    desk = open_desk(scene.superuser, color_scheme=scheme)
    for path in (
        "/admin/",
        "/admin/generation/piece/",
        f"/admin/generation/piece/{piece.pk}/change/",
        f"/admin/campaigns/campaign/{scene.campaign.pk}/change/",
        f"/admin/campaigns/run/{scene.run.pk}/change/",
    ):
        desk.open(path)
        assert desk.page.evaluate("document.documentElement.classList.contains('dark')") == (scheme == "dark")
        for width in (1280, 390):
            desk.page.set_viewport_size({"width": width, "height": 844})
            wide = desk.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            assert wide <= 0, f"{path} is {wide} px too wide for {width}"
    assert desk.strangers == [] and desk.errors == []


def test_the_policy_is_installed() -> None:
    assert "personalize.core.admin_policy.AdminPolicyMiddleware" in django_settings.MIDDLEWARE
