"""Writing a chunk: what is stored, and what becomes of a chunk that goes wrong."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from campaigns import runs, schedules
from campaigns.models import Channel
from generation import drafting, texts
from generation.drafting import chunks, leases
from generation.models import Finding, Piece, PieceEvent, Status
from personalize.core.errors import TransientFailure
from tests.factories import (
    CampaignFactory,
    EventFactory,
    ProductEmbeddingFactory,
    ProfileEmbeddingFactory,
    unit_vector,
)
from tests.fakes import FakeWriter
from tests.generation import scenes

pytestmark = pytest.mark.django_db


def on_write(monkeypatch: pytest.MonkeyPatch, writer: FakeWriter, act: Callable[[list[Any]], None]) -> None:
    """Let `act` see (and spoil) each batch before it is written."""
    write = writer.write

    def first(brief: Any, requests: Any, plans: Any, sampling: Any) -> Any:
        act(requests)
        return write(brief, requests, plans, sampling)

    monkeypatch.setattr(writer, "write", first)


def test_write_chunk_stores_all_that_is_known(writer: FakeWriter) -> None:
    run = scenes.launched(2)

    assert drafting.write_chunk(run_id=run.pk) == 2

    for piece in Piece.objects.filter(run=run):
        assert (piece.status, piece.revision, piece.attempts) == (Status.IN_REVIEW, 1, 1)
        assert set(piece.fields) == {"subject", "preheader", "body", "cta"}
        assert piece.text_hash == texts.text_hash(piece.fields)
        assert piece.reader == {
            "lifecycle": "active",
            "traits": ["bought a moka pot in spring", "orders every few weeks"],
            "products": [],
        }
        assert piece.ledger[0].keys() >= {"label", "sources", "text", "logprob"}
        assert piece.model_version.name.startswith("fake-")
        assert (piece.prompt_version, piece.claim, piece.lease_until) == ("fake-1", None, None)
        assert piece.score is not None and piece.written_at is not None
        events = PieceEvent.objects.filter(piece_id=piece.pk).order_by("pk")
        assert [e.to_status for e in events] == [Status.GENERATING, Status.IN_REVIEW]
        assert events[1].text_hash == piece.text_hash
    assert drafting.write_chunk(run_id=run.pk) == 0


def test_findings_and_candidates_are_kept(writer: FakeWriter, settings: Any) -> None:
    settings.WRITER_TRIES = 2
    writer.spoil = 2
    run = scenes.launched(1)

    drafting.write_chunk(run_id=run.pk)

    piece = Piece.objects.get(run=run)
    assert piece.blocking == Finding.objects.filter(piece=piece, revision=1, severity="blocking").count() > 0
    assert "numbers.outside_values" in set(piece.findings.values_list("rule", flat=True))
    assert len(piece.candidates) == 1
    assert piece.candidates[0]["findings"]


def test_a_refused_text_is_tried_again_with_another_seed(writer: FakeWriter) -> None:
    writer.spoil = 1
    run = scenes.launched(1)
    before = Piece.objects.get(run=run).seed

    drafting.write_chunk(run_id=run.pk)

    piece = Piece.objects.get(run=run)
    assert writer.calls == [1, 1]
    assert (piece.blocking, len(piece.candidates)) == (0, 1)
    assert piece.seed != before


@pytest.mark.django_db(transaction=True)
def test_no_transaction_is_open_and_nothing_locked_while_the_writer_works(
    writer: FakeWriter, monkeypatch: pytest.MonkeyPatch, race: Any
) -> None:
    run = scenes.launched(2)
    seen: list[bool] = []

    def lock_one() -> str:
        with transaction.atomic():
            return Piece.objects.select_for_update(nowait=True).filter(run=run)[0].status

    def look(requests: list[Any]) -> None:
        seen.append(connection.in_atomic_block)
        # Another connection sees the claim and can lock the row at once: it is committed and free.
        assert race(lock_one, 1) == [Status.GENERATING]

    on_write(monkeypatch, writer, look)
    assert drafting.write_chunk(run_id=run.pk) == 2
    assert seen == [False]


def test_chunk_size_over_all_channels(writer: FakeWriter, settings: Any) -> None:
    settings.WRITER_CHUNK = 2
    scenes.readers(3)
    ads = [Channel.GOOGLE_RSA, Channel.META_AD]
    run = scenes.launch(CampaignFactory(channels=[Channel.EMAIL, *ads]))

    written = [drafting.write_chunk(run_id=run.pk) for _ in range(4)]

    assert written == [2, 2, 1, 0], "a batch is filled with whatever waits, mails and ads"
    assert set(scenes.statuses(run)) == {Status.IN_REVIEW}
    ad = Piece.objects.get(run=run, channel="google_rsa")
    assert ad.reader == {
        "lifecycle": "prospect",
        "traits": ["people looking for a pan that lasts"],
        "products": [],
    }


def test_nothing_is_written_while_run_or_campaign_is_paused(writer: FakeWriter) -> None:
    run = scenes.launched(1)

    runs.pause(run=run, by=None)
    assert drafting.write_chunk(run_id=run.pk) == 0
    runs.resume(run=run, by=None)
    schedules.pause(campaign=run.campaign, by=None)
    assert drafting.write_chunk(run_id=run.pk) == 0
    schedules.activate(campaign=run.campaign, by=None)
    assert drafting.write_chunk(run_id=run.pk) == 1


def test_a_claim_that_was_lost_is_not_overwritten(
    writer: FakeWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = scenes.launched(2)
    lost = Piece.objects.filter(run=run).order_by("pk").first()

    def expire(requests: list[Any]) -> None:
        Piece.objects.filter(pk=lost.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
        assert leases.return_expired(now=timezone.now()) == (1, 0)

    on_write(monkeypatch, writer, expire)
    chunk = drafting.write_next(run_id=run.pk)

    assert (chunk.claimed, chunk.written, chunk.lost) == (2, 1, 1)
    assert scenes.statuses(run) == [Status.DRAFT, Status.IN_REVIEW]


def test_a_reader_erased_meanwhile_takes_only_their_piece_along(
    writer: FakeWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = scenes.launched(2)
    gone = Piece.objects.filter(run=run).order_by("pk").first().profile

    on_write(monkeypatch, writer, lambda requests: gone.delete() and None)
    chunk = drafting.write_next(run_id=run.pk)

    assert (chunk.written, chunk.lost) == (1, 1)
    assert scenes.statuses(run) == [Status.IN_REVIEW]


def test_transient_failure_returns_the_chunk_before_it_is_raised(
    writer: FakeWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = scenes.launched(2)

    def away(requests: list[Any]) -> None:
        raise TransientFailure("the model server restarts")

    on_write(monkeypatch, writer, away)
    with pytest.raises(TransientFailure):
        drafting.write_chunk(run_id=run.pk)

    assert scenes.statuses(run) == [Status.DRAFT] * 2
    assert Piece.objects.filter(run=run, retry_after__gt=timezone.now(), claim=None).count() == 2
    assert not drafting.is_waiting(run_id=run.pk)


def test_one_bad_piece_fails_alone(writer: FakeWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    run = scenes.launched(5)
    bad = str(Piece.objects.filter(run=run).order_by("pk")[2].pk)

    def stumble(requests: list[Any]) -> None:
        if any(request.key == bad for request in requests):
            raise ValueError("a text that must not be logged")

    on_write(monkeypatch, writer, stumble)
    first = drafting.write_next(run_id=run.pk)
    assert (first.written, first.returned, first.failed) == (4, 1, 0)
    for _ in range(chunks.MOST_FAILURES - 1):
        Piece.objects.filter(status=Status.DRAFT).update(retry_after=None)
        last = drafting.write_next(run_id=run.pk)

    piece = Piece.objects.get(pk=bad)
    assert last.failed == 1
    assert (piece.status, piece.claim) == (Status.FAILED, None)
    assert "ValueError" in piece.error and "must not be logged" not in piece.error
    notes = " ".join(PieceEvent.objects.values_list("note", flat=True))
    assert "must not be logged" not in notes


def test_a_batch_too_large_for_memory_is_halved(writer: FakeWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    run = scenes.launched(5)

    def small_machine(requests: list[Any]) -> None:
        if len(requests) > 2:
            raise MemoryError

    on_write(monkeypatch, writer, small_machine)
    assert drafting.write_chunk(run_id=run.pk) == 5
    assert sorted(writer.calls) == [1, 2, 2]


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_a_worker_told_to_stop_gives_back_what_it_has(
    writer: FakeWriter, monkeypatch: pytest.MonkeyPatch, stop: type[BaseException]
) -> None:
    run = scenes.launched(2)

    def halt(requests: list[Any]) -> None:
        raise stop

    on_write(monkeypatch, writer, halt)
    with pytest.raises(stop):
        drafting.write_chunk(run_id=run.pk)

    assert scenes.statuses(run) == [Status.DRAFT] * 2
    assert drafting.is_waiting(run_id=run.pk)


def test_a_writer_that_cannot_be_loaded_claims_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    run = scenes.launched(1)

    def broken() -> None:
        raise OSError("no weights")

    monkeypatch.setattr("generation.engines.get_writer", broken)
    with pytest.raises(OSError):
        drafting.write_chunk(run_id=run.pk)

    assert scenes.statuses(run) == [Status.DRAFT]
    assert not PieceEvent.objects.exists()


def test_products_near_the_reader_are_offered_but_not_those_bought_lately(writer: FakeWriter) -> None:
    run = scenes.launched(1)
    piece = Piece.objects.get(run=run)
    ProfileEmbeddingFactory(profile=piece.profile, vector=unit_vector(1))
    near = ProductEmbeddingFactory(vector=unit_vector(1), product__noun_phrase="a moka pot").product
    bought = ProductEmbeddingFactory(vector=unit_vector(1)).product
    ProductEmbeddingFactory(vector=unit_vector(1), product__is_available=False)
    EventFactory(profile=piece.profile, product=bought)

    drafting.write_chunk(run_id=run.pk)

    piece.refresh_from_db()
    (told,) = piece.reader["products"]
    assert (told["id"], told["sku"], told["name"]) == ("p1", near.sku, "a moka pot")
    assert "29.00" not in repr(told)


def test_what_reaches_the_writer_names_nobody(writer: FakeWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    run = scenes.launched(1)
    profile = Piece.objects.get(run=run).profile
    seen: list[Any] = []
    on_write(monkeypatch, writer, seen.extend)

    drafting.write_chunk(run_id=run.pk)

    told = repr(seen)
    for private in (profile.email, profile.first_name, profile.last_name, profile.phone, profile.external_id):
        assert private and private not in told


def test_progress_counts_every_status(writer: FakeWriter) -> None:
    run = scenes.launched(3)
    drafting.write_chunk(run_id=run.pk, limit=2)

    progress = drafting.progress(run)

    assert set(progress.counts) == set(Status.values)
    assert (progress.total, progress.written, progress.left) == (3, 2, 1)
    assert progress.counts["in_review"] == 2
    assert progress.per_minute > 0 and progress.minutes_left is not None
    assert progress.share == pytest.approx(2 / 3)


def test_progress_of_a_run_without_pieces() -> None:
    from tests.factories import RunFactory

    progress = drafting.progress(RunFactory())

    assert (progress.total, progress.left, progress.share, progress.minutes_left) == (0, 0, 1.0, None)


def test_the_task_goes_on_while_there_is_work(
    writer: FakeWriter,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Any,
) -> None:
    from generation import tasks

    settings.WRITER_CHUNK = 2
    run = scenes.launched(3)
    sent: list[int] = []
    monkeypatch.setattr(tasks.write_chunk, "delay", lambda run_id: sent.append(run_id))

    for expected in ([run.pk], [], []):
        with django_capture_on_commit_callbacks(execute=True):
            tasks.write_chunk(run_id=run.pk, from_a_newer_version=True)
        assert sent == expected
        sent.clear()
    assert set(scenes.statuses(run)) == {Status.IN_REVIEW}


def test_the_compose_task_writes_its_piece_only(writer: FakeWriter) -> None:
    from generation import tasks

    run = scenes.launched(2)
    one = Piece.objects.filter(run=run).order_by("pk")[0]

    tasks.compose(piece_id=one.pk)
    tasks.compose(piece_id=one.pk)

    assert scenes.statuses(run) == [Status.IN_REVIEW, Status.DRAFT]
    assert writer.calls == [1]
