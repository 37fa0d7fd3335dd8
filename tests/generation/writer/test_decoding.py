"""Shared-prefix decoding gives what plain forward passes give."""

from __future__ import annotations

import random

import pytest
import torch  # noqa: TID253  -- tests of the model code

from generation.writer.attention import NAME
from generation.writer.decoding import Candidate, Decoder, Kept, Start
from tests.generation.writer import small


def programs(width: int, seed: int) -> tuple[list[list[list[int]]], list[list[int]]]:
    """Blocks and stretch lengths of some ragged rows."""
    rng = random.Random(seed)
    size = len(small.tokenizer())
    blocks = [
        [[rng.randrange(5, size) for _ in range(rng.randint(1, 12))] for _ in range(rng.randint(1, 4))]
        for _ in range(7)
    ]
    lengths = [[rng.randint(1, 9) for _ in row] for row in blocks]
    return blocks, lengths


def chooser(blocks: list[list[list[int]]], lengths: list[list[int]], width: int, log: list[list[list[int]]]):
    size = len(small.tokenizer())
    at = [0] * len(blocks)

    def choose(row: int, candidates: list[Candidate]) -> Kept:
        number = at[row] % width  # any of the candidates may be the one that stays
        chosen = candidates[number]
        log[row].append(list(chosen.tokens))
        at[row] += 1
        if at[row] == len(blocks[row]):
            return Kept(number, len(chosen.tokens), [], [])
        cut = max(len(chosen.tokens) - 2, 0)  # some of what was drawn is dropped, as trimming does
        walks = [(small.Free(size, lengths[row][at[row]] + c), random.Random(c)) for c in range(width)]
        return Kept(number, cut, blocks[row][at[row]], walks)

    return choose


@pytest.mark.parametrize("width", [1, 3])
def test_greedy_tokens_equal_plain_forward_passes(width: int) -> None:
    size = len(small.tokenizer())
    prefix = [random.Random(9).randrange(5, size) for _ in range(50)]
    blocks, lengths = programs(width, seed=width)

    def start(row: int) -> Start:
        walks = [(small.Free(size, lengths[row][0] + c), random.Random(c)) for c in range(width)]
        return Start(blocks[row][0], walks)

    decoder = Decoder(small.llama())
    log: list[list[list[int]]] = [[] for _ in blocks]
    counts = decoder.run(
        decoder.prefix(prefix),
        [start(i) for i in range(len(blocks))],
        chooser(blocks, lengths, width, log),
        temperature=0,
        top_p=1,
        stretch=16,
    )

    plain = small.llama()
    plain.set_attn_implementation("eager")
    for row in range(len(blocks)):
        expected: list[list[list[int]]] = [[] for _ in blocks]
        whole = chooser(blocks, lengths, width, expected)
        small.plain_run(plain, prefix, start(row), lambda _, c, row=row, whole=whole: whole(row, c))
        assert log[row] == expected[row]
    assert counts.passes < counts.sampled  # rows went side by side


def test_logits_equal_those_of_a_plain_pass() -> None:
    model = small.llama(layers=3)
    decoder = Decoder(model)
    ids = [random.Random(1).randrange(5, 300) for _ in range(40)]
    seen: list[float] = []

    def choose(row: int, candidates: list[Candidate]) -> Kept:
        seen.extend(candidates[0].logprobs)
        seen_tokens.extend(candidates[0].tokens)
        return Kept(0, 0, [], [])

    seen_tokens: list[int] = []
    walk = (small.Free(len(small.tokenizer()), 6), random.Random(0))
    decoder.run(
        decoder.prefix(ids[:30]), [Start(ids[30:], [walk])], choose, temperature=0, top_p=1, stretch=8
    )
    plain = small.llama(layers=3)
    plain.set_attn_implementation("sdpa")
    with torch.inference_mode():
        scores = torch.log_softmax(plain(torch.tensor([ids + seen_tokens])).logits[0], -1)
    wanted = [float(scores[len(ids) - 1 + i, t]) for i, t in enumerate(seen_tokens)]
    assert seen == pytest.approx(wanted, abs=1e-4)
    assert model.config._attn_implementation == NAME


def test_a_row_does_not_depend_on_its_neighbours() -> None:
    size = len(small.tokenizer())
    decoder = Decoder(small.llama())
    prefix = decoder.prefix(list(range(10, 40)))

    def run(rows: list[int]) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}

        def choose(row: int, candidates: list[Candidate]) -> Kept:
            found[rows[row]] = candidates[0].tokens
            return Kept(0, 0, [], [])

        starts = [Start([50 + r, 60 + r], [(small.Free(size, 12), random.Random(r))]) for r in rows]
        decoder.run(prefix, starts, choose, temperature=1.0, top_p=0.9, stretch=16)
        return found

    together = run([0, 1, 2, 3, 4])
    assert run([3]) == {3: together[3]}
    assert run([4, 1])[1] == together[1]
    assert run([0, 1, 2, 3, 4]) == together
    assert len({tuple(t) for t in together.values()}) > 1


def test_a_text_beyond_the_models_reach_is_refused() -> None:
    decoder = Decoder(small.llama())
    decoder.window = 60
    prefix = decoder.prefix(list(range(10, 60)))
    walk = (small.Free(len(small.tokenizer()), 12), random.Random(0))
    with pytest.raises(ValueError, match="60 tokens"):
        decoder.run(
            prefix,
            [Start([5] * 20, [walk])],
            lambda r, c: Kept(0, 0, [], []),
            temperature=0,
            top_p=1,
            stretch=16,
        )
