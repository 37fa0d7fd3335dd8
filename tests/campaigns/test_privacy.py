"""Everything about a person comes out as one archive, and goes for good; what is old goes by rule."""

from __future__ import annotations

import io
import json
import zipfile
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.apps import apps
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.mail import EmailMessage
from django.core.management import CommandError, call_command
from django.db import models
from django.utils import timezone

from campaigns import consent, people, privacy, segments
from campaigns.models import (
    Channel,
    ConsentEntry,
    DataExport,
    Erasure,
    Event,
    Profile,
    RetentionRule,
    Segment,
    Upload,
    UploadPart,
)
from campaigns.people import ConsentInput, ProfileInput
from campaigns.privacy import retention, traces
from campaigns.privacy.people import person_of
from delivery import sheets
from delivery.backends import MaildirBackend
from generation import audit
from generation.models import Piece, PieceEvent, Status
from personalize.core.errors import InvalidInput
from personalize.core.personal_data import holders
from tests.factories import (
    DeliveryFactory,
    EventFactory,
    ExportFileFactory,
    IdempotencyRecordFactory,
    OutcomeFactory,
    PieceEventFactory,
    PieceFactory,
    ProfileEmbeddingFactory,
    ProfileFactory,
    SegmentFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db

TEXTS = ["quux-7781", "zebedee@reader.example", "+442079460001", "Zebedee", "Quillfeather"]


@pytest.fixture
def folders(settings: Any, tmp_path: Path) -> Path:
    settings.OUTPUT_DIR, settings.STATE_DIR = tmp_path / "out", tmp_path / "state"
    settings.EMAIL_FILE_PATH = str(tmp_path / "out" / "mail")
    (tmp_path / "state" / "logs").mkdir(parents=True)
    return tmp_path


@pytest.fixture
def world(folders: Path) -> SimpleNamespace:
    """Somebody of whom there is something everywhere, and a neighbour who must lose nothing."""
    both = []
    for external_id, email, phone, first, last in (
        TEXTS,
        ("quux-77810", "zebedee@reader.example.org", "+442079460002", "Ada", "Yarrow"),
    ):
        said = [
            ConsentInput(channel=channel, status="given", source="form", proof=f"form 7 of {email}")
            for channel in ("email", "sms")
        ]
        made = people.upsert(
            items=[ProfileInput(external_id, email, phone, first, last, consents=said)], source="test"
        )
        both.append(Profile.objects.get(pk=made.ids[external_id]))
    for profile in both:
        event = EventFactory(profile=profile)
        Event.objects.filter(pk=event.pk).update(properties={"note": f"said by {profile.external_id}"})
        ProfileEmbeddingFactory(profile=profile)
        piece = PieceFactory(profile=profile, status=Status.DELIVERED)
        Piece.objects.filter(pk=piece.pk).update(fields={"subject": f"For {profile.first_name}"})
        PieceEventFactory(piece=piece, note=f"{profile.email} asked for it")
        delivery = DeliveryFactory(piece=piece, message_id=f"<{profile.pk}@personalize.example>")
        OutcomeFactory(delivery=delivery, event_id=f"report-{profile.external_id}")
        mail = EmailMessage("Hello", "Hello", to=[profile.email], headers={"Message-ID": delivery.message_id})
        MaildirBackend().send_messages([mail])
        IdempotencyRecordFactory(body={"external_id": profile.external_id})
        LogEntry.objects.create(
            user=UserFactory(), content_type=ContentType.objects.get_for_model(Profile), object_id=str(profile.pk),
            object_repr=profile.external_id, action_flag=CHANGE, change_message=f"About {profile.email}",
        )  # fmt: skip
    ids = [profile.external_id for profile in both]
    SegmentFactory(slug="by-hand", filter={"any": [{"field": "external_id", "op": "one_of", "value": ids}]})
    rows = [{"external_id": each, "text": f"Hi {each}"} for each in ids]
    file = ExportFileFactory(channel=Channel.SMS, path="exports/texts.csv", rows=2)
    path = folders / "out" / file.path
    path.parent.mkdir(parents=True)
    path.write_bytes(sheets.write(Channel.SMS, rows))
    for profile in both:
        texted = PieceFactory(profile=profile, channel=Channel.SMS, status=Status.DELIVERED)
        DeliveryFactory(piece=texted, export_file=file, transport="file")
    (folders / "state" / "logs" / "web.log").write_text(
        "GET /x\nmail to Zebedee@Reader.example failed\nquux-77810\n"
    )
    for number, content in enumerate(("id;mail\nquux-7781;x\n", "id;mail\nquux-77810;x\n")):
        upload = Upload.objects.create(token=f"t{number}", file_name="contacts.csv", size=len(content) * 2)
        for place, half in enumerate((content[:12], content[12:])):  # the id lies across the border
            UploadPart.objects.create(upload=upload, number=place, data=half.encode())
    audit.seal()
    return SimpleNamespace(me=both[0], other=both[1], file=file, path=path, root=folders)


# -- erasure -----------------------------------------------------------------------------------------


def test_nothing_of_an_erased_person_is_left_anywhere(world: SimpleNamespace) -> None:
    assert len(list(traces.in_database(TEXTS))) >= 8  # what is looked for is found while it is there
    assert len(list(traces.in_files(TEXTS))) == 3  # a mail, an export, a log
    before = audit.verify()
    certificate = privacy.erase(external_id="quux-7781", by=None)

    assert list(traces.in_database(TEXTS)) == []
    assert list(traces.in_files(TEXTS)) == []
    after = audit.verify()
    assert after.broken is None and (after.rows, after.erased) == (before.rows, before.erased + 1)
    assert PieceEvent.objects.count() == 2  # the trail keeps its rows
    told = json.dumps({name: str(value) for name, value in vars(certificate).items()})
    assert not any(text.lower() in told.lower() for text in TEXTS)
    assert certificate.removed["mails"] == 1 and certificate.removed["lines_of_export_files"] == 1
    assert certificate.removed["events"] == 1 and certificate.removed["pieces"] == 2
    assert certificate.removed["log_places"] == 1 and certificate.removed["uploads"] == 1
    assert Upload.objects.get().token == "t1"


def test_the_neighbour_keeps_everything(world: SimpleNamespace) -> None:
    privacy.erase(external_id="quux-7781", by=None)
    other = Profile.objects.get()
    assert other == world.other and other.events.count() == 1 and other.pieces.count() == 2
    assert other.consents.count() == 2 and other.consent_entries.count() == 2
    assert [row["external_id"] for row in sheets.read(world.path.read_bytes())] == ["quux-77810"]
    world.file.refresh_from_db()
    assert world.file.rows == 1 and world.file.sha256 != "0" * 64
    assert len(list((world.root / "out" / "mail" / "new").iterdir())) == 1
    assert "quux-77810" in (world.root / "state" / "logs" / "web.log").read_text()
    assert LogEntry.objects.filter(
        object_repr="quux-77810", change_message__contains="reader.example.org"
    ).exists()
    assert Segment.objects.get(slug="by-hand").filter["any"][0]["value"] == ["quux-77810"]


def test_the_address_stays_suppressed_and_comes_back_only_by_a_new_yes(world: SimpleNamespace) -> None:
    privacy.erase(external_id="quux-7781", by=None)
    again = ProfileInput(
        "new-id", "Zebedee@Reader.example", consents=[ConsentInput("email", "given", "import")]
    )
    people.upsert(items=[again], source="import")
    mine = Profile.objects.filter(external_id="new-id")
    assert not consent.may_receive(mine, channel="email").exists()
    consent.record(profile_id=mine.get().pk, channel="email", status="given", source="form", explicit=True)
    assert consent.may_receive(mine, channel="email").exists()


def test_ids_joined_to_one_person_go_together(world: SimpleNamespace) -> None:
    old = ProfileFactory(external_id="before-1", email="old-zebedee@reader.example")
    Profile.objects.filter(pk=old.pk).update(merged_into=world.me)
    certificate = privacy.erase(external_id="before-1", by=None)
    assert Profile.objects.get() == world.other
    assert certificate.removed["profiles"] == 2
    assert list(traces.in_database([*TEXTS, "before-1", "old-zebedee@reader.example"])) == []


def test_a_certificate_is_found_by_the_id_and_cannot_be_forged(world: SimpleNamespace) -> None:
    made = privacy.erase(external_id="quux-7781", by=UserFactory(username="dora"))
    found = privacy.certificate_of("quux-7781")
    assert found == made and found.done_by_name == "dora" and privacy.verify(found)
    assert privacy.certificate_of("quux-77810") is None
    Erasure.objects.update(removed={"events": 0})
    assert not privacy.verify(Erasure.objects.get())


def test_an_address_that_is_none_keeps_nobody_from_being_forgotten(world: SimpleNamespace) -> None:
    odd = ProfileFactory(external_id="odd", email="not an address", email_hash="", phone="0", phone_hash="")
    privacy.erase(external_id="odd", by=None)
    assert not Profile.objects.filter(pk=odd.pk).exists()


def test_one_unknown_among_many_stops_all(world: SimpleNamespace) -> None:
    with pytest.raises(people.UnknownProfile):
        privacy.erase_many(external_ids=["quux-7781", "nobody"], by=None)
    assert Profile.objects.count() == 2 and not Erasure.objects.exists()
    with pytest.raises(people.UnknownProfile):
        privacy.erase(external_id="nobody", by=None)


def test_the_commands_erase_and_look(world: SimpleNamespace, capsys: Any, tmp_path: Path) -> None:
    ids, texts = tmp_path / "ids", tmp_path / "texts"
    ids.write_text("quux-7781\nnobody\n")
    texts.write_text("\n".join(TEXTS))
    with pytest.raises(SystemExit):
        call_command("find_traces", str(texts))
    shown = capsys.readouterr().out
    assert "campaigns_profile.email: 1 rows" in shown and "zebedee" not in shown.lower()
    with pytest.raises(CommandError, match="--yes"):
        call_command("erase_people", str(ids))
    with pytest.raises(CommandError, match="1 of 2 ids are not known"):
        call_command("erase_people", str(ids), "--yes")
    capsys.readouterr()
    call_command("find_traces", str(texts))
    assert "5 texts looked for, 0 hits" in capsys.readouterr().out


# -- the archive -------------------------------------------------------------------------------------


def opened(external_id: str) -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(b"".join(privacy.everything(person_of(external_id)))))


def test_the_archive_holds_everything_and_nobody_else(world: SimpleNamespace) -> None:
    archive = opened("quux-7781")
    assert archive.testzip() is None
    content = {name: archive.read(name).decode() for name in archive.namelist()}
    assert json.loads(content["profile.json"])[0]["email"] == "zebedee@reader.example"
    assert len(json.loads(content["embedding.json"])[0]["vector"]) == 384
    assert json.loads(content["texts.json"])[0]["fields"] == {"subject": "For Zebedee"}
    for name in ("consents", "consent_ledger", "events", "deliveries", "results"):
        assert len(json.loads(content[f"{name}.json"])) == len(content[f"{name}.csv"].splitlines()) - 1 > 0
    assert "form 7 of zebedee@reader.example" in content["consent_ledger.csv"]
    everything = "\n".join(content.values())
    for other in ("quux-77810", "example.org", "Yarrow", "+442079460002"):
        assert other not in everything


def test_every_table_about_people_is_in_the_archive(world: SimpleNamespace) -> None:
    """A new model with a way to a profile must come out with the archive, or say here why not."""
    reached: set[type[models.Model]] = {Profile}
    grew = True
    while grew:
        more = {
            model
            for model in apps.get_models()
            if model not in reached
            and any(
                isinstance(f, models.ForeignKey) and f.related_model in reached
                for f in model._meta.concrete_fields
            )
        }
        reached |= more
        grew = bool(more)
    listed = {t.rows.model for holder in holders() for t in holder.tables(person_of("quux-7781"))}
    beside = {"Hold"}  # when an approved text may leave: a moment's note about the text
    assert {m.__name__ for m in reached - listed} <= beside, "not in the archive"


def test_an_archive_can_be_fetched_for_two_days_and_fetches_count(world: SimpleNamespace) -> None:
    dora = UserFactory(username="dora")
    asked = privacy.ask(external_id="quux-7781", by=dora)
    assert b"".join(privacy.stream(number=asked.number, by=dora)).startswith(b"PK")
    asked.refresh_from_db()
    assert (asked.downloads, asked.asked_by_name) == (1, "dora")
    with pytest.raises(privacy.ArchiveGone):
        privacy.stream(number=asked.number, by=dora, now=timezone.now() + timedelta(hours=49))
    assert not list(world.root.rglob("*.zip"))  # nothing lies about


def test_cells_that_a_spreadsheet_would_run_are_defused(world: SimpleNamespace) -> None:
    ConsentEntry.objects.filter(profile=world.me).update(source='=HYPERLINK("http://x.example")')
    assert "'=HYPERLINK" in opened("quux-7781").read("consent_ledger.csv").decode()


def test_the_command_writes_an_archive_for_the_owner_alone(world: SimpleNamespace, tmp_path: Path) -> None:
    target = tmp_path / "one.zip"
    call_command("export_person", "quux-7781", str(target))
    assert zipfile.is_zipfile(target) and target.stat().st_mode & 0o777 == 0o600
    assert DataExport.objects.get().downloads == 1
    with pytest.raises(CommandError, match="already"):
        call_command("export_person", "quux-7781", str(target))


# -- retention ---------------------------------------------------------------------------------------


def test_rules_are_off_until_they_are_turned_on(world: SimpleNamespace) -> None:
    Event.objects.update(occurred_at=timezone.now() - timedelta(days=2_000))
    assert retention.apply() == {}
    dry = {each.keeping.kind: each.due for each in retention.standing(count=True)}
    assert dry["events"] == 2 and Event.objects.count() == 2 and not RetentionRule.objects.exists()


def test_what_is_old_goes_and_the_rest_stays(world: SimpleNamespace) -> None:
    old, new = Event.objects.order_by("pk")
    Event.objects.filter(pk=old.pk).update(occurred_at=timezone.now() - timedelta(days=400))
    retention.set_rule(kind="events", days=365, is_active=True, by=None)
    assert retention.due(kind="events", days=365) == 1
    assert retention.apply() == {"events": 1}
    assert list(Event.objects.all()) == [new]
    assert RetentionRule.objects.get().last_removed == 1
    assert retention.apply() == {"events": 0}


def test_every_kind_counts_what_it_removes(world: SimpleNamespace) -> None:
    """In a thousand years everything is old: the dry run and the run agree, kind by kind."""
    privacy.ask(external_id="quux-7781", by=None)
    later = timezone.now() + timedelta(days=365_000)
    Piece.objects.update(updated_at=timezone.now())
    for kind, keeping in retention.kinds().items():
        before = later - timedelta(days=1)
        expected = keeping.due(before)
        removed = 0
        while count := keeping.remove(before, 2):
            assert count <= 2 or kind == "admin_history"
            removed += count
        assert removed == expected and keeping.due(before) == 0, kind


def test_idle_people_are_those_without_a_yes_and_without_a_deed(world: SimpleNamespace) -> None:
    idle, agreed, active = (ProfileFactory(external_id=name) for name in ("idle", "agreed", "active"))
    ages_ago = timezone.now() - timedelta(days=2_000)
    Profile.objects.update(created_at=ages_ago, updated_at=ages_ago)
    consent.record(profile_id=agreed.pk, channel="email", status="given", source="form")
    EventFactory(profile=active)
    retention.set_rule(kind="idle_people", days=1_000, is_active=True, by=None)
    assert retention.apply() == {"idle_people": 1}
    assert not Profile.objects.filter(pk=idle.pk).exists() and Profile.objects.count() == 4
    assert Erasure.objects.get().reason == "retention"


def test_hostile_rules_are_refused() -> None:
    for kind, days in (("users", 5), ("events", 0), ("events", 99_999)):
        with pytest.raises(InvalidInput):
            retention.set_rule(kind=kind, days=days, is_active=True, by=None)


# -- protected attributes ----------------------------------------------------------------------------


def test_a_filter_by_an_id_that_was_erased_still_reads(world: SimpleNamespace) -> None:
    Segment.objects.filter(slug="by-hand").update(
        filter={"field": "external_id", "op": "is", "value": "quux-7781"}
    )
    privacy.erase(external_id="quux-7781", by=None)
    segment = Segment.objects.get(slug="by-hand")
    assert segments.count(segment) == 0 and segments.describe(segment.filter)
