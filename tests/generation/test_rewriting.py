"""Past pieces come out again to the letter, or it is said why they cannot."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from generation import drafting, engines, review, rewriting
from generation.models import Piece
from generation.writer import planning
from generation.writer.types import Channel, Sampling
from tests.factories import PieceFactory, SuperuserFactory
from tests.fakes import FakeWriter, HashEmbedder
from tests.generation import scenes
from tests.generation.writer import small


@pytest.fixture(scope="module")
def model() -> Any:
    """A real writer over random weights: its words are noise, but noise of a seed."""
    from generation.writer.engine import TorchWriter

    return TorchWriter(small.llama(), small.tokenizer(), base="tiny", model_hash="a" * 16)


@pytest.fixture
def torch_writer(model: Any) -> Iterator[Any]:
    with engines.use(writer=model, embedder=HashEmbedder()):
        yield model


def written(count: int = 1) -> list[Piece]:
    run = scenes.launched(count)
    assert drafting.write_chunk(run_id=run.pk) == count
    return list(Piece.objects.filter(run=run).order_by("pk"))


def tables() -> list[Any]:
    with connection.cursor() as cursor:
        found = []
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT md5(string_agg(t::text, chr(10) ORDER BY t::text)) FROM "{table}" t')
            found.append(cursor.fetchone())
        return found


def test_a_text_does_not_depend_on_the_batch_it_is_written_in(model: Any) -> None:
    """With random weights every token is a close call: were there any leak between rows, this would show it."""
    brief, requests = small.brief(), small.requests(9, (Channel.EMAIL, Channel.SMS, Channel.META_AD))
    plans = planning.plan(brief, requests, HashEmbedder())
    sampling = Sampling(temperature=0.9, candidates=2, max_tokens=16)

    together = model.write(brief, requests, plans, sampling)
    for index in (0, 1, 5, 8):
        alone = model.write(brief, [requests[index]], [plans[index]], sampling)
        assert alone[0].fields == together[index].fields
    other_order = model.write(brief, requests[::-1], plans[::-1], sampling)
    assert [draft.fields for draft in other_order[::-1]] == [draft.fields for draft in together]


@pytest.mark.django_db
def test_every_piece_of_a_batch_comes_out_again_and_nothing_is_stored(
    torch_writer: Any, settings: Any
) -> None:
    settings.WRITER_TRIES = 2
    pieces = written(3)
    before = tables()

    for piece in pieces:
        found = rewriting.rewrite(piece_id=piece.pk)
        assert found.identical and found.written == piece.fields == found.fields
        assert (found.missing, found.code_changed) == (0, False)
    assert tables() == before


@pytest.mark.django_db
def test_the_kept_try_comes_out_again(writer: FakeWriter) -> None:
    writer.spoil = 1
    (piece,) = written()
    assert piece.written_with["tries"] == 2
    assert piece.written_with["kept"] != piece.written_with["seed"]

    assert rewriting.rewrite(piece_id=piece.pk).identical


@pytest.mark.django_db
def test_what_people_did_since_changes_nothing(writer: FakeWriter) -> None:
    edited, sent_back = written(2)
    root = SuperuserFactory()
    review.edit(
        piece_id=edited.pk,
        revision=1,
        fields={**edited.fields, "subject": "Another subject"},
        by=root,
    )
    review.write_again(piece_id=sent_back.pk, revision=1, by=root, steer="be brief", queue=False)

    found = rewriting.rewrite(piece_id=edited.pk)
    assert found.identical and found.written is None and found.fields == edited.fields
    out = io.StringIO()
    call_command("rewrite", str(edited.pk), stdout=out)
    assert out.getvalue() == "identical; it was edited by a person since\n"
    assert rewriting.rewrite(piece_id=sent_back.pk).identical


class Rounding(FakeWriter):
    """A writer whose words depend on how many pieces are written at once, as rounding can make them."""

    def write(self, brief: Any, requests: Any, plans: Any, sampling: Any) -> Any:
        drafts = super().write(brief, requests, plans, sampling)
        for draft in drafts:
            draft.fields["preheader"] = f"{'Now ' * len(requests)}or later"
        return drafts


@pytest.mark.django_db
def test_what_differs_alone_is_written_in_its_batch() -> None:
    with engines.use(writer=Rounding(), embedder=HashEmbedder()):
        first, second, _ = written(3)

        found = rewriting.rewrite(piece_id=second.pk)
        assert (found.identical, found.together, found.missing) == (True, 3, 0)

        first.profile.delete()
        found = rewriting.rewrite(piece_id=second.pk)
        assert (found.identical, found.together, found.missing) == (False, 1, 1)
        out = io.StringIO()
        with pytest.raises(CommandError, match="1 piece of its batch") as refused:
            call_command("rewrite", str(second.pk), stdout=out)
        assert refused.value.returncode == 1
        assert "preheader: " in out.getvalue() and "[-Now Now-]" in out.getvalue()


@pytest.mark.django_db
def test_another_writer_is_refused_by_name(writer: FakeWriter) -> None:
    (piece,) = written()
    other = FakeWriter()
    other.info = type(writer.info)("fake", "fake", False, "fake-2", "1" * 16, {"dtype": "bfloat16"})
    with (
        engines.use(writer=other),
        pytest.raises(rewriting.NotRewritable) as refused,
    ):
        rewriting.rewrite(piece_id=piece.pk)
    told = str(refused.value)
    assert f"hash was {'0' * 16}, is {'1' * 16}" in told
    assert "prompts was fake-1, is fake-2" in told and "dtype was not set, is bfloat16" in told
    assert str(piece.model_version) in told


@pytest.mark.django_db
def test_other_sampling_is_refused_by_name(writer: FakeWriter) -> None:
    (piece,) = written()
    kept = piece.written_with
    kept["sampling"] = {"temperature": 0.7, "top_k": 40}
    Piece.objects.filter(pk=piece.pk).update(written_with=kept)
    with pytest.raises(rewriting.NotRewritable, match=r"temperature, top_k; .* candidates, max_tokens"):
        rewriting.rewrite(piece_id=piece.pk)


@pytest.mark.django_db
def test_sampling_is_that_of_then_whatever_is_set_now(
    writer: FakeWriter, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.WRITER_TEMPERATURE = 0.3
    (piece,) = written()
    settings.WRITER_TEMPERATURE = 1.1
    seen: list[Sampling] = []
    write = writer.write
    monkeypatch.setattr(writer, "write", lambda b, r, p, s: seen.append(s) or write(b, r, p, s))

    assert rewriting.rewrite(piece_id=piece.pk).identical
    assert [sampling.temperature for sampling in seen] == [0.3]


@pytest.mark.django_db
def test_what_was_never_written_or_before_settings_were_kept(writer: FakeWriter) -> None:
    (old,) = written()
    draft = PieceFactory(status="draft")
    Piece.objects.filter(pk=old.pk).update(written_with={})
    for number, words in ((draft.pk, "no text"), (old.pk, "before the settings"), (10**9, "no piece")):
        with pytest.raises(CommandError, match=words):
            call_command("rewrite", str(number), stdout=io.StringIO())


@pytest.mark.django_db
def test_changed_code_is_named_as_the_reason(writer: FakeWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    (piece,) = written()
    monkeypatch.setattr(rewriting, "code_hash", lambda: "other")
    with engines.use(writer=Rounding()), pytest.raises(CommandError, match="code of the writer has changed"):
        call_command("rewrite", str(piece.pk), stdout=io.StringIO())


def test_differences_word_by_word() -> None:
    before = {"subject": "A pan for the fire", "headlines": ["One two", "Three"], "cta": "Go"}
    after = {"subject": "A pot for the fire now", "headlines": ["One two", "Three", "Four"], "cta": "Go"}
    assert rewriting.word_diff(before, after) == [
        "subject: A [-pan-] {+pot+} for the fire {+now+}",
        "headlines[2]: {+Four+}",
    ]
    assert rewriting.word_diff(before, before) == []
