"""The desk, the queue and a launch in a real Chromium: by keyboard, by mouse, without scripts, without the world."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Browser, Page, expect, sync_playwright

from generation import engines, review
from generation.models import Piece, Status
from personalize.celery import app as celery
from tests import factories
from tests.fakes import FakeWriter, HashEmbedder

CHROMIUM = next(
    (p for n in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(n))), None
)
ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip

expect.set_options(timeout=15_000)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    # Playwright's sync API keeps an event loop in this thread, which Django would take for async code.
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def scene(browser: Browser, transactional_db: None, roles: dict[str, User]) -> SimpleNamespace:
    campaign = factories.CampaignFactory()
    run = factories.RunFactory(campaign=campaign)
    return SimpleNamespace(campaign=campaign, run=run, **roles)


class Desk:
    """A signed-in browser that remembers every request that left and every error of the page."""

    def __init__(self, browser: Browser, base: str, **options: Any) -> None:
        options.setdefault("viewport", {"width": 1280, "height": 900})
        self.context = browser.new_context(**options)
        self.context.set_default_timeout(20_000)
        self.base = base
        self.page: Page = self.context.new_page()
        self.strangers: list[str] = []
        self.errors: list[str] = []
        self.page.on("request", lambda r: self._note(r.url))
        self.page.on("pageerror", lambda e: self.errors.append(str(e)))
        self.page.on("console", lambda m: self.errors.append(m.text) if m.type == "error" else None)

    def _note(self, url: str) -> None:
        if not url.startswith((self.base, "data:", "about:", "blob:")):
            self.strangers.append(url)

    def sign_in(self, user: User) -> None:
        self.page.goto(f"{self.base}/admin/login/")
        self.page.fill("#id_username", user.username)
        self.page.fill("#id_password", "correct horse battery")
        self.page.click("button[type=submit]")
        self.page.wait_for_url(f"{self.base}/admin/")

    def enter(self, user: User) -> None:
        """As if signed in before."""
        client = Client()
        client.force_login(user)
        session = client.cookies["sessionid"].value
        self.context.add_cookies([{"name": "sessionid", "value": session, "url": self.base}])

    def open(self, path: str) -> None:
        self.page.goto(self.base + path)

    def press(self, key: str) -> None:
        """A key that leaves for another page."""
        with self.page.expect_navigation():
            self.page.keyboard.press(key)

    def piece(self) -> int:
        found = re.search(r"/piece/(\d+)/", self.page.url)
        assert found is not None, self.page.url
        return int(found.group(1))


@pytest.fixture
def open_desk(browser: Browser, live_server: Any, scene: SimpleNamespace) -> Iterator[Any]:
    made: list[Desk] = []

    def make(user: User, **options: Any) -> Desk:
        desk = Desk(browser, live_server.url, **options)
        made.append(desk)
        desk.enter(user)
        return desk

    yield make
    for desk in made:
        desk.context.close()


def status(pk: int) -> str:
    return Piece.objects.values_list("status", flat=True).get(pk=pk)


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
