"""The commands: what they say, and what they do."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from campaigns.models import Campaign, ReviewPolicy, Run
from generation import drafting
from generation.models import Piece, Status
from tests.factories import CampaignFactory, ProductFactory, UserFactory
from tests.fakes import FakeWriter
from tests.generation import scenes

pytestmark = pytest.mark.django_db


def call(*arguments: Any, **options: Any) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out, **options)
    return out.getvalue()


def test_the_diagram_in_the_docs_is_drawn_from_the_table() -> None:
    stored = (Path(settings.BASE_DIR) / "docs" / "piece-states.md").read_text(encoding="utf-8")

    assert call("statemachine", "--print") == stored
    call("statemachine", "--check")


def test_a_diagram_out_of_date_is_noticed(settings: Any, tmp_path: Path) -> None:
    settings.BASE_DIR = tmp_path

    with pytest.raises(CommandError, match="out of date"):
        call("statemachine", "--check")
    call("statemachine")
    call("statemachine", "--check")


def test_launch_write_and_approve(writer: FakeWriter) -> None:
    person = UserFactory(permissions=["campaigns.launch_campaign", "generation.review_piece"])
    scenes.readers(3)
    campaign = CampaignFactory(review_policy=ReviewPolicy.CLEAN_TOGETHER)

    said = call("launch_campaign", campaign.slug, "--as", person.username, "--no-queue")
    run = Run.objects.get()
    assert said.startswith(f"Run {run.pk}: 3 pieces for 3 readers")
    assert run.created_by == person

    assert call("write_pieces", "--run", str(run.pk), "--limit", "1", "--chunk", "1").startswith("1 pieces")
    assert call("write_pieces").startswith("2 pieces written")
    assert scenes.statuses(run) == [Status.IN_REVIEW] * 3

    Piece.objects.update(blocking=0, warnings=0)
    said = call("approve_run", str(run.pk), "--as", person.username, "--policy", "clean")
    assert said.startswith(f"Run {run.pk}: 3 approved")


def test_launch_says_what_is_missing() -> None:
    campaign = CampaignFactory(whole=False)

    with pytest.raises(CommandError, match="facts: Add at least one fact"):
        call("launch_campaign", campaign.slug)
    with pytest.raises(CommandError, match=f"There are: {campaign.slug}"):
        call("launch_campaign", "no-such-thing")
    with pytest.raises(CommandError, match="no active user 'nobody'"):
        call("launch_campaign", campaign.slug, "--as", "nobody")


def test_launch_by_somebody_who_may_not() -> None:
    with pytest.raises(CommandError, match="may not launch"):
        call("launch_campaign", CampaignFactory().slug, "--as", UserFactory().username)


def test_approve_says_why_it_cannot() -> None:
    person = UserFactory(permissions=["generation.review_piece"])
    run = scenes.launched(1)
    Campaign.objects.update(review_policy="read_all")

    with pytest.raises(CommandError, match="wants every piece read"):
        call("approve_run", str(run.pk), "--as", person.username, "--policy", "clean")
    with pytest.raises(CommandError, match="no run 999"):
        call("approve_run", "999", "--as", person.username, "--policy", "clean")


def test_ctrl_c_leaves_drafts_that_the_next_call_writes(
    writer: FakeWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = scenes.launched(3)
    write = writer.write

    def interrupted(*arguments: Any) -> Any:
        if writer.calls:
            raise KeyboardInterrupt
        return write(*arguments)

    with monkeypatch.context() as broken:
        broken.setattr(writer, "write", interrupted)
        with pytest.raises(CommandError, match="Stopped after 1 pieces") as caught:
            call("write_pieces", "--chunk", "1")
    assert caught.value.returncode == 130
    assert sorted(scenes.statuses(run)) == [Status.DRAFT, Status.DRAFT, Status.IN_REVIEW]

    assert call("write_pieces").startswith("2 pieces")
    assert drafting.progress(run).left == 0


def test_embed_says_how_many(writer: FakeWriter) -> None:
    scenes.readers(2)
    ProductFactory()

    said = call("embed", "--no-traits")

    assert "products: 1 in" in said
    assert "readers: 2 in" in said
    assert "readers: 0 in" in call("embed", "--no-traits")
