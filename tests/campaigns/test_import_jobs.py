"""Imports in a worker: once, whoever dies; stopped at the next chunk; taken up again where they ended."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from campaigns import tasks
from campaigns.importing import Options, jobs, running, uploads
from campaigns.models import Event, Import, ImportKind, ImportSource, ImportStatus, Profile, Upload
from personalize.core.errors import InvalidInput
from tests.factories import ImportFactory, ProfileFactory, UserFactory

pytestmark = pytest.mark.django_db
PEOPLE = b"id,Email\n" + b"".join(b"%d,p%d@mail.example\n" % (n, n) for n in range(9))
MAP = {"external_id": "id", "email": "Email"}


def queued(content: bytes = PEOPLE, **changes: Any) -> Import:
    token = uploads.keep(SimpleUploadedFile("a.csv", content), source=changes.pop("source", ""))
    given = {"kind": ImportKind.PROFILES, "mapping": MAP, "options": Options(), "dry_run": False} | changes
    return jobs.start(upload=uploads.find(token), by=UserFactory(), **given)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "CHUNK", 2)


def dies_at(monkeypatch: pytest.MonkeyPatch, call: int, how: BaseException, where: Any = None) -> None:
    """The worker is killed while it stores chunk number `call`."""
    store, calls = (where or running)._save, []

    def save(record: Import, **changes: Any) -> None:
        calls.append(1)
        if len(calls) == call:
            raise how
        store(record, **changes)

    monkeypatch.setattr(running, "_save", save)


class Killed(BaseException):
    """No handler of ours runs: as SIGKILL."""


def test_a_queued_import_is_done_once_and_forgets_its_file(
    django_capture_on_commit_callbacks: Any,
) -> None:
    with django_capture_on_commit_callbacks() as woken:
        record = queued()
    assert len(woken) == 1 and not Profile.objects.exists()
    tasks.run_import(import_id=record.pk)
    record.refresh_from_db()
    assert (record.status, record.created, record.rows) == ("done", 9, 9)
    assert record.upload is None and not Upload.objects.exists()
    assert jobs.work(import_id=record.pk) is False


def test_while_one_worker_is_at_it_another_finds_nothing(small: None) -> None:
    record = queued()
    Import.objects.update(status=ImportStatus.RUNNING, lease="somebody", alive_at=timezone.now())
    assert jobs.work(import_id=record.pk) is False


@pytest.mark.parametrize("kind", ["profiles", "events"])
def test_a_killed_worker_loses_nothing_and_doubles_nothing(
    kind: str, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    content, mapping = PEOPLE, MAP
    if kind == "events":  # lines that are alike to the letter stay as many as they are
        ProfileFactory(external_id="7")
        content = b"who,when\n" + b"7,2024-05-01\n" * 9
        mapping = {"external_id": "who", "event": ":=seen", "occurred_at": "when"}
    record = queued(content, kind=ImportKind(kind), mapping=mapping)
    with monkeypatch.context() as patch:
        dies_at(patch, 3, Killed())
        patch.setattr(running, "_fail", lambda *_: None)
        with pytest.raises(Killed):
            jobs.work(import_id=record.pk)
    record.refresh_from_db()
    assert (record.status, record.rows) == ("running", 4)
    assert jobs.work(import_id=record.pk) is False  # it may still be alive
    Import.objects.update(alive_at=timezone.now() - timedelta(seconds=jobs.SILENT_SECONDS + 1))
    assert jobs.sweep() == 1
    assert jobs.work(import_id=record.pk) is True
    record.refresh_from_db()
    assert (record.status, record.rows, record.created) == ("done", 9, 9)
    assert (Profile if kind == "profiles" else Event).objects.count() == 9


def test_a_stop_counts_at_the_next_chunk_and_the_rest_comes_in_later(
    small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = queued()
    with monkeypatch.context() as patch:
        chunks: list[int] = []

        def stop_after_two() -> None:
            chunks.append(1)
            if len(chunks) == 2:
                assert jobs.cancel(record=record)

        patch.setattr(running, "reset_queries", stop_after_two)  # called between chunks
        jobs.work(import_id=record.pk)
    record.refresh_from_db()
    assert (record.status, record.rows, Profile.objects.count()) == ("cancelled", 4, 4)
    assert jobs.cancel(record=record) is False and jobs.work(import_id=record.pk) is False
    jobs.resume(record=record)
    jobs.work(import_id=record.pk)
    record.refresh_from_db()
    assert (record.status, record.rows, record.created, record.error) == ("done", 9, 9, "")
    with pytest.raises(jobs.CannotResume):
        jobs.resume(record=record)


def test_a_file_that_cannot_be_read_fails_with_the_reason() -> None:
    record = queued(b"%PDF-1.7")
    jobs.work(import_id=record.pk)
    record.refresh_from_db()
    assert record.status == "failed" and "is a PDF" in record.error


def test_a_mapping_that_cannot_work_is_never_queued() -> None:
    with pytest.raises(InvalidInput, match="no column 'Nope'"):
        token = uploads.keep(SimpleUploadedFile("a.csv", PEOPLE))
        jobs.start(
            upload=uploads.find(token), kind=ImportKind.PROFILES, mapping={"external_id": "Nope"},
            options=Options(), dry_run=True, by=UserFactory(), headers=["id"],
        )  # fmt: skip
    assert not Import.objects.exists()


def test_a_source_keeps_what_was_confirmed_last() -> None:
    queued(source="Till", dry_run=True)
    assert not ImportSource.objects.exists()
    queued(source="Till")
    queued(source="Till", options=Options(region="DE", day_first=True))
    kept = ImportSource.objects.get()
    assert (kept.name, kept.mapping) == ("Till", MAP)
    assert Options.of(kept.options) == Options(region="DE", day_first=True)


def test_a_command_that_died_is_no_longer_shown_as_running() -> None:
    silent = ImportFactory(status=ImportStatus.RUNNING, alive_at=timezone.now() - timedelta(hours=1))
    alive = ImportFactory(status=ImportStatus.RUNNING, alive_at=timezone.now())
    tasks.sweep_imports()
    silent.refresh_from_db()
    alive.refresh_from_db()
    assert (silent.status, alive.status) == ("failed", "running")
