"""Attention over one shared prefix and many rows' own continuations, without a copy of the prefix per row.

Registered with transformers under NAME, so any model that goes through its attention interface (Llama, Qwen,
Mistral, ...) can use it. All tokens of a step come flattened into a single sequence; `Step` says where each belongs:

    prefix  [P]          one brief, computed once, read by everybody
    suffix  [rows, S]    what a row was told and has written so far
    tail    [slots, T]   what each candidate of a row is writing now; slot = row * width + candidate

A query attends to prefix + suffix + tail under one softmax in float32. Keys are stored after the rotary turn, at
the position prefix + suffix + tail would have in a plain sequence; the result is that of a plain forward pass.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

NAME = "shared_prefix"
GROWTH = 128  # tokens by which a buffer grows: rare enough to be cheap, small enough to waste little memory


@dataclass(slots=True)
class Prefix:
    """Keys and values of the shared prefix: a tensor [key heads, tokens, width] a layer."""

    length: int
    keys: list[Tensor] = field(default_factory=list)
    values: list[Tensor] = field(default_factory=list)

    def nbytes(self) -> int:
        return sum(t.nbytes for t in (*self.keys, *self.values))


@dataclass(slots=True)
class Shape:
    """What the buffers need to know of a model."""

    layers: int
    key_heads: int
    width: int
    dtype: torch.dtype
    device: torch.device


class Rows:
    """Preallocated keys and values of the rows' suffixes and the candidates' tails."""

    def __init__(self, shape: Shape, rows: int, width: int, suffix: int, tail: int) -> None:
        self.shape, self.rows, self.width = shape, rows, width
        self.lengths = torch.zeros(rows, dtype=torch.long, device=shape.device)
        self.suffix_keys = self._buffers(rows, suffix)
        self.suffix_values = self._buffers(rows, suffix)
        self.tail_keys = self._buffers(rows * width, tail)
        self.tail_values = self._buffers(rows * width, tail)
        self.suffix_capacity, self.tail_capacity = suffix, tail

    def _buffers(self, count: int, capacity: int) -> list[Tensor]:
        s = self.shape
        size = (count, s.key_heads, capacity, s.width)
        return [torch.zeros(size, dtype=s.dtype, device=s.device) for _ in range(s.layers)]

    def reserve(self, suffix: int) -> None:
        """Make room for suffixes of so many tokens."""
        if suffix <= self.suffix_capacity:
            return
        more = -(-(suffix - self.suffix_capacity) // GROWTH) * GROWTH
        for buffers in (self.suffix_keys, self.suffix_values):
            for i, old in enumerate(buffers):
                buffers[i] = F.pad(old, (0, 0, 0, more))
        self.suffix_capacity += more

    def keep(self, row: int, candidate: int, tokens: int) -> None:
        """Move the first tokens of a candidate's tail to the end of its row's suffix."""
        start = int(self.lengths[row])
        self.reserve(start + tokens)
        slot = row * self.width + candidate
        for own, tails in ((self.suffix_keys, self.tail_keys), (self.suffix_values, self.tail_values)):
            for mine, tail in zip(own, tails, strict=True):
                mine[row, :, start : start + tokens] = tail[slot, :, :tokens]
        self.lengths[row] = start + tokens


@dataclass(slots=True)
class Step:
    """Where the flattened tokens of one forward pass belong. Blocks come first, then single tokens of slots."""

    prefix: Prefix
    rows: Rows | None = None
    # blocks: token i of the flat sequence belongs to block `block[i]`, which extends row `block_rows[block[i]]`
    block: Tensor | None = None
    block_offset: Tensor | None = None
    block_rows: Tensor | None = None
    block_size: int = 0
    # single tokens
    slots: Tensor | None = None
    slot_positions: Tensor | None = None
    suffix_span: int = 0  # longest suffix read in this step, blocks included
    tail_span: int = 0


def attend(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    step: Step | None = None,
    softcap: float | None = None,
    **_others: Any,
) -> tuple[Tensor, None]:
    """The attention function transformers calls: [1, heads, N, width] in, [1, N, heads, width] out."""
    scale = scaling if scaling is not None else query.shape[-1] ** -0.5
    if (
        step is None or step.rows is None
    ):  # an ordinary causal pass: the prefix itself, or a model used plainly
        if step is not None:
            step.prefix.keys.append(key[0].contiguous())
            step.prefix.values.append(value[0].contiguous())
        groups = query.shape[1] // key.shape[1]
        out = F.scaled_dot_product_attention(
            query,
            key.repeat_interleave(groups, 1),
            value.repeat_interleave(groups, 1),
            is_causal=query.shape[2] > 1,
            scale=scale,
        )
        return out.transpose(1, 2), None
    layer = int(module.layer_idx)  # type: ignore[arg-type]
    heads, width = query.shape[1], query.shape[3]
    q = query[0].transpose(0, 1)  # [N, heads, width]
    k, v = key[0].transpose(0, 1), value[0].transpose(0, 1)
    parts: list[Tensor] = []
    blocks = 0
    if step.block is not None:
        blocks = step.block.shape[0]
        parts.append(_attend_blocks(step, layer, q[:blocks], k[:blocks], v[:blocks], scale, softcap))
    if step.slots is not None:
        parts.append(_attend_slots(step, layer, q[blocks:], k[blocks:], v[blocks:], scale, softcap))
    return torch.cat(parts).view(1, -1, heads, width), None


def _softmax(scores: list[Tensor], scale: float, softcap: float | None, dtype: torch.dtype) -> list[Tensor]:
    """One softmax over several stretches of keys, given and returned apart."""
    joined = torch.cat(scores, -1).float().mul_(scale)
    if softcap is not None:
        joined = torch.tanh(joined / softcap) * softcap
    weights = torch.softmax(joined, -1).to(dtype)
    return list(torch.split(weights, [s.shape[-1] for s in scores], -1))


HIDDEN = float("-inf")


def _attend_blocks(
    step: Step, layer: int, q: Tensor, k: Tensor, v: Tensor, scale: float, softcap: float | None
) -> Tensor:
    """Forced tokens: written to their rows' suffixes, each seeing the prefix and its row up to itself."""
    rows = step.rows
    assert rows is not None and step.block is not None
    assert step.block_offset is not None and step.block_rows is not None
    block, offset, owners = step.block, step.block_offset, step.block_rows
    count, heads, width = q.shape
    key_heads = k.shape[1]
    group = heads // key_heads
    own_keys, own_values = rows.suffix_keys[layer], rows.suffix_values[layer]
    places = rows.lengths[owners][block] + offset
    own_keys[owners[block], :, places] = k
    own_values[owners[block], :, places] = v

    seen_keys = own_keys[owners, :, : step.suffix_span]  # [B, key heads, S, width]
    seen_values = own_values[owners, :, : step.suffix_span]
    padded = q.new_zeros(len(owners), step.block_size, heads, width)
    padded[block, offset] = q
    grouped = padded.view(len(owners), step.block_size, key_heads, group, width).permute(0, 2, 3, 1, 4)
    flat = grouped.reshape(len(owners), key_heads, group * step.block_size, width)
    own = torch.matmul(flat, seen_keys.transpose(-1, -2)).view(
        len(owners), key_heads, group, step.block_size, step.suffix_span
    )
    reach = rows.lengths[owners].unsqueeze(1) + torch.arange(step.block_size, device=q.device)  # [B, L]
    hidden = torch.arange(step.suffix_span, device=q.device) > reach.unsqueeze(-1)  # [B, L, S]
    own = own.masked_fill(hidden[:, None, None], HIDDEN)
    prefix_keys, prefix_values = step.prefix.keys[layer], step.prefix.values[layer]
    length = step.prefix.length
    all_queries = grouped.permute(1, 0, 2, 3, 4).reshape(key_heads, -1, width)
    shared = torch.bmm(all_queries, prefix_keys.transpose(1, 2))
    shared = shared.view(key_heads, len(owners), group, step.block_size, length).permute(1, 0, 2, 3, 4)
    on_shared, on_own = _softmax([shared, own], scale, softcap, q.dtype)
    out = torch.bmm(on_shared.permute(1, 0, 2, 3, 4).reshape(key_heads, -1, length), prefix_values)
    out = out.view(key_heads, len(owners), group, step.block_size, width).permute(1, 0, 2, 3, 4)
    mine = torch.matmul(on_own.reshape(len(owners), key_heads, -1, step.suffix_span), seen_values)
    out = out + mine.view(len(owners), key_heads, group, step.block_size, width)
    return out.permute(0, 3, 1, 2, 4)[block, offset].reshape(count, heads, width)


def _attend_slots(
    step: Step, layer: int, q: Tensor, k: Tensor, v: Tensor, scale: float, softcap: float | None
) -> Tensor:
    """One new token for each running candidate.

    All candidates of a row read its suffix by one product, in the place it is stored: rows that rest cost a few
    idle products, a copy of the running ones would cost several times the reading.
    """
    rows = step.rows
    assert rows is not None and step.slots is not None and step.slot_positions is not None
    slots, places = step.slots, step.slot_positions
    count, heads, width = q.shape
    key_heads = k.shape[1]
    group = heads // key_heads
    tail_keys, tail_values = rows.tail_keys[layer], rows.tail_values[layer]
    tail_keys[slots, :, places] = k
    tail_values[slots, :, places] = v
    total, span, tail_span = rows.rows * rows.width, step.suffix_span, step.tail_span

    shared_queries = q.view(count, key_heads, group, width).permute(1, 0, 2, 3).reshape(key_heads, -1, width)
    length = step.prefix.length
    shared = torch.bmm(shared_queries, step.prefix.keys[layer].transpose(1, 2))
    shared = shared.view(key_heads, count, group, length).transpose(0, 1)  # [n, key heads, group, P]

    spread = q.new_zeros(total, heads, width)
    spread[slots] = q
    by_row = spread.view(rows.rows, rows.width, key_heads, group, width).transpose(1, 2)
    by_row = by_row.reshape(rows.rows * key_heads, rows.width * group, width)
    own_keys = rows.suffix_keys[layer].view(rows.rows * key_heads, -1, width)[:, :span]
    own_values = rows.suffix_values[layer].view(rows.rows * key_heads, -1, width)[:, :span]
    own = torch.bmm(by_row, own_keys.transpose(1, 2))
    own = own.view(rows.rows, key_heads, rows.width, group, span).transpose(1, 2)
    own = own.reshape(total, key_heads, group, span)[slots]
    beyond = torch.arange(span, device=q.device) >= rows.lengths[slots // rows.width].unsqueeze(1)
    own = own.masked_fill(beyond[:, None, None], HIDDEN)

    by_slot = spread.view(total * key_heads, group, width)
    new = torch.bmm(
        by_slot, tail_keys.view(total * key_heads, -1, width)[:, :tail_span].transpose(1, 2)
    ).view(total, key_heads, group, tail_span)[slots]
    ahead = torch.arange(tail_span, device=q.device) > places.unsqueeze(1)
    new = new.masked_fill(ahead[:, None, None], HIDDEN)

    on_shared, on_own, on_new = _softmax([shared, own, new], scale, softcap, q.dtype)
    out = torch.bmm(on_shared.transpose(0, 1).reshape(key_heads, -1, length), step.prefix.values[layer])
    out = out.view(key_heads, count, group, width).transpose(0, 1)
    weights = q.new_zeros(total, key_heads, group, span)
    weights[slots] = on_own
    weights = weights.view(rows.rows, rows.width, key_heads, group, span).transpose(1, 2)
    mine = torch.bmm(weights.reshape(rows.rows * key_heads, rows.width * group, span), own_values)
    mine = mine.view(rows.rows, key_heads, rows.width, group, width).transpose(1, 2)
    out = out + mine.reshape(total, key_heads, group, width)[slots]
    weights = q.new_zeros(total, key_heads, group, tail_span)
    weights[slots] = on_new
    newest = torch.bmm(
        weights.view(total * key_heads, group, tail_span),
        tail_values.view(total * key_heads, -1, width)[:, :tail_span],
    )
    out = out + newest.view(total, key_heads, group, width)[slots]
    return out.reshape(count, heads, width)


def register() -> None:
    """Make NAME known to transformers; calling it again changes nothing."""
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, attend)
