"""The desk warns of haste, tells of planted pieces; the pages of those who lead the review."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import SimpleNamespace

from django.test import Client

from generation import audit
from generation.models import Outcome, Piece, PieceEvent, PlantingRate, Status
from tests import factories

ClientOf = Callable[[str], Client]


def decide(client: Client, piece: Piece, **changes: str) -> str:
    """Open the desk, approve what it shows; the next page's text."""
    address = f"/admin/generation/piece/{piece.pk}/"
    shown = client.get(f"{address}change/").content.decode()
    opened = re.search(r'name="opened" value="([^"]+)"', shown)
    assert opened is not None
    data = {"revision": "1", "opened": opened[1], **changes}
    return client.post(f"{address}approve/", data, follow=True).content.decode()


def test_a_hasty_decision_is_warned_of_and_stands(client_of: ClientOf, world: SimpleNamespace) -> None:
    fields = {**world.piece.fields, "body": " ".join(["word"] * 5_000)}
    quick, forged = (factories.PieceFactory(run=world.run, fields=fields) for _ in "12")
    client = client_of("Reviewers")

    assert "words and was decided after" in decide(client, quick)
    assert "words and was decided after" not in decide(client, forged, opened="never")
    rows = PieceEvent.objects.filter(to_status=Status.APPROVED).order_by("pk")
    assert [(row.is_hasty, row.seconds is None) for row in rows] == [(True, False), (False, True)]


def test_the_desk_tells_of_a_planted_piece_after_the_decision(
    client_of: ClientOf, world: SimpleNamespace
) -> None:
    piece = factories.PieceFactory(run=world.run, planted=True)
    plant = factories.PlantFactory(piece_id=piece.pk, run=world.run, start=0, end=5)
    client = client_of("Reviewers")
    address = f"/admin/generation/piece/{piece.pk}/change/"

    before = client.get(address).content.decode()
    assert "planted" not in before.lower().replace("generation_plant", "")
    after = decide(client, piece)

    assert "you approved it. It will never be sent." in after and "h-planted" in after
    plant.refresh_from_db()
    assert plant.outcome == Outcome.MISSED


def test_leads_set_rates_export_and_verify(client_of: ClientOf, world: SimpleNamespace) -> None:
    client = client_of("Leads")
    audit.seal()

    client.post(f"/admin/generation/plant/rate/{world.campaign.pk}/", {"percent": "5"})
    assert PlantingRate.objects.get().percent == 5
    client.post(f"/admin/generation/plant/rate/{world.campaign.pk}/", {"percent": "99"})
    assert PlantingRate.objects.get().percent == 5
    assert "Who read how" in client.get("/admin/generation/plant/").content.decode()
    found = client.get("/admin/generation/pieceevent/export/csv/")
    lines = b"".join(found.streaming_content).decode().splitlines()  # type: ignore[attr-defined]
    assert len(lines) == 2 and lines[0].startswith("seq,id,piece_id")
    told = client.post("/admin/generation/pieceevent/verify/", follow=True).content.decode()
    assert "1 rows from number 1 and 1 seals hold" in told
