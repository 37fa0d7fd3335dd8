"""The commands translate and make one call; what they print holds ids, never copy or addresses."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from campaigns.models import Channel
from delivery.models import Delivery, DeliveryStatus
from generation.models import Piece, Status
from tests import factories
from tests.delivery import scenes

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def output(settings: Any, tmp_path: Path) -> None:
    settings.OUTPUT_DIR = tmp_path
    settings.EMAIL_BACKEND = "delivery.backends.MaildirBackend"
    settings.EMAIL_FILE_PATH = str(tmp_path / "mail")


def run(*arguments: Any) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


def test_deliver_sends_what_is_due_and_counts_it() -> None:
    pieces = scenes.approved(scenes.released_run(), 3)

    said = run("deliver")

    assert said.startswith("3 handed over, 0 in files")
    assert not any(piece.profile.email in said for piece in pieces)


def test_deliver_names_why_one_piece_stays() -> None:
    [piece] = scenes.approved(factories.RunFactory())

    with pytest.raises(CommandError, match="has not been released"):
        run("deliver", "--piece", piece.pk)


def test_export_run_names_its_files() -> None:
    released = scenes.released_run()
    scenes.approved_ad(released, Channel.META_AD)

    assert ".csv" in run("export_run", released.pk)
    assert "No approved ads" in run("export_run", released.pk)
    with pytest.raises(CommandError, match="There is no run"):
        run("export_run", 10**9)


def test_unknown_deliveries_lists_and_decides() -> None:
    person = factories.UserFactory(permissions=["campaigns.send_campaign"])
    row = factories.DeliveryFactory(piece__status=Status.UNKNOWN, status=DeliveryStatus.UNKNOWN)

    listed = run("unknown_deliveries")
    decided = run(
        "unknown_deliveries", "--piece", row.piece_id, "--as", person.username, "--verdict", "delivered"
    )

    assert row.message_id in listed and listed.endswith("1 uncertain\n")
    assert decided == f"piece {row.piece_id} is now: delivered\n"
    assert Piece.objects.get(pk=row.piece_id).status == Status.DELIVERED
    assert Delivery.objects.get().status == DeliveryStatus.HANDED_OVER
    assert run("unknown_deliveries") == "0 uncertain\n"
