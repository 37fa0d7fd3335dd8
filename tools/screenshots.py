"""Take the pictures of docs/screenshots from a running server, in a real Chromium.

    PASSWORD=… python tools/screenshots.py --base http://127.0.0.1:8000 --user admin

Each page is taken light and dark, 1280 and 390 pixels wide. The first campaign, run and piece of the lists are
shown, so the pictures are of what the writer really wrote.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "screenshots"
ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
SIZES = {"wide": (1280, 860), "narrow": (390, 844)}
MOST_BYTES = 300_000


def first_link(page: Page, address: str, pattern: str) -> str:
    """The address of the first row of a list."""
    page.goto(address)
    for link in page.locator("#result_list a").all():
        found = re.search(pattern, link.get_attribute("href") or "")
        if found:
            return found.group()
    sys.exit(f"Nothing is listed at {address}: load the demo and let it write first.")


def pages(page: Page, base: str) -> dict[str, Callable[[Page], None]]:
    """Name of the picture -> how to get there."""
    queue = f"{base}/admin/generation/piece/"
    piece = first_link(page, queue, r"/admin/generation/piece/\d+/change/")
    run = first_link(page, f"{base}/admin/campaigns/run/", r"/admin/campaigns/run/\d+/change/")
    campaign = first_link(page, f"{base}/admin/campaigns/campaign/", r"/admin/campaigns/campaign/\d+/change/")

    def at(path: str) -> Callable[[Page], None]:
        return lambda where: (where.goto(base + path), None)[1]

    number = run.split("/")[-3]
    brand = first_link(page, f"{base}/admin/campaigns/brand/", r"/admin/campaigns/brand/\d+/change/").split(
        "/"
    )[-3]

    segment = first_link(page, f"{base}/admin/campaigns/segment/", r"/admin/campaigns/segment/\d+/change/")
    rule = first_link(page, f"{base}/admin/campaigns/traitrule/", r"/admin/campaigns/traitrule/\d+/change/")
    campaign_number = campaign.split("/")[-3]

    def editing(where: Page) -> None:
        where.goto(base + piece)
        where.keyboard.press("e")
        where.wait_for_timeout(1_500)  # the checks speak half a second after the last key

    return {
        "today": at("/admin/"),
        "queue": at("/admin/generation/piece/"),
        "kinds": at("/admin/generation/piece/kinds/"),
        "desk": at(piece),
        "edit": editing,
        "campaign": at(campaign),
        "brand": at(f"/admin/generation/piece/try/{brand}/?sentence=Unleash+your+fire+for+99+dollars."),
        "calendar": at("/admin/campaigns/campaign/calendar/"),
        "dry-run": at(f"/admin/delivery/delivery/dry-run/{campaign_number}/"),
        "experiment": at(f"/admin/campaigns/run/experiment/{campaign_number}/"),
        "segment": at(segment),
        "trait-rule": at(rule),
        "run": at(run),
        "results": at(f"/admin/delivery/delivery/results/run/{number}/"),
        "numbers": at(f"/admin/campaigns/run/{number}/numbers/"),
        "sample": at(f"/admin/generation/sampleplan/of-run/{number}/"),
        "reviewers": at("/admin/generation/plant/"),
        "trail": at("/admin/generation/pieceevent/"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--base", default="http://127.0.0.1:8000", help="address of the server")
    parser.add_argument("--user", default="admin", help="who signs in; the password is read from PASSWORD")
    parser.add_argument("--folder", type=Path, default=FOLDER, help=f"where to put them (default: {FOLDER})")
    parser.add_argument("--only", nargs="*", default=[], help="names of pictures, such as desk queue")
    options = parser.parse_args()
    password = os.environ.get("PASSWORD") or sys.exit("Set PASSWORD to the password of the user.")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("There is no Chromium here. On Debian: apt-get install chromium")
    base = options.base.rstrip("/")
    options.folder.mkdir(parents=True, exist_ok=True)

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        for scheme in ("light", "dark"):
            context = browser.new_context(color_scheme=scheme)
            page = context.new_page()
            page.goto(f"{base}/admin/login/?next=/admin/")
            page.fill("#id_username", options.user)
            page.fill("#id_password", password)
            page.press("#id_password", "Enter")
            page.wait_for_load_state("networkidle")
            if "/login/" in page.url:
                sys.exit(f"{options.user} could not sign in at {base}.")
            for name, go in pages(page, base).items():
                if options.only and name not in options.only:
                    continue
                for size, (width, height) in SIZES.items():
                    page.set_viewport_size({"width": width, "height": height})
                    go(page)
                    page.wait_for_load_state("networkidle")
                    page.evaluate("document.fonts.ready")
                    path = options.folder / f"{name}-{scheme}-{size}.png"
                    page.screenshot(path=path)
                    weight = path.stat().st_size
                    print(f"{path.name}  {weight // 1024} kB{'  TOO LARGE' if weight > MOST_BYTES else ''}")
            context.close()
        browser.close()


if __name__ == "__main__":
    main()
