"""`manage.py load_demo` and `manage.py demo`, with a quick writer in the place of the model."""

from __future__ import annotations

import email
import email.policy
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction
from pytest_django import Settings

from campaigns import briefs, importing
from campaigns.demo import content, loading
from campaigns.models import Brand, Campaign, Consent, Event, Product, Profile, Run, Segment, TraitRule, Value
from delivery.management.commands import demo
from generation import engines
from generation.models import Piece, PieceEvent, Status
from generation.writer import channels
from generation.writer.types import Brief, Draft, Plan, Request, Sampling
from tests.fakes import FakeWriter, HashEmbedder

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("loaded")]


@pytest.fixture(scope="module")
def loaded(django_db_setup: None, django_db_blocker: Any) -> Iterator[str]:
    """The demo, loaded once for all tests here and taken back at the end; what the command said."""
    with django_db_blocker.unblock(), transaction.atomic():
        said = io.StringIO()
        call_command("load_demo", stdout=said)
        yield said.getvalue()
        transaction.set_rollback(True)


@pytest.fixture
def output(settings: Settings, tmp_path: Path) -> Path:
    settings.OUTPUT_DIR = tmp_path
    # Whatever a machine is set to: the demo writes files.
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    return tmp_path


class PlainWriter(FakeWriter):
    """Gives e-mails a subject and preheader that repeat nothing of the body, so that most of them are clean."""

    OPENINGS = {"S": "A word from the shop", "P": "Read on, the kettle is nearly boiling."}

    def _write(self, brief: Brief, request: Request, plan: Plan) -> Draft:
        draft = super()._write(brief, request, plan)
        if request.channel != "email":
            return draft
        units = [replace(unit, text=self.OPENINGS.get(unit.label, unit.text)) for unit in draft.units]
        return replace(draft, units=tuple(units), fields=channels.assemble(request.channel, units, brief.cta))


@pytest.fixture
def quick() -> Iterator[FakeWriter]:
    writer = PlainWriter()
    with engines.use(writer=writer, embedder=HashEmbedder()):
        yield writer


def counts() -> dict[str, int]:
    models = (Brand, Campaign, Consent, Event, Product, Profile, Segment, TraitRule, Value)
    return {model.__name__: model.objects.count() for model in models}


def test_loading_twice_changes_nothing(loaded: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "47 products, 240 people" in loaded
    before = counts()
    stamps = list(Profile.objects.order_by("pk").values_list("updated_at", "traits", "traits_at"))
    call_command("load_demo")
    assert "nothing changed" in capsys.readouterr().out
    assert counts() == before
    assert list(Profile.objects.order_by("pk").values_list("updated_at", "traits", "traits_at")) == stamps


def test_loading_again_leaves_what_a_marketer_made_of_it() -> None:
    Campaign.objects.filter(slug="gable-gas-launch").update(goal="another goal")
    Brand.objects.update(voice="another voice")
    loading.load(by=None)
    assert Campaign.objects.get(slug="gable-gas-launch").goal == "another goal"
    assert Brand.objects.get().voice == "another voice"


def test_both_briefs_can_be_launched_as_they_are() -> None:
    for campaign in Campaign.objects.all():
        assert briefs.problems(campaign) == [], campaign.slug


def test_everybody_gets_traits_in_words() -> None:
    told = list(Profile.objects.values_list("traits", flat=True))
    assert all(traits for traits in told)
    words = {trait for traits in told for trait in traits}
    assert not [trait for trait in words if any(character.isdigit() for character in trait)]
    assert any(trait.startswith("lives near ") for trait in words)
    assert any(trait.startswith("bought a ") for trait in words)
    assert any("basket" in trait for trait in words)
    # The list a person is on steers segments; it is not said to them.
    assert not any("friends of the shop" in trait for trait in words)


def test_notes_of_the_crm_are_not_kept() -> None:
    noted = [row for row in content.profiles(day=loading.timezone.now().date()) if row["crm_note"]]
    assert noted
    kept = Profile.objects.values_list("attributes", flat=True)
    assert not any(row["crm_note"] in attributes.values() for row in noted for attributes in kept)


def test_the_bad_file_is_refused_row_by_row() -> None:
    path = content.FOLDER / "profiles_bad.csv"
    mapping = importing.propose_mapping(kind="profiles", headers=importing.headers_of(path))
    found = importing.import_profiles(path=path, mapping=mapping, dry_run=True)
    assert (found.rows, found.created, found.refused) == (11, 2, 9)
    assert set(found.problems.values_list("field", flat=True)) == {
        "email", "external_id", "time_zone", "consent.email", "phone", "locale",
    }  # fmt: skip


def test_the_whole_road(output: Path, quick: FakeWriter, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("demo")
    report = json.loads((output / "demo.json").read_text(encoding="utf-8"))
    run = Run.objects.get()
    assert report["pieces"] == report["pieces_written"] == 24 + 5 + 4 + 3
    assert report["pieces_lost"] == 0
    assert report["pieces_delivered"] + report["pieces_in_review"] == report["pieces"]
    assert report["pieces_delivered"] >= 20
    assert set(report["seconds"]) == {
        "import", "embed", "launch", "load the writer", "write and check", "approve", "deliver",
    }  # fmt: skip
    assert report["writer"]["name"].startswith("fake")
    assert report["writer"]["tuned"] is False

    mails = [_mail(path) for path in sorted((output / "mail" / "new").iterdir())]
    delivered = Piece.objects.filter(run=run, channel="email", status=Status.DELIVERED)
    assert len(mails) == delivered.count() > 0
    readers = {mail["to"] for mail in mails}
    assert readers == set(delivered.values_list("profile__email", flat=True))
    refused = Profile.objects.filter(consents__channel="email", consents__status="withdrawn")
    assert not readers & set(refused.values_list("email", flat=True))
    assert all("{{" not in mail.as_string() for mail in mails)
    assert list(output.rglob("*.csv"))

    decisions = PieceEvent.objects.filter(to_status=Status.APPROVED)
    assert set(decisions.values_list("actor_name", "note")) == {(demo.REVIEWER, demo.NOTE)}
    reviewer = demo._reviewer()
    assert not reviewer.has_usable_password()

    shown = capsys.readouterr().out
    assert "E-mail" in shown
    assert "write and check" in shown
    assert "0 lost" in shown

    call_command("demo", "--brief")  # once more: another run, nobody's data changed
    assert Run.objects.count() == 2
    assert Profile.objects.count() == 240
    assert not Piece.objects.filter(status=Status.DRAFT).exists()


def test_what_has_findings_is_not_approved(output: Path) -> None:
    with engines.use(writer=FakeWriter(spoil=10_000), embedder=HashEmbedder()):
        call_command("demo", "--brief")
    report = json.loads((output / "demo.json").read_text(encoding="utf-8"))
    assert report["pieces_delivered"] == 0
    assert report["pieces_in_review"] == report["pieces"]
    assert report["findings"]


class _Breaking(FakeWriter):
    """Fails on the pieces of one channel."""

    def write(
        self, brief: Brief, requests: list[Request], plans: list[Plan], sampling: Sampling
    ) -> list[Draft]:
        if any(request.channel == "push" for request in requests):
            raise ValueError("broken")
        return super().write(brief, requests, plans, sampling)


def test_a_lost_piece_is_an_error(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("generation.drafting.chunks.RETRY_SECONDS", 0)
    with (
        engines.use(writer=_Breaking(), embedder=HashEmbedder()),
        pytest.raises(CommandError, match="were lost"),
    ):
        call_command("demo", "--brief")
    report = json.loads((output / "demo.json").read_text(encoding="utf-8"))
    assert report["pieces_lost"] == 4


def _mail(path: Path) -> Any:
    return email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
