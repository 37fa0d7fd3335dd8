"""Fine-tuning the writer on the corpus: LoRA, the brief paid once, loss on the copy only.

A row of training is one brief with all its pieces. The brief is read once; its keys and values are then shared by
the pieces, which run as a batch after it, exactly as they do when the writer writes. Gradients flow back through
the shared keys and values. Only the tokens of the copy are learned; brief, reader and plan lines are context.

LoRA: Hu et al. 2021, arXiv:2106.09685. Resumable: the state is written every `save_every` briefs, the newest one
complete or absent. The same seed, data and machine give the same run.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import random
import time
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from generation.writer import prompts
from generation.writer.corpus import CorpusPiece
from generation.writer.types import Brief, PlanUnit, Request

IGNORED = -100  # label of a token that is context, by PyTorch's convention


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """What makes a run. Changing any of them, or the data, starts a new one."""

    rank: int = 16  # of the LoRA matrices
    alpha: int = 32
    learning_rate: float = 6e-4
    warmup: float = 0.04  # share of the steps
    decay: float = 0.5  # share of the steps, the last ones, in which the rate falls to a tenth; 0: never
    epochs: float = 1.0  # passes over the training brands; a fraction stops within a pass
    batch_pieces: int = 6  # pieces behind one brief that run together; bounds the memory
    clip: float = 1.0  # gradient norm
    seed: int = 7

    def __post_init__(self) -> None:
        if self.rank < 1 or self.epochs <= 0 or self.batch_pieces < 1:
            raise ValueError("rank and batch_pieces must be at least 1, epochs above 0")


Piece = tuple[
    list[int], list[int]
]  # (tokens, labels); labels hold the token where it is learned, IGNORED elsewhere


@dataclass(frozen=True, slots=True)
class Row:
    """One brief and its pieces as tokens."""

    prefix: list[int]
    pieces: list[Piece]  # longest first


@dataclass(frozen=True, slots=True)
class Progress:
    """Told after each brief. `loss` is a moving mean of nats a token; `eta_seconds` is for the whole run."""

    step: int
    steps: int
    loss: float
    eta_seconds: float


def rows(pieces: Sequence[CorpusPiece], tokenizer: Any) -> list[Row]:
    """Group pieces by brief and encode each with the functions that also build the prompts of writing."""
    by_brief: dict[int, tuple[Brief, list[CorpusPiece]]] = {}
    for piece in pieces:
        by_brief.setdefault(id(piece.brief), (piece.brief, []))[1].append(piece)
    encoded = []
    for brief, group in by_brief.values():
        coded = [encode(piece, tokenizer) for piece in group]
        coded = [(tokens, labels) for tokens, labels in coded if any(label != IGNORED for label in labels)]
        coded.sort(key=lambda pair: -len(pair[0]))
        if coded:
            encoded.append(Row(_ids(tokenizer, prefix(brief)), coded))
    return encoded


def prefix(brief: Brief) -> str:
    """The shared prefix without the worked examples: a tuned writer has learned what they show."""
    return prompts.prefix(brief, examples=False)


def encode(piece: CorpusPiece, tokenizer: Any) -> tuple[list[int], list[int]]:
    """(tokens, labels) of one piece, part by part as the writer puts them together.

    Learned are the lines and the line break that ends each. A greeting is fixed text and no part of it.
    """
    request = Request(
        key="",
        channel=piece.channel,
        reader=piece.reader,
        seed=0,
        products=piece.products,
        steer=piece.steer,
    )
    tokens = _ids(tokenizer, prompts.opening(request))
    labels = [IGNORED] * len(tokens)
    end = _ids(tokenizer, "\n")
    for unit in piece.units:
        if unit.label == "G":
            continue
        note = _ids(tokenizer, prompts.plan_line(piece.brief, request, PlanUnit(unit.label, unit.sources)))
        line = _ids(tokenizer, unit.text) + end
        tokens += note + line
        labels += [IGNORED] * len(note) + line
    return tokens, labels


def _ids(tokenizer: Any, text: str) -> list[int]:
    found: list[int] = tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
    return found


def row_hash(row: Row) -> str:
    return hashlib.sha256(json.dumps([row.prefix, row.pieces]).encode()).hexdigest()[:32]


def data_hash(encoded: Sequence[Row]) -> str:
    """sha256 of all tokens and labels: what the manifest calls the data."""
    return hashlib.sha256("".join(map(row_hash, encoded)).encode()).hexdigest()


def batches(pieces: Sequence[Piece], most: int) -> Iterator[Sequence[Piece]]:
    """Pieces of like length together, `most` at a time: what is shorter than three quarters of the longest waits."""
    start = 0
    for at in range(1, len(pieces) + 1):
        if at == len(pieces) or at - start == most or len(pieces[at][0]) < 0.75 * len(pieces[start][0]):
            yield pieces[start:at]
            start = at


def loss_of(
    model: Any, row: Row, *, batch_pieces: int, device: torch.device, scale: float | None = None
) -> tuple[float, int]:
    """(summed loss in nats, learned tokens) of a row. With `scale`, gradients of the scaled loss are added as well.

    The brief runs once. Its keys and values stand as leaves while the batches run, one graph at a time; what they
    gather as gradient then goes back through the brief in one step.
    """
    core = model.get_base_model() if hasattr(model, "get_base_model") else model
    learns = scale is not None
    with torch.set_grad_enabled(learns):
        first = core.model(input_ids=torch.tensor([row.prefix], device=device), use_cache=True)
        outputs = [t for layer in first.past_key_values.layers for t in (layer.keys, layer.values)]
        leaves = [t.detach().requires_grad_(learns) for t in outputs]
        total, tokens = 0.0, 0
        for batch in batches(row.pieces, batch_pieces):
            loss, count = _batch_loss(core, leaves, batch, device)
            if scale is not None:
                (loss * scale).backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
            tokens += count
        if learns:
            learning = [(o, t.grad) for o, t in zip(outputs, leaves, strict=True) if o.requires_grad]
            torch.autograd.backward([o for o, _ in learning], [g for _, g in learning])
    return total, tokens


def _batch_loss(
    core: Any, leaves: Sequence[Tensor], batch: Sequence[Piece], device: torch.device
) -> tuple[Tensor, int]:
    from transformers import DynamicCache

    count, length, known = len(batch), max(len(tokens) for tokens, _ in batch), leaves[0].shape[2]
    shared = DynamicCache()
    for index in range(len(leaves) // 2):
        keys, values = leaves[2 * index], leaves[2 * index + 1]
        shared.update(keys.expand(count, -1, -1, -1), values.expand(count, -1, -1, -1), index)
    ids = torch.zeros((count, length), dtype=torch.long)
    labels = torch.full((count, length), IGNORED, dtype=torch.long)
    mask = torch.zeros((count, known + length), dtype=torch.long)
    mask[:, :known] = 1
    for row, (tokens, wanted) in enumerate(batch):
        ids[row, : len(tokens)] = torch.tensor(tokens)
        labels[row, : len(wanted)] = torch.tensor(wanted)
        mask[row, known : known + len(tokens)] = 1
    hidden = core.model(
        input_ids=ids.to(device),
        attention_mask=mask.to(device),
        past_key_values=shared,
        use_cache=True,
    ).last_hidden_state
    # The state at a token predicts the next one. Logits are computed for learned tokens alone: the vocabulary is
    # the largest matrix of a small model. The first token of a piece is always context, so nothing is lost.
    target = labels[:, 1:].to(device)
    learned = target != IGNORED
    logits = core.lm_head(hidden[:, :-1][learned]).float()
    loss = torch.nn.functional.cross_entropy(logits, target[learned], reduction="sum")
    return loss, int(learned.sum())


@torch.no_grad()
def evaluate(model: Any, encoded: Sequence[Row], *, batch_pieces: int, device: torch.device) -> float:
    """Mean loss in nats a learned token over all rows."""
    model.eval()
    total, tokens = 0.0, 0
    for row in encoded:
        loss, count = loss_of(model, row, batch_pieces=batch_pieces, device=device)
        total += loss
        tokens += count
    model.train()
    return total / max(tokens, 1)


def train(
    model: Any,
    encoded: Sequence[Row],
    *,
    settings: TrainingSettings,
    folder: Path,
    device: torch.device,
    save_every: int = 25,
    start: Path | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Any:
    """Train a LoRA adapter on `model` and return the adapted model. Continues from `folder` if it holds a state.

    `start` is the state or adapter file of an earlier run whose weights this one begins with.

    One optimiser step a brief. Raises ValueError when the state in `folder` belongs to other settings or data.
    """
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(settings.seed)
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
        lora_dropout=0.0,
    )
    adapted = get_peft_model(model, config)
    adapted.train()
    read = _begin_with(adapted, start) if start is not None else set()
    parameters = [parameter for parameter in adapted.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(parameters, lr=settings.learning_rate, weight_decay=0.0)
    identity = {"settings": asdict(settings), "data": data_hash(encoded), "start": str(start or "")}
    steps = max(1, math.ceil(len(encoded) * settings.epochs))
    step = _resume(folder, adapted, optimiser, identity)
    order = _order(encoded, steps, settings.seed, read)
    running, began, first = 0.0, time.monotonic(), step
    while step < steps:
        for group in optimiser.param_groups:
            group["lr"] = settings.learning_rate * _schedule(step, steps, settings)
        row = encoded[order[step]]
        learned = sum(label != IGNORED for _, labels in row.pieces for label in labels)
        loss, _ = loss_of(adapted, row, batch_pieces=settings.batch_pieces, device=device, scale=1 / learned)
        value = loss / learned
        torch.nn.utils.clip_grad_norm_(parameters, settings.clip)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        step += 1
        running = value if step == first + 1 else 0.95 * running + 0.05 * value
        if on_progress:
            pace = (time.monotonic() - began) / (step - first)
            on_progress(Progress(step, steps, running, pace * (steps - step)))
        if step % save_every == 0 or step == steps:
            done = read | {row_hash(encoded[index]) for index in order[:step]}
            _save(folder, adapted, optimiser, identity, step, done)
    return adapted


def _schedule(step: int, steps: int, settings: TrainingSettings) -> float:
    """Warm-up, a plateau, then a cosine to a tenth (Hu et al. 2024, arXiv:2404.06395). A run without the last part
    can be continued by another over more data."""
    warm = max(1, round(steps * settings.warmup))
    if step < warm:
        return (step + 1) / warm
    falling = max(warm, round(steps * (1 - settings.decay)))
    if step < falling or steps == falling:
        return 1.0
    along = (step - falling) / (steps - falling)
    return 0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * along))


def _order(encoded: Sequence[Row], steps: int, seed: int, read: Set[str]) -> list[int]:
    """Which row each step takes: every pass in a new order, the same for the same seed.

    In the first pass the rows that an earlier run has not `read` come before the others.
    """
    chance = random.Random(seed)
    order: list[int] = []
    while len(order) < steps:
        one = list(range(len(encoded)))
        chance.shuffle(one)
        if not order and read:
            one.sort(key=lambda index: row_hash(encoded[index]) in read)
        order += one
    return order[:steps]


def _save(
    folder: Path, adapted: Any, optimiser: Any, identity: dict[str, Any], step: int, read: Set[str]
) -> None:
    """Write the state beside the old one, then swap by rename: a kill leaves the old or the new, never half."""
    from peft import get_peft_model_state_dict

    folder.mkdir(parents=True, exist_ok=True)
    fresh = folder / "state.pt.new"
    torch.save(
        {
            "adapter": get_peft_model_state_dict(adapted),
            "optimiser": optimiser.state_dict(),
            "identity": json.dumps(identity, sort_keys=True),
            "step": step,
            "read": sorted(read),
        },
        fresh,
    )
    fresh.replace(folder / "state.pt")


def _begin_with(adapted: Any, start: Path) -> set[str]:
    """Take over the weights of a state or an adapter file; the hashes of the rows its run has read, if it says."""
    from peft import set_peft_model_state_dict
    from safetensors.torch import load_file

    if start.suffix == ".safetensors":
        set_peft_model_state_dict(adapted, load_file(start))
        return set()
    state = torch.load(start, weights_only=True)
    set_peft_model_state_dict(adapted, state["adapter"])
    return set(state["read"])


def _resume(folder: Path, adapted: Any, optimiser: Any, identity: dict[str, Any]) -> int:
    from peft import set_peft_model_state_dict

    path = folder / "state.pt"
    with contextlib.suppress(FileNotFoundError):
        state = torch.load(path, weights_only=True)
        if state["identity"] != json.dumps(identity, sort_keys=True):
            raise ValueError(
                f"{path} belongs to a run with other settings or data. Choose another folder, or remove it."
            )
        set_peft_model_state_dict(adapted, state["adapter"])
        optimiser.load_state_dict(state["optimiser"])
        return int(state["step"])
    return 0
