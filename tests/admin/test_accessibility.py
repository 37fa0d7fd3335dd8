"""Every page of ours under axe-core, in light and dark, wide and narrow: nothing keeps anybody from using it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import User

from generation.models import Status
from tests import factories
from tests.admin.chromium import needs_chromium

pytestmark = needs_chromium

AXE = (Path(__file__).resolve().parents[1] / "vendor" / "axe-core" / "axe.min.js").read_text()
# WCAG 2.2 A and AA. The preview is a sandboxed document of its own, which axe cannot enter.
RUN = """async () => {
  const found = await axe.run({exclude: [['iframe']]}, {
    runOnly: {type: 'tag', values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']},
  });
  const told = (v, n) => `${v.id} (${v.impact}): ${n.target.join(' ')} ${n.html.slice(0, 120)}`;
  return found.violations.flatMap(v => v.nodes.map(n => told(v, n)));
}"""


def pages(world: SimpleNamespace) -> dict[str, str]:
    queue = "/admin/generation/piece/"
    return {
        "today": "/admin/",
        "queue": queue,
        "desk": f"{queue}{world.piece.pk}/change/",
        "desk, edited": f"{queue}{world.edited.pk}/change/",
        "desk, decided": f"{queue}{world.approved.pk}/change/",
        "run": f"/admin/campaigns/run/{world.run.pk}/change/",
        "run in numbers": f"/admin/campaigns/run/{world.run.pk}/numbers/",
        "by kind": "/admin/generation/piece/kinds/",
        "try a sentence": f"/admin/generation/piece/try/{world.brand.pk}/?sentence=It+unleashes+99+things",
        "sample": f"/admin/generation/sampleplan/of-run/{world.run.pk}/",
        "certificate": f"/admin/generation/sampleplan/of-run/{world.run.pk}/certificate/",
        "samples": "/admin/generation/sampleplan/",
        "reviewers": "/admin/generation/plant/",
        "trail": "/admin/generation/pieceevent/",
        "version": f"/admin/generation/modelversion/{world.version.pk}/change/",
        "brand": f"/admin/campaigns/brand/{world.brand.pk}/change/",
        "whose a brand is": f"/admin/campaigns/brand/{world.brand.pk}/people/",
        "campaign": f"/admin/campaigns/campaign/{world.campaign.pk}/change/",
        "calendar": "/admin/campaigns/campaign/calendar/",
        "calendar as a list": "/admin/campaigns/campaign/calendar/?view=list",
        "dry run": f"/admin/delivery/delivery/dry-run/{world.campaign.pk}/",
        "sending rules": "/admin/campaigns/sendingrules/1/change/",
        "uncertain": "/admin/delivery/delivery/uncertain/",
        "results": f"/admin/delivery/delivery/results/run/{world.run.pk}/",
        "experiment": f"/admin/campaigns/run/experiment/{world.campaign.pk}/",
        "ads": f"/admin/delivery/delivery/ads/{world.run.pk}/",
        "segment": f"/admin/campaigns/segment/{world.segment.pk}/change/",
        "trait rule": f"/admin/campaigns/traitrule/{world.rule.pk}/change/",
        "import": f"/admin/campaigns/import/{world.importing.pk}/change/",
        "retention": "/admin/campaigns/retentionrule/",
        "launch": f"/admin/campaigns/run/launch/{world.campaign.pk}/",
    }


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(
    scheme: str,
    browser: Any,
    live_server: Any,
    transactional_db: None,
    roles: dict[str, User],
    world: SimpleNamespace,
) -> None:
    from tests.admin.chromium import Desk

    world.edited = factories.PieceFactory(
        run=world.run, revision=2, edited_by=roles["Writers"], warnings=1, status=Status.IN_REVIEW,
        written_fields={**world.piece.fields, "subject": "A pot for the fire"},
    )  # fmt: skip
    factories.FindingFactory(piece=world.edited)
    wrong: dict[str, list[str]] = {}
    for width in (1280, 390):
        desk = Desk(browser, live_server.url, color_scheme=scheme, viewport={"width": width, "height": 900})
        desk.enter(roles["superuser"])
        for name, path in pages(world).items():
            desk.open(path)
            if name.startswith("desk"):
                desk.page.evaluate(
                    "document.querySelectorAll('#desk details').forEach((d) => (d.open = true))"
                )
            desk.page.evaluate(AXE)
            if found := desk.page.evaluate(RUN):
                wrong[f"{name}, {width}"] = found
        desk.context.close()
    assert wrong == {}, "\n".join(f"{page}\n    " + "\n    ".join(rows) for page, rows in wrong.items())
