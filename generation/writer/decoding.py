"""Many rows over one shared prefix: forced blocks and sampled stretches, each row at its own pace.

Knows token ids only. A row's program alternates: a block that is put in, then a stretch that is sampled by `width`
candidates until their walks end; the caller chooses one candidate and says what to put in next. Every forward pass
takes one token of each running candidate together with the blocks that wait, so no row waits for another.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from generation.writer import attention

BLOCK_TOKENS = 1024  # most forced tokens in one pass: bounds the memory of their scores
LAG = 1.25  # how much longer than the longest finished candidate of its stretch one may grow
TOP = 64  # only so many of the likeliest tokens are ever drawn from: a full sort of a vocabulary is slow


class Walk(Protocol):
    """What one candidate may write next. The decoder asks for the ban, draws, and tells what was drawn."""

    @property
    def done(self) -> bool: ...

    def banned(self) -> Tensor:
        """Boolean [vocabulary]: true where a token is impossible now. At least one is possible."""
        ...

    def leaning(self) -> dict[int, float]:
        """What to add to the logits of some tokens, bans aside; empty for the model's own will."""
        ...

    def push(self, token: int, wished: int) -> None:
        """Take the token that was drawn; `wished` is the model's first choice had nothing been banned."""
        ...


@dataclass(slots=True)
class Candidate:
    """One way of writing a stretch: its tokens and the natural log-probability of each under the bare model."""

    walk: Walk
    rng: random.Random
    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    fed: int = 0  # how many of the tokens stand in the cache
    dropped: bool = False  # given up: it rambled on while the others had come to their end

    @property
    def mean_logprob(self) -> float:
        return sum(self.logprobs) / max(len(self.logprobs), 1)


@dataclass(slots=True)
class Kept:
    """The caller's choice: a candidate, how many of its tokens stay, and what is forced after them."""

    candidate: int
    tokens: int
    then: list[int]
    walks: Sequence[tuple[Walk, random.Random]]  # of the next stretch; empty when the row is finished


Choose = Callable[[int, list[Candidate]], Kept]


@dataclass(slots=True)
class Start:
    """A row to begin with: its first forced block and the walks of its first stretch."""

    block: list[int]
    walks: Sequence[tuple[Walk, random.Random]]


@dataclass(slots=True)
class _Row:
    block: list[int]
    candidates: list[Candidate]
    finished: bool = False


@dataclass(slots=True)
class Counts:
    """What a run cost: passes through the model, forced and sampled tokens."""

    passes: int = 0
    forced: int = 0
    sampled: int = 0


class Decoder:
    """Drives one causal language model. Not safe for two threads at once."""

    def __init__(self, model: Any) -> None:
        attention.register()
        self.model = model
        if model.config._attn_implementation != attention.NAME:
            model.set_attn_implementation(attention.NAME)
        config = model.config
        parameter = next(model.parameters())
        width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        self.shape = attention.Shape(
            config.num_hidden_layers, config.num_key_value_heads, width, parameter.dtype, parameter.device
        )
        self.window: int = getattr(config, "sliding_window", None) or config.max_position_embeddings

    @torch.inference_mode()
    def prefix(self, ids: Sequence[int]) -> attention.Prefix:
        """Compute the shared prefix once."""
        prefix = attention.Prefix(len(ids))
        step = attention.Step(prefix)
        tokens = torch.tensor([list(ids)], device=self.shape.device)
        self.model(input_ids=tokens, use_cache=False, logits_to_keep=1, step=step)
        return prefix

    @torch.inference_mode()
    def run(
        self,
        prefix: attention.Prefix,
        starts: Sequence[Start],
        choose: Choose,
        *,
        temperature: float,
        top_p: float,
        stretch: int,
        width: int = 0,
    ) -> Counts:
        """Run every row to its end. `stretch` is the most tokens a walk can take; temperature 0 is greedy.

        `width` is the most walks a later stretch may have, where that is more than the first ones have.
        """
        if not starts:
            return Counts()
        width = max(width, *(len(s.walks) for s in starts))
        rows = [_Row(list(s.block), [Candidate(w, r) for w, r in s.walks]) for s in starts]
        longest = max(len(s.block) for s in starts)
        cache = attention.Rows(self.shape, len(rows), width, longest + attention.GROWTH, stretch)
        lengths = [0] * len(rows)  # of the suffixes, as cache.lengths but without asking the device
        counts = Counts()
        while not all(r.finished for r in rows):
            blocks = self._waiting(rows)
            running = [
                (i, c)
                for i, row in enumerate(rows)
                if not row.finished and not row.block
                for c, candidate in enumerate(row.candidates)
                if candidate.fed < len(candidate.tokens) and not candidate.walk.done and not candidate.dropped
            ]
            logits = self._pass(prefix, cache, rows, lengths, blocks, running)
            counts.passes += 1
            counts.forced += sum(len(rows[i].block) for i in blocks)
            drawn: list[tuple[int, int]] = []  # (line of logits, candidate) pairs, flattened over rows
            owners: list[Candidate] = []
            for line, i in enumerate(blocks):
                lengths[i] += len(rows[i].block)
                rows[i].block = []
                drawn += [(line, i) for _ in rows[i].candidates]
                owners += rows[i].candidates
            cache.lengths = torch.tensor(lengths, device=self.shape.device)
            for line, (i, c) in enumerate(running, start=len(blocks)):
                candidate = rows[i].candidates[c]
                candidate.fed += 1
                drawn.append((line, i))
                owners.append(candidate)
            counts.sampled += len(owners)
            self._draw(logits, [line for line, _ in drawn], owners, temperature, top_p)
            for i in dict.fromkeys(i for _, i in drawn):
                row = rows[i]
                _drop_laggards(row)
                if all(c.walk.done or c.dropped for c in row.candidates):
                    kept = choose(i, row.candidates)
                    self._settle(cache, i, row, kept, lengths)
        return counts

    def _waiting(self, rows: list[_Row]) -> list[int]:
        blocks: list[int] = []
        budget = BLOCK_TOKENS
        for i, row in enumerate(rows):
            if row.block and (not blocks or budget >= len(row.block)):
                blocks.append(i)
                budget -= len(row.block)
        return blocks

    def _pass(
        self,
        prefix: attention.Prefix,
        cache: attention.Rows,
        rows: list[_Row],
        lengths: list[int],
        blocks: list[int],
        running: list[tuple[int, int]],
    ) -> Tensor:
        """One forward pass; logits of each block's last token, then of each running candidate."""
        device = self.shape.device
        tokens: list[int] = []
        positions: list[int] = []
        step = attention.Step(prefix, cache)
        wanted: list[int] = []
        if blocks:
            member: list[int] = []
            offset: list[int] = []
            for number, i in enumerate(blocks):
                size = len(rows[i].block)
                tokens += rows[i].block
                positions += range(prefix.length + lengths[i], prefix.length + lengths[i] + size)
                member += [number] * size
                offset += range(size)
                wanted.append(len(tokens) - 1)
            step.block = torch.tensor(member, device=device)
            step.block_offset = torch.tensor(offset, device=device)
            step.block_rows = torch.tensor(blocks, device=device)
            step.block_size = max(len(rows[i].block) for i in blocks)
            cache.reserve(max(lengths[i] + len(rows[i].block) for i in blocks))
        if running:
            step.slots = torch.tensor([i * cache.width + c for i, c in running], device=device)
            fed = [rows[i].candidates[c].fed for i, c in running]
            step.slot_positions = torch.tensor(fed, device=device)
            step.tail_span = max(fed) + 1
            for (i, c), at in zip(running, fed, strict=True):
                wanted.append(len(tokens))
                tokens.append(rows[i].candidates[c].tokens[at])
                positions.append(prefix.length + lengths[i] + at)
        step.suffix_span = max(
            [lengths[i] + len(rows[i].block) for i in blocks] + [lengths[i] for i, _ in running]
        )
        if positions and max(positions) >= self.window:
            raise ValueError(
                f"the text is longer than the {self.window} tokens that this model can attend to"
            )
        out = self.model(
            input_ids=torch.tensor([tokens], device=device),
            position_ids=torch.tensor([positions], device=device),
            use_cache=False,
            logits_to_keep=torch.tensor(wanted, device=device),
            step=step,
        )
        logits: Tensor = out.logits[0].float()
        return logits

    def _draw(
        self, logits: Tensor, lines: list[int], owners: list[Candidate], temperature: float, top_p: float
    ) -> None:
        """Draw one token for each candidate, with its own random numbers, and tell its walk."""
        bans = [owner.walk.banned() for owner in owners]
        at = torch.tensor(lines, device=logits.device)
        norms = torch.logsumexp(logits, -1)
        masked = logits[at]  # a copy: the bare logits are still needed
        same: dict[int, list[int]] = {}
        for i, ban in enumerate(bans):
            same.setdefault(id(ban), []).append(i)
        for members in same.values():
            chosen = slice(None) if len(members) == len(owners) else members
            masked[chosen] = masked[chosen].masked_fill(bans[members[0]].to(logits.device), float("-inf"))
        for line, owner in enumerate(owners):
            leaning = owner.walk.leaning()
            if leaning:
                masked[line, list(leaning)] += torch.tensor(list(leaning.values()), device=masked.device)
        greedy = temperature == 0
        tokens = masked.argmax(-1).tolist() if greedy else self._sample(masked, owners, temperature, top_p)
        picked = logits[at, torch.tensor(tokens, device=logits.device)] - norms[at]
        wishes = logits.argmax(-1)[at].tolist()
        for owner, token, wished, logprob in zip(owners, tokens, wishes, picked.tolist(), strict=True):
            owner.tokens.append(token)
            owner.logprobs.append(logprob)
            owner.walk.push(token, wished)

    @staticmethod
    def _sample(masked: Tensor, owners: list[Candidate], temperature: float, top_p: float) -> list[int]:
        best, ids = masked.topk(min(TOP, masked.shape[-1]), -1)
        chances = torch.softmax(best / temperature, -1)
        before = chances.cumsum(-1) - chances
        chances = chances.masked_fill(before >= top_p, 0.0)
        sums = chances.cumsum(-1)
        draws = torch.tensor([o.rng.random() for o in owners], device=masked.device).unsqueeze(1)
        at = (sums < draws * sums[:, -1:]).sum(-1, keepdim=True).clamp(max=ids.shape[-1] - 1)
        # never a token of no chance, whatever rounding does at the upper end
        at = torch.minimum(at, (chances > 0).sum(-1, keepdim=True) - 1)
        return [int(t) for t in ids.gather(-1, at)[:, 0].tolist()]

    def _settle(self, cache: attention.Rows, i: int, row: _Row, kept: Kept, lengths: list[int]) -> None:
        """Keep the chosen candidate in the row's suffix and queue what comes next."""
        chosen = row.candidates[kept.candidate]
        stands = min(kept.tokens, chosen.fed)
        cache.keep(i, kept.candidate, stands)
        lengths[i] += stands
        row.block = chosen.tokens[stands : kept.tokens] + list(kept.then)
        row.candidates = [Candidate(w, r) for w, r in kept.walks]
        if not row.candidates:
            row.finished, row.block = True, []


def _drop_laggards(row: _Row) -> None:
    """Once most candidates of a stretch have ended, a row no longer waits for one that is much longer than they."""
    done = [len(c.tokens) for c in row.candidates if c.walk.done]
    if 2 * len(done) > len(row.candidates):
        most = LAG * max(done) + 2
        for candidate in row.candidates:
            candidate.dropped |= not candidate.walk.done and len(candidate.tokens) > most
