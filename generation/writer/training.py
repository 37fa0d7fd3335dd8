"""Fine-tuning the writer on the corpus: LoRA, the brief paid once, loss on the copy only.

A row of training is one brief with all its pieces. The brief is read once; its keys and values are then shared by
the pieces, which run as a batch after it, exactly as they do when the writer writes. Gradients flow back through
the shared keys and values. Only the tokens of the copy are learned; brief, reader and plan lines are context.

LoRA: Hu et al. 2021, arXiv:2106.09685. Resumable: the state is written every `save_every` briefs, the newest one
complete or absent. The same seed, data and machine give the same run.
"""

from __future__ import annotations

import contextlib
import json
import math
import random
import time
from collections.abc import Callable, Sequence, Set
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed

from generation.writer import checkpoints, prompts
from generation.writer.training_data import IGNORED, Piece, Row, batches, data_hash, row_hash


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


@dataclass(frozen=True, slots=True)
class Progress:
    """Told after each brief. `loss` is a moving mean of nats a token; `eta_seconds` is for the whole run."""

    step: int
    steps: int
    loss: float
    eta_seconds: float


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
        cache=shared,
        use_cache=True,
    ).last_hidden_state
    # The state at a token predicts the next one. Logits are computed for learned tokens alone: the vocabulary is
    # the largest matrix of a small model. The first token of a piece is always context, so nothing is lost.
    target = labels[:, 1:].to(device)
    learned = target != IGNORED
    logits = core.lm_head(hidden[:, :-1][learned]).float()
    loss = torch.nn.functional.cross_entropy(logits, target[learned], reduction="sum")
    return loss, int(learned.sum())


def evaluate(model: Any, encoded: Sequence[Row], *, batch_pieces: int, device: torch.device) -> float:
    """Mean loss in nats a learned token over all rows; processes that train together share the rows."""
    hand, hands = _hands()
    model.eval()
    sums = torch.zeros(2, dtype=torch.float64)
    for row in encoded[hand::hands]:
        sums += torch.tensor(
            loss_of(model, row, batch_pieces=batch_pieces, device=device), dtype=torch.float64
        )
    if hands > 1:
        distributed.all_reduce(sums)
    model.train()
    return float(sums[0] / sums[1].clamp(min=1))


def train(
    model: Any,
    encoded: Sequence[Row],
    *,
    settings: TrainingSettings,
    folder: Path,
    device: torch.device,
    save_every: int = 25,
    start: Path | None = None,
    validation: Sequence[Row] = (),
    on_progress: Callable[[Progress], None] | None = None,
) -> tuple[Any, list[tuple[int, float]]]:
    """Train a LoRA adapter on `model`. Continues from `folder` if it holds a state.

    Returns the adapted model and (step, loss on `validation`) after each pass over the data and at the end; a pass
    that leaves the loss higher than the pass before ends the run.

    `start` is the state or adapter file of an earlier run whose weights this one begins with.

    One optimiser step a brief, or a brief of each process where several train together. Raises ValueError when the
    state in `folder` belongs to other settings or data.
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
    hand, hands = _hands()
    steps = max(1, math.ceil(len(encoded) * settings.epochs / hands))
    step, history = _resume(folder, adapted, optimiser, identity)
    order = _order(encoded, steps * hands, settings.seed, read)
    running, began, first = 0.0, time.monotonic(), step
    while step < steps:
        for group in optimiser.param_groups:
            group["lr"] = settings.learning_rate * _schedule(step, steps, settings)
        row = encoded[order[step * hands + hand]]
        learned = sum(label != IGNORED for _, labels in row.pieces for label in labels)
        loss, _ = loss_of(adapted, row, batch_pieces=settings.batch_pieces, device=device, scale=1 / learned)
        _average(parameters)
        value = loss / learned
        torch.nn.utils.clip_grad_norm_(parameters, settings.clip)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        step += 1
        running = value if step == first + 1 else 0.95 * running + 0.05 * value
        if on_progress and hand == 0:
            pace = (time.monotonic() - began) / (step - first)
            on_progress(Progress(step, steps, running, pace * (steps - step)))
        worse = False
        if validation and (step % -(-len(encoded) // hands) == 0 or step == steps):
            history.append(
                (step, evaluate(adapted, validation, batch_pieces=settings.batch_pieces, device=device))
            )
            worse = len(history) > 1 and history[-1][1] > history[-2][1]
        if hand == 0 and (step % save_every == 0 or step == steps or worse):
            done = read | {row_hash(encoded[index]) for index in order[: step * hands]}
            _save(folder, adapted, optimiser, identity, _Reached(step, history, done))
        if worse:
            break
    return adapted, history


def _hands() -> tuple[int, int]:
    """(which process this is, how many train together). On a CPU two processes of one thread beat one of two."""
    if not distributed.is_initialized():
        return 0, 1
    return distributed.get_rank(), distributed.get_world_size()


def _average(parameters: Sequence[Tensor]) -> None:
    """The mean of all processes' gradients, in place."""
    if not distributed.is_initialized():
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([g.reshape(-1) for g in gradients])
    distributed.all_reduce(flat)
    flat /= distributed.get_world_size()
    at = 0
    for gradient in gradients:
        gradient.copy_(flat[at : at + gradient.numel()].view_as(gradient))
        at += gradient.numel()


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


@dataclass(frozen=True, slots=True)
class _Reached:
    step: int
    history: list[tuple[int, float]]
    read: Set[str]  # hashes of rows


def _save(folder: Path, adapted: Any, optimiser: Any, identity: dict[str, Any], reached: _Reached) -> None:
    """Write the state beside the old one, then swap by rename: a kill leaves the old or the new, never half."""
    from peft import get_peft_model_state_dict

    folder.mkdir(parents=True, exist_ok=True)
    fresh = folder / "state.pt.new"
    torch.save(
        {
            "adapter": get_peft_model_state_dict(adapted),
            "optimiser": optimiser.state_dict(),
            "identity": json.dumps(identity, sort_keys=True),
            "step": reached.step,
            "history": [list(pair) for pair in reached.history],
            "read": sorted(reached.read),
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


def _resume(
    folder: Path, adapted: Any, optimiser: Any, identity: dict[str, Any]
) -> tuple[int, list[tuple[int, float]]]:
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
        return int(state["step"]), [(int(step), float(loss)) for step, loss in state["history"]]
    return 0, []


def export(adapted: Any, folder: Path, *, base: str, base_hash: str, details: dict[str, Any]) -> None:
    """Write the adapter as bf16 safetensors, half the size at no loss that writing shows; the manifest comes last.

    A folder with a manifest is complete. An older adapter in `folder` is replaced.
    """
    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    (folder / checkpoints.MANIFEST).unlink(missing_ok=True)
    weights = {
        k: v.detach().to("cpu", torch.bfloat16).contiguous()
        for k, v in get_peft_model_state_dict(adapted).items()
    }
    save_file(weights, folder / "adapter_model.safetensors")
    config = adapted.peft_config["default"].to_dict()
    config |= {"base_model_name_or_path": base, "inference_mode": True, "revision": None}
    text = json.dumps(config, indent=1, default=lambda o: sorted(o) if isinstance(o, set) else str(o))
    (folder / "adapter_config.json").write_text(text + "\n")
    manifest = {
        "format": checkpoints.FORMAT,
        "base": base,
        "base_hash": base_hash,
        "prompt_version": prompts.PROMPT_VERSION,
        "files": {p.name: p.stat().st_size for p in sorted(folder.iterdir())},
        **details,
    }
    (folder / checkpoints.MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")
