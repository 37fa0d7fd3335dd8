"""Files: in their platform's columns, whole or not there, each piece in one file."""

from __future__ import annotations

import csv
import hashlib
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from campaigns import consent
from campaigns.models import Channel, RunStatus
from delivery import claiming, exports, sending, sheets
from delivery.models import Delivery, DeliveryStatus, ExportFile
from generation.models import Piece, Status
from personalize.core.errors import NotAllowed
from tests import factories
from tests.delivery import scenes

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def output(settings: Any, tmp_path: Path) -> Path:
    settings.OUTPUT_DIR = tmp_path
    return tmp_path


def files_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def rows_of(file: ExportFile) -> list[sheets.Row]:
    return sheets.read(exports.location(file).read_bytes())


def test_a_search_ad_stands_in_the_columns_of_ads_editor() -> None:
    run = scenes.released_run()
    piece = scenes.approved_ad(run, Channel.GOOGLE_RSA)

    [file] = exports.export_run(run=run)

    [row] = rows_of(file)
    assert list(row) == [
        "Campaign",
        "Ad group",
        "Ad type",
        *(f"Headline {n}" for n in range(1, 16)),
        *(f"Description {n}" for n in range(1, 5)),
        "Path 1",
        "Path 2",
        "Final URL",
        "Status",
    ]
    assert row["Campaign"] == run.campaign.name
    assert row["Ad type"] == "Responsive search ad"
    assert [row["Headline 1"], row["Headline 3"], row["Headline 4"]] == [
        "Cast iron that lasts",
        "Cook on the fire",
        "",
    ]
    assert row["Description 1"] == "All cast iron is 15% off."
    assert row["Final URL"] == "https://wrenandember.example/cast-iron"
    piece.refresh_from_db()
    assert piece.status == Status.DELIVERED
    content = exports.location(file).read_bytes()
    assert content.startswith(b"\xef\xbb\xbf")
    assert (file.rows, file.sha256) == (1, hashlib.sha256(content).hexdigest())


@pytest.mark.parametrize(
    ("channel", "expected"),
    [
        (Channel.META_AD, {"Title": "Cast iron that lasts", "Body": "All cast iron is 15% off."}),
        (
            Channel.LINKEDIN_AD,
            {"Headline": "Cast iron that lasts", "Introductory Text": "All cast iron is 15% off."},
        ),
    ],
)
def test_the_other_ads_have_their_own_columns(channel: Channel, expected: dict[str, str]) -> None:
    run = scenes.released_run()
    scenes.approved_ad(run, channel)

    [file] = exports.export_run(run=run)

    [row] = rows_of(file)
    assert expected.items() <= row.items()
    assert "https://wrenandember.example/cast-iron" in row.values()


def test_messages_are_filled_and_named_by_the_id_of_the_crm() -> None:
    run = scenes.released_run()
    for channel in ("sms", "push"):
        for _ in range(2):
            scenes.approved(run, channel=channel, profile=factories.ProfileFactory(consents=["sms", "push"]))

    sms, push = exports.export_run(run=run)

    assert {row["text"] for row in rows_of(sms)} == {
        "All cast iron is 15% off until 5 July. https://wrenandember.example/cast-iron"
    }
    ids = set(run.pieces.filter(channel="push").values_list("profile__external_id", flat=True))
    assert {row["external_id"] for row in rows_of(push)} == ids
    assert "@" not in exports.location(sms).read_text(encoding="utf-8-sig")


def test_each_piece_is_in_one_file() -> None:
    run = scenes.released_run()
    scenes.approved_ad(run, Channel.META_AD)

    first = exports.export_run(run=run)
    second = exports.export_run(run=run)

    assert (len(first), second) == (1, [])


def test_a_reader_who_said_no_is_in_no_file() -> None:
    run = scenes.released_run()
    [stays] = scenes.approved(run, channel="sms", profile=factories.ProfileFactory(consents=["sms"]))
    [leaves] = scenes.approved(run, channel="sms", profile=factories.ProfileFactory(consents=["sms"]))
    consent.record(profile_id=leaves.profile_id, channel="sms", status="withdrawn", source="phone")

    [file] = exports.export_run(run=run)

    assert [row["external_id"] for row in rows_of(file)] == [stays.profile.external_id]
    leaves.refresh_from_db()
    assert leaves.status == Status.WITHDRAWN


def test_an_ad_whose_offer_changed_goes_back(output: Path) -> None:
    run = scenes.released_run()
    piece = scenes.approved_ad(run, Channel.META_AD)
    run.campaign.values.filter(name="discount").update(text="10%")

    assert exports.export_run(run=run) == []

    piece.refresh_from_db()
    assert piece.status == Status.IN_REVIEW
    assert files_in(output) == []
    assert not ExportFile.objects.exists()


def test_who_may_export_what_and_when() -> None:
    run = scenes.released_run()
    with pytest.raises(NotAllowed):
        exports.export_run(run=run, by=factories.UserFactory())
    with pytest.raises(exports.NothingToExport, match="not released"):
        exports.export_run(run=factories.RunFactory())
    run.status = RunStatus.PAUSED
    run.save()
    with pytest.raises(exports.NothingToExport, match="paused"):
        exports.export_run(run=run)


def test_the_round_exports_a_channel_once_it_is_complete() -> None:
    run = scenes.released_run()
    profiles = factories.ProfileFactory.create_batch(2, consents=["sms"])
    scenes.approved(run, channel="sms", profile=profiles[0])
    waiting = factories.PieceFactory(run=run, channel="sms", profile=profiles[1], status=Status.IN_REVIEW)

    early = sending.deliver_due().exported
    Piece.objects.filter(pk=waiting.pk).update(status=Status.REJECTED)
    late = sending.deliver_due().exported

    assert (early, late) == (0, 1)


def test_a_full_disk_leaves_pieces_approved_and_no_file(output: Path) -> None:
    run = scenes.released_run()
    piece = scenes.approved_ad(run, Channel.META_AD)
    (output / "exports").write_text("a file where the folder should be")

    with pytest.raises(exports.CannotWrite):
        exports.export_run(run=run)

    piece.refresh_from_db()
    assert (piece.status, ExportFile.objects.count()) == (Status.APPROVED, 0)
    (output / "exports").unlink()
    assert len(exports.export_run(run=run)) == 1  # and the next try does it


@pytest.mark.parametrize("in_place", [True, False])
def test_after_a_crash_the_file_itself_says_what_happened(output: Path, in_place: bool) -> None:
    run = scenes.released_run()
    piece = scenes.approved_ad(run, Channel.META_AD)
    file, ready = exports._claim(run, Channel.META_AD, timezone.now())
    assert file is not None
    if in_place:
        path = exports.location(file)
        path.parent.mkdir()
        path.write_bytes(sheets.write(Channel.META_AD, [one.content.row for one in ready]))

    counts = sending.sweep(now=timezone.now() + timedelta(hours=1))

    piece.refresh_from_db()
    assert counts["files"] == 1
    if in_place:
        assert piece.status == Status.DELIVERED
        assert ExportFile.objects.ready().get().sha256
        assert exports.export_run(run=run) == []
    else:
        assert piece.status == Status.APPROVED
        assert not ExportFile.objects.exists()
        assert len(exports.export_run(run=run)) == 1
        assert Delivery.objects.get().attempts == 2


def test_a_writer_that_stalled_past_its_lease_lets_no_second_file_appear(
    output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = scenes.released_run()
    piece = scenes.approved_ad(run, "google_rsa")
    write = sheets.write

    def stall(channel: Any, rows: Any) -> bytes:
        content = write(channel, rows)
        Delivery.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
        assert sending.sweep()["files"] == 1, "given back while the writer was away"
        return content

    with monkeypatch.context() as slow:
        slow.setattr(sheets, "write", stall)
        assert exports.export_run(run=run) == []
    assert list(output.rglob("*.csv")) == [] and list(output.rglob(".*.csv*")) == []
    piece.refresh_from_db()
    assert piece.status == Status.APPROVED

    [file] = exports.export_run(run=run)
    assert [path.name for path in output.rglob("*.csv")] == [exports.location(file).name]


def test_a_path_never_leads_out_of_the_folder() -> None:
    file = ExportFile(path="../../etc/passwd")

    with pytest.raises(exports.NothingToExport):
        exports.location(file)


@pytest.mark.parametrize("start", ["=1+1", "+44", "-1", "@cmd", "\tx", "\rx"])
def test_no_cell_is_a_formula(start: str) -> None:
    content = sheets.write(Channel.SMS, [{"external_id": start, "text": f"{start} x"}])

    [row] = csv.DictReader(content.decode("utf-8-sig").splitlines(keepends=True))
    assert row["external_id"].startswith("'")
    assert row["text"].startswith("'")


@hypothesis_settings(deadline=None)
@given(
    st.lists(
        st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=30),
        min_size=1,
        max_size=5,
    )
)
def test_our_reader_reads_back_what_was_written(texts: list[str]) -> None:
    rows = [{"external_id": str(n), "text": text} for n, text in enumerate(texts)]

    assert sheets.read(sheets.write(Channel.SMS, rows)) == rows


def test_statuses_and_rows_agree() -> None:
    run = scenes.released_run()
    scenes.approved_ad(run, Channel.META_AD)

    exports.export_run(run=run)

    delivery = Delivery.objects.get()
    assert delivery.status == DeliveryStatus.HANDED_OVER
    assert delivery.export_file is not None
    assert len(delivery.rendered_hash) == 64
    assert not claiming.due(now=timezone.now(), channels=exports.FILE_CHANNELS).exists()
