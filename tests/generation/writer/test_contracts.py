"""One set of assertions for the fake writer and embedder and for the real ones."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest

from generation.writer import channels, checks, planning, values, writing
from generation.writer.types import Channel, Request, Sampling, Writer
from tests.fakes import FakeWriter, HashEmbedder
from tests.generation.writer import model_server, small


def torch_writer(tuned: bool = False) -> Any:
    from generation.writer.engine import TorchWriter

    return TorchWriter(small.llama(), small.tokenizer(), name="small", base="small", tuned=tuned)


@pytest.fixture(params=["fake", "torch", "remote"], scope="module")
def writer(request: pytest.FixtureRequest) -> Iterator[Writer]:
    if request.param != "remote":
        yield FakeWriter() if request.param == "fake" else torch_writer()
        return
    from generation.writer.remote import RemoteWriter
    from generation.writer.server import ChatServer

    with model_server.running(model_server.ModelServer()) as served:
        chat = ChatServer(served.url, model_server.MODEL)
        yield RemoteWriter(chat)
        chat.close()


def drafts_of(writer: Writer, count: int = 12, **sampling: Any) -> tuple[Any, ...]:
    brief, requests = small.brief(), small.requests(count)
    plans = planning.plan(brief, requests, HashEmbedder())
    return brief, requests, plans, writer.write(brief, requests, plans, Sampling(**sampling))


def test_one_draft_per_request_in_order_with_every_unit_of_its_plan(writer: Writer) -> None:
    _, requests, plans, drafts = drafts_of(writer)
    assert [d.key for d in drafts] == [r.key for r in requests]
    for request, plan, draft in zip(requests, plans, drafts, strict=True):
        assert [(u.label, u.sources) for u in draft.units] == [(u.label, u.sources) for u in plan]
        assert draft.channel is request.channel and draft.seed == request.seed
        assert set(draft.fields) == {f.name for f in channels.SPECS[request.channel].fields}
        assert draft.prompt_version == writer.info.prompt_version


def test_values_are_the_plans_and_limits_hold(writer: Writer) -> None:
    """An untrained model included: these promises are not the model's to break."""
    brief, requests, plans, drafts = drafts_of(writer, 18, temperature=1.5)
    never = {
        "values.unknown", "values.malformed", "values.missing", "numbers.outside_values", "links.outside_values",
        "leftover.markup", "leftover.hidden", "ads.first_name", "length.over", "length.items",
    }  # fmt: skip
    for request, plan, draft in zip(requests, plans, drafts, strict=True):
        broken = [f for f in checks.check_draft(brief, request, draft) if f.rule in never]
        assert not broken, (broken, draft.fields)
        for unit, planned in zip(draft.units, plan, strict=True):
            assert set(planned.required) <= set(values.names(unit.text)) <= set(planned.values)


def test_a_tuned_writer_leaves_out_only_what_the_piece_can_do_without() -> None:
    """With random weights no wording says anything, so all is left out that may be."""
    writer = torch_writer(tuned=True)
    brief, requests, plans, drafts = drafts_of(writer, 6, temperature=1.5, max_tokens=8)
    fewer = 0
    for request, plan, draft in zip(requests, plans, drafts, strict=True):
        rest = iter(plan)
        kept = [
            next(p for p in rest if (p.label, p.sources) == (u.label, u.sources)) for u in draft.units
        ]  # in the plan's order
        assert all(p in kept for p in plan if p.required or p.text)
        fewer += len(kept) < len(plan)
        for field in channels.SPECS[request.channel].fields:
            count = sum(u.label in field.labels for u in draft.units)
            planned = sum(p.label in field.labels for p in plan)
            least = min(field.planned[0], field.items[0] + 1) if field.items else 1
            assert count >= min(planned, least)
        assert not [
            f
            for f in checks.check_draft(brief, request, draft)
            if f.rule in ("length.items", "values.missing")
        ]
    assert fewer


def test_the_same_seeds_give_the_same_text(writer: Writer) -> None:
    assert drafts_of(writer)[3] == drafts_of(writer)[3]


def test_nothing_to_write(writer: Writer) -> None:
    assert writer.write(small.brief(), [], [], Sampling()) == []


@pytest.fixture(params=["hash", pytest.param("minilm", marks=pytest.mark.model)])
def embedder(request: pytest.FixtureRequest) -> Any:
    if request.param == "hash":
        return HashEmbedder()
    from generation.writer.embeddings import MiniLmEmbedder

    return MiniLmEmbedder()


def test_embedders_give_unit_vectors(embedder: Any) -> None:
    texts = ["a kayak on the lake", "a kayak on a lake", "accounting", ""]
    vectors = embedder.embed(texts)
    assert [len(v) for v in vectors] == [embedder.dimension] * 4 == [384] * 4
    assert all(math.isclose(sum(x * x for x in v), 1, abs_tol=1e-4) for v in vectors)
    near, far = (sum(a * b for a, b in zip(vectors[0], vectors[i], strict=True)) for i in (1, 2))
    assert near > far
    assert embedder.embed([]) == []


# -- the torch writer alone ------------------------------------------------------------------------------------


def test_a_drafts_text_does_not_depend_on_its_batch() -> None:
    writer = torch_writer()
    brief, requests, plans, together = drafts_of(writer, 6)
    alone = writer.write(brief, requests[3:4], plans[3:4], Sampling())
    assert alone[0].fields == together[3].fields


def test_the_brief_is_computed_once() -> None:
    writer = torch_writer()
    lengths: list[int] = []
    once = writer.decoder.prefix
    writer.decoder.prefix = lambda ids: (lengths.append(len(ids)), once(ids))[1]
    drafts_of(writer, 4)
    drafts_of(writer, 4)
    assert len(lengths) == 1
    assert writer.counts.forced < 4 * lengths[0]  # no row was fed the brief again


def test_drafts_equal_those_of_plain_forward_passes() -> None:
    """The engine as a whole against the model given every token at every step."""
    from generation.writer import prompts
    from generation.writer.decoding import Start
    from generation.writer.engine import _Writing

    writer = torch_writer(tuned=True)  # without the worked examples: plain passes take their time
    sampling = Sampling(temperature=0, candidates=2, max_tokens=6)
    brief, requests = small.brief(), small.requests(2, (Channel.SMS, Channel.PUSH))
    plans = planning.plan(brief, requests, HashEmbedder())
    drafts = writer.write(brief, requests, plans, sampling)
    plain = small.llama()
    plain.set_attn_implementation("eager")
    prefix = writer.prefix_ids(prompts.prefix(brief, examples=False))
    for request, plan, draft in zip(requests, plans, drafts, strict=True):
        work = _Writing(brief, request, plan, sampling)
        block, walks = writer._advance(work, prompts.opening(request), sampling)
        start = Start(block, list(walks))
        small.plain_run(plain, prefix, start, lambda _, c, work=work: writer._choose(work, c))
        assert [u.text for u in work.units] == [u.text for u in draft.units]


# -- writing ---------------------------------------------------------------------------------------------------


def test_refused_drafts_are_written_again_with_other_seeds() -> None:
    writer = FakeWriter(spoil=1)
    requests = small.requests(8)
    results = writing.write_pieces(writer, HashEmbedder(), small.brief(), requests, tries=3)
    assert writer.calls == [8, 8]
    assert all(r.clean and r.tries == 2 and len(r.candidates) == 2 for r in results)
    assert [r.draft.key for r in results] == [r.key for r in requests]
    assert results[0].draft.seed == writing.seed_of_try(requests[0].seed, 1)


def test_the_best_is_returned_with_its_findings_when_none_is_clean() -> None:
    results = writing.write_pieces(
        FakeWriter(spoil=9), HashEmbedder(), small.brief(), small.requests(3), tries=2
    )
    assert all(not r.clean and r.tries == 2 for r in results)
    assert {f.rule for r in results for f in writing.blocking(r.findings)} >= {"numbers.outside_values"}


def test_every_fake_piece_is_clean() -> None:
    results = writing.write_pieces(FakeWriter(), HashEmbedder(), small.brief(), small.requests(36), tries=1)
    assert [f for r in results for f in writing.blocking(r.findings)] == []


def test_first_name_never_stands_in_an_ad() -> None:
    for result in writing.write_pieces(FakeWriter(), HashEmbedder(), small.brief(), small.requests(24)):
        text = str(result.draft.fields)
        if channels.SPECS[result.draft.channel].is_ad:
            assert values.FIRST_NAME not in text
        elif result.draft.channel is Channel.EMAIL:
            assert "Hi {{first_name}}," in text


@pytest.mark.parametrize("channel", list(Channel))
def test_the_plainest_wording_competes_in_every_channel(channel: Channel) -> None:
    """Two sentences may stand in most ads; a script of one must come to its end there, too."""
    from generation.writer.constraints import ScriptedWalk
    from generation.writer.engine import _Writing

    writer, brief = torch_writer(tuned=True), small.brief(must_mention=())
    request = Request("k", channel, small.READERS[0], 1)
    (plan,) = planning.plan(brief, [request], HashEmbedder())
    for at, unit in enumerate(plan):
        if unit.label in channels.SENTENCE_LABELS and not unit.text:
            work = _Writing(brief, request, plan, Sampling(candidates=2), at=at)
            assert isinstance(writer._walks(work, unit, work.sampling)[-1], ScriptedWalk), unit
