"""Shared-prefix decoding against `model.generate()` on repeated full prompts: one chunk of e-mails, one run.

    PYTHONPATH=. python benchmarks/writer_prefix.py --cache DIR [--rows 32] [--threads 2]

Both get the same prompts and write the same number of tokens a unit, greedily and without constraints: what is
compared is the engine. `generate()` has to be called once a unit, as the plan line of the next unit follows the text
of the last; it is given left-padded batches, which is its fastest form here.
"""

from __future__ import annotations

import argparse
import random
import time
from pathlib import Path
from typing import Any

import torch  # noqa: TID253  -- measures the engine

from generation.writer import checkpoints, planning, prompts
from generation.writer.decoding import Candidate, Decoder, Kept, Start
from generation.writer.types import Channel
from tests.fakes import HashEmbedder
from tests.generation.writer import small

TOKENS = 14  # a unit: about the mean of the corpus


def blocks_of(tokenizer: Any, rows: int) -> tuple[list[int], list[list[list[int]]]]:
    brief = small.brief()
    requests = small.requests(rows, (Channel.EMAIL,))

    def ids(text: str) -> list[int]:
        return tokenizer.encode(text, add_special_tokens=False)

    found = []
    for request, plan in zip(requests, planning.plan(brief, requests, HashEmbedder()), strict=True):
        units = [u for u in plan if not u.text]
        lines = [ids(("\n" if i else "") + prompts.plan_line(brief, request, u)) for i, u in enumerate(units)]
        lines[0] = ids(prompts.opening(request)) + lines[0]
        found.append(lines)
    return ids(prompts.prefix(brief)), found


def ours(model: Any, prefix_ids: list[int], blocks: list[list[list[int]]]) -> tuple[float, list[list[int]]]:
    decoder, size = Decoder(model), model.config.vocab_size
    texts: list[list[int]] = [[] for _ in blocks]
    at = [0] * len(blocks)

    def choose(row: int, candidates: list[Candidate]) -> Kept:
        texts[row] += candidates[0].tokens
        at[row] += 1
        if at[row] == len(blocks[row]):
            return Kept(0, TOKENS, [], [])
        return Kept(0, TOKENS, blocks[row][at[row]], [(small.Free(size, TOKENS), random.Random(0))])

    started = time.perf_counter()
    starts = [Start(b[0], [(small.Free(size, TOKENS), random.Random(0))]) for b in blocks]
    decoder.run(decoder.prefix(prefix_ids), starts, choose, temperature=0, top_p=1, stretch=TOKENS + 2)
    return time.perf_counter() - started, texts


def theirs(model: Any, prefix_ids: list[int], blocks: list[list[list[int]]]) -> tuple[float, list[list[int]]]:
    model.set_attn_implementation("sdpa")
    texts: list[list[int]] = [[] for _ in blocks]
    contexts = [list(prefix_ids) for _ in blocks]
    started = time.perf_counter()
    for unit in range(max(map(len, blocks))):
        live = [i for i, b in enumerate(blocks) if unit < len(b)]
        for i in live:
            contexts[i] += blocks[i][unit]
        longest = max(len(contexts[i]) for i in live)
        padded = torch.zeros(len(live), longest, dtype=torch.long)
        mask = torch.zeros_like(padded)
        for line, i in enumerate(live):
            padded[line, longest - len(contexts[i]) :] = torch.tensor(contexts[i])
            mask[line, longest - len(contexts[i]) :] = 1
        with torch.inference_mode():
            out = model.generate(
                input_ids=padded, attention_mask=mask, max_new_tokens=TOKENS, min_new_tokens=TOKENS,
                do_sample=False, pad_token_id=0, eos_token_id=None,
            )  # fmt: skip
        for line, i in enumerate(live):
            new = out[line, longest:].tolist()
            contexts[i] += new
            texts[i] += new
    return time.perf_counter() - started, texts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    loaded = checkpoints.load(cache=options.cache, dtype="float32")
    prefix_ids, blocks = blocks_of(loaded.tokenizer, options.rows)
    units = sum(map(len, blocks))
    ours(loaded.model, prefix_ids, [b[:1] for b in blocks[:2]])  # warm
    mine, mine_texts = ours(loaded.model, prefix_ids, blocks)
    print(f"prefix {len(prefix_ids)} tokens, {options.rows} e-mails, {units} units of {TOKENS} tokens")
    print(
        f"shared prefix: {mine:6.1f} s  {units / mine:5.1f} units/s  {options.rows / mine:5.2f} pieces/s",
        flush=True,
    )
    other, other_texts = theirs(loaded.model, prefix_ids, blocks)
    print(
        f"generate():    {other:6.1f} s  {units / other:5.1f} units/s  {options.rows / other:5.2f} pieces/s"
    )
    same = sum(a == b for a, b in zip(mine_texts, other_texts, strict=True))
    print(f"ratio {other / mine:.1f}; {same} of {options.rows} texts equal token by token")


if __name__ == "__main__":
    main()
