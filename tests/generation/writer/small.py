"""A real but tiny model and a tokenizer trained on the spot: nothing is downloaded, nothing is loaded from disk."""

from __future__ import annotations

import functools
import random
from typing import Any

import torch  # noqa: TID253  -- tests of the model code

from generation.writer.decoding import LAG, Candidate, Counts, Kept, Start
from generation.writer.types import (
    BrandVoice,
    Brief,
    Channel,
    Fact,
    Product,
    Reader,
    Request,
    Value,
    ValueKind,
)

TEXT = """Half a day on the water costs {{price}}. Take {{discount}} off with code {{code}} until {{end_date}}.
Park at the boathouse for free and you are on the water in minutes. If you like your mornings quiet, come early.
[subject: the reader likes quiet mornings] A quiet lake before breakfast. We roast on Monday and post the next day.
Brand: Brightwater, kayak hire on a quiet lake. Voice: friendly and plain. Goal: fill the quiet mornings of June."""


@functools.cache
def tokenizer() -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    raw.train_from_iterator(
        [TEXT, "0 1 2 3 4 5 6 7 8 9 10 25 100 % $ € £ www.example.com http:// @ </b> ``"], trainer
    )
    return PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="<|endoftext|>")


def llama(seed: int = 0, layers: int = 2) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer()),
        hidden_size=48,
        intermediate_size=96,
        num_hidden_layers=layers,
        num_attention_heads=6,
        num_key_value_heads=2,
        max_position_embeddings=4096,
        initializer_range=0.2,
    )
    return LlamaForCausalLM(config).eval()


def brief(**changes: Any) -> Brief:
    base: dict[str, Any] = {
        "brand": BrandVoice("Brightwater", "kayak hire on a quiet lake", "friendly and plain", ("elevate",)),
        "goal": "fill the quiet mornings of June",
        "facts": (
            Fact("f1", "half-day hire costs {{price}}"),
            Fact("f2", "early hire starts at {{open_time}} until {{end_date}}"),
            Fact("f3", "free parking at the boathouse"),
            Fact("f4", "every kayak comes with a life jacket and a dry bag"),
            Fact("f5", "members take {{discount}} off with code {{code}}"),
        ),
        "values": (
            Value("price", "$35", ValueKind.PRICE),
            Value("open_time", "7am"),
            Value("end_date", "30 June", ValueKind.DATE),
            Value("discount", "15%", ValueKind.PERCENT),
            Value("code", "LAKE15", ValueKind.CODE),
            Value("link", "https://lake.example/hire", ValueKind.LINK),
        ),
        "cta": "Book a kayak",
        "must_mention": ("end_date",),
    }
    return Brief(**(base | changes))


READERS = (
    Reader("new", ("bought paddling gloves last week", "likes quiet mornings")),
    Reader("lapsed", ("has not been back since summer", "comes with children", "asked about parking")),
    Reader("loyal", ("rents a kayak every month", "paddles alone")),
    Reader("prospect", ()),
)


def requests(count: int, channels: tuple[Channel, ...] = tuple(Channel)) -> list[Request]:
    return [
        Request(
            f"k{i}",
            channels[i % len(channels)],
            READERS[i % len(READERS)],
            seed=i,
            products=(Product("p1", "Dry bag 20 L", "keeps a lunch dry"),) if i % 3 == 0 else (),
        )
        for i in range(count)
    ]


def drop_laggards(candidates: list[Candidate]) -> None:
    """What the decoder gives up on the way, seen from the end."""
    lengths = sorted(len(c.tokens) for c in candidates)
    at = len(lengths) // 2 + 1
    while at < len(lengths) and lengths[at] <= LAG * lengths[at - 1] + 2:
        at += 1
    for candidate in candidates:
        candidate.dropped = len(candidate.tokens) > lengths[at - 1]


def plain_run(
    model: Any, prefix: list[int], start: Start, choose: Any, *, stretch: int = 0
) -> list[list[int]]:
    """The same as Decoder.run, greedily, for one row and by nothing but whole forward passes over all tokens."""
    ids = [*prefix, *start.block]
    walks = start.walks
    written: list[list[int]] = []
    while walks:
        candidates = []
        for walk, rng in walks:
            candidate = Candidate(walk, rng)
            while not walk.done:
                with torch.inference_mode():
                    logits = model(torch.tensor([ids + candidate.tokens])).logits[0, -1].float()
                masked = logits.masked_fill(walk.banned(), float("-inf"))
                for leaning, weight in walk.leaning().items():
                    masked[leaning] += weight
                token = int(masked.argmax())
                candidate.tokens.append(token)
                candidate.logprobs.append(float(torch.log_softmax(logits, -1)[token]))
                walk.push(token, int(logits.argmax()))
            candidates.append(candidate)
        drop_laggards(candidates)
        kept: Kept = choose(0, candidates)
        ids += candidates[kept.candidate].tokens[: kept.tokens] + kept.then
        written.append(candidates[kept.candidate].tokens)
        walks = kept.walks
    return written


class Free:
    """A walk without rules: so many tokens, anything goes."""

    def __init__(self, size: int, length: int) -> None:
        self._ban = torch.zeros(size, dtype=torch.bool)
        self.left = length
        self.done = False

    def banned(self) -> torch.Tensor:
        return self._ban

    def leaning(self) -> dict[int, float]:
        return {}

    def push(self, token: int, wished: int) -> None:
        self.left -= 1
        self.done = self.left <= 0


__all__ = ["Counts", "Free", "brief", "llama", "plain_run", "random", "requests", "tokenizer"]
