"""A signed-in Chromium for the tests of the admin: fixtures and the desk that drives it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Browser, Page, expect, sync_playwright

from generation.models import Piece
from tests import factories

CHROMIUM = next(
    (p for n in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(n))), None
)
ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip

expect.set_options(timeout=15_000)

needs_chromium = [
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
