"""Ads out and in again: each platform's columns and limits, and our own reader gets back what was approved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from campaigns.models import Channel
from campaigns.models.channels import AD_CHANNELS
from delivery import ads, exports, rendering, sheets
from generation.models import Status
from personalize.core.errors import InvalidInput
from tests import factories
from tests.delivery import scenes

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def output(settings: Any, tmp_path: Path) -> Path:
    settings.OUTPUT_DIR = tmp_path
    return tmp_path


@pytest.mark.parametrize("channel", AD_CHANNELS)
def test_our_reader_gets_back_what_was_approved(channel: Channel) -> None:
    run = scenes.released_run()
    run.brief["audience"] = "people who cook outdoors"
    run.save()
    piece = scenes.approved_ad(run, channel)
    filled = rendering.fill(piece)

    [file] = exports.export_run(run=run)
    [ad] = ads.read(channel, exports.location(file).read_bytes())

    assert ad.fields == filled
    assert ad.link == "https://wrenandember.example/cast-iron"
    assert ad.group == (run.campaign.name if channel == Channel.LINKEDIN_AD else "people who cook outdoors")
    assert ad.problems == ()


@pytest.mark.parametrize(
    ("channel", "column", "word"), [("google_rsa", "Status", "Paused"), ("meta_ad", "Ad Status", "PAUSED")]
)
def test_an_uploaded_ad_spends_nothing_by_itself(channel: str, column: str, word: str) -> None:
    run = scenes.released_run()
    scenes.approved_ad(run, channel)

    [file] = exports.export_run(run=run)

    [row] = sheets.read(exports.location(file).read_bytes())
    assert row[column] == word


@pytest.mark.parametrize(
    "headlines", [["One", "Two"], ["One", "Two", "one"], [f"Line {'i' * n}" for n in range(1, 17)]]
)
def test_what_google_would_refuse_goes_back_to_a_person(headlines: list[str]) -> None:
    run = scenes.released_run()
    piece = scenes.approved_ad(run, "google_rsa")
    piece.fields["headlines"] = headlines
    piece.text_hash = piece.approved_hash = factories.canonical_hash(piece.fields)
    piece.save()

    assert exports.export_run(run=run) == []

    piece.refresh_from_db()
    assert piece.status == Status.IN_REVIEW


def test_a_file_of_ads_editor_is_held_to_the_limits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Headings as a real export has them: 'Ad Group', 'URL'."""
    good = "Campaign ID,Ad Group,URL,Headline 1,Headline 2,Headline 3,Description 1,Description 2\r\n"
    rows = "1,Sofas,https://a.example,Sofas for all,Sit well,Soft and long,Find one.,Free to try.\r\n"
    long = "1,Beds,,A headline that is far too long to be taken,Two,Three,Only one,\r\n"
    path = tmp_path / "editor.csv"
    path.write_text(good + rows + long, "utf-8-sig")

    first, second = ads.read(Channel.GOOGLE_RSA, path.read_bytes())

    assert (first.group, first.link, first.problems) == ("Sofas", "https://a.example", ())
    assert [problem.message for problem in second.problems] == [
        "43 characters, 30 are taken",
        "1 descriptions: 2 to 4 are taken",
    ]
    with pytest.raises(CommandError, match="Mend the file"):
        call_command("check_ads", str(path))
    assert "row 2, headlines: 43 characters" in capsys.readouterr().out


def test_a_wide_character_counts_two_and_meta_only_cuts() -> None:
    wide = {"headlines": ["鋳" * 16, "Two", "Three"], "descriptions": ["One", "Two"]}
    [problem] = ads.check(Channel.GOOGLE_RSA, wide)
    assert problem.message.startswith("32 characters")
    meta = {"primary_text": "x" * 126, "headline": "Pan", "description": ""}
    assert [(p.field, p.hard) for p in ads.check(Channel.META_AD, meta)] == [
        ("primary_text", False),
        ("description", False),
    ]


def test_what_is_no_ad_or_no_text_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no ad"):
        ads.read(Channel.SMS, b"")
    with pytest.raises(InvalidInput, match="UTF-8"):
        ads.read(Channel.META_AD, "Body\r\nÄ".encode("latin-1"))
