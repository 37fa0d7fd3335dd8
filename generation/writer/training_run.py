"""A run of training from corpus to adapter: reads, trains in one process or several, measures, writes the adapter.

`python -m generation.writer.training_run` is what the further processes of a run are started with.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import distributed

from generation.writer import checkpoints, training, training_data
from generation.writer.corpus import CorpusPiece, read_plain, split_brands


@dataclass(frozen=True, slots=True)
class Job:
    """What to train, on what, and where to write. `folder` keeps the state and gets `adapter/` at the end."""

    folder: Path
    cache: Path  # of the base weights
    model: str = checkpoints.DEFAULT_MODEL
    files: tuple[Path, ...] = ()  # of the plain layer; none: all that ship
    start: Path | None = None  # a state or adapter file to begin with
    processes: int = 1
    device: str = "cpu"
    settings: training.TrainingSettings = field(default_factory=training.TrainingSettings)


def run(
    job: Job,
    *,
    on_progress: Callable[[training.Progress], None] | None = None,
    tell: Callable[[str], None] | None = None,
) -> Path:
    """Train and return the adapter's folder. Continues where an interrupted run of the same job stopped.

    Raises ValueError when the folder holds another job's state, checkpoints.CheckpointProblem for missing weights,
    CorpusError for a corpus file that cannot be read.
    """
    say = tell or (lambda _message: None)
    with _together(job):
        result = _train(job, on_progress, say)
    return result


def _train(
    job: Job, on_progress: Callable[[training.Progress], None] | None, tell: Callable[[str], None]
) -> Path:
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    where, base, base_hash = _base(job)
    tokenizer = AutoTokenizer.from_pretrained(where, local_files_only=True)
    device = torch.device(job.device)
    model = AutoModelForCausalLM.from_pretrained(
        where, dtype=_dtype(device), use_safetensors=True, trust_remote_code=False, local_files_only=True
    ).to(device)
    learning, held_out = split_brands(_pieces(job.files))
    rows, validation = training_data.rows(learning, tokenizer), training_data.rows(held_out, tokenizer)
    if not rows:
        raise ValueError("the corpus files hold no piece to learn from")
    tell(f"{len(rows)} briefs to learn from, {len(validation)} held out, base {base}")
    adapted, history = training.train(
        model,
        rows,
        settings=job.settings,
        folder=job.folder,
        device=device,
        start=job.start,
        validation=validation,
        on_progress=on_progress,
    )
    target = job.folder / "adapter"
    if not distributed.is_initialized() or distributed.get_rank() == 0:
        training.export(
            adapted,
            target,
            base=base,
            base_hash=base_hash,
            details={
                "settings": asdict(job.settings),
                "data": training_data.data_hash(rows),
                "briefs": len(rows),
                "lines": sum(len(p.units) for p in learning),
                "processes": job.processes,
                "continues": str(job.start or ""),
                "validation_loss": history,
            },
        )
    return target


def _base(job: Job) -> tuple[str, str, str]:
    """(folder, name, hash) of the base weights."""
    if job.model == checkpoints.DEFAULT_MODEL:
        folder = checkpoints.prepare(job.cache)
        manifest = checkpoints.read_manifest(folder)
        return str(folder), manifest["base"], manifest["hash"]
    if not Path(job.model).is_dir():
        raise checkpoints.CheckpointProblem(f"{job.model} is no folder: name the folder of a model's weights")
    return job.model, Path(job.model).name, checkpoints.folder_hash(Path(job.model))


def _dtype(device: torch.device) -> torch.dtype:
    """bf16 where the machine computes it, float32 elsewhere; the LoRA matrices stay float32 either way."""
    from generation.writer.engine import best_dtype

    found = best_dtype(device.type)
    return found if found is not torch.float16 else torch.float32


def _pieces(files: Sequence[Path]) -> list[CorpusPiece]:
    return read_plain(files or None)


@contextmanager
def _together(job: Job) -> Iterator[None]:
    """Start the further processes of a run and join them; each computes on one thread."""
    if job.processes < 2:
        yield
        return
    rank = int(os.environ.get("RANK", "0"))
    others: list[subprocess.Popen[bytes]] = []
    if rank == 0:
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port())}
        for number in range(1, job.processes):
            environment = os.environ | {"RANK": str(number), "OMP_NUM_THREADS": "1"}
            command = [sys.executable, "-m", "generation.writer.training_run"]
            other = subprocess.Popen(
                command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
            )
            assert other.stdin is not None
            other.stdin.write(json.dumps(_plain(job)).encode())
            other.stdin.close()
            others.append(other)
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", rank=rank, world_size=job.processes)
    try:
        yield
        distributed.barrier()
    finally:
        for other in others:
            other.terminate()
            other.wait()
        distributed.destroy_process_group()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _plain(job: Job) -> dict[str, Any]:
    return {
        "folder": str(job.folder),
        "cache": str(job.cache),
        "model": job.model,
        "files": [str(f) for f in job.files],
        "start": str(job.start or ""),
        "processes": job.processes,
        "device": job.device,
        "settings": asdict(job.settings),
    }


def _job(plain: dict[str, Any]) -> Job:
    return Job(
        folder=Path(plain["folder"]),
        cache=Path(plain["cache"]),
        model=plain["model"],
        files=tuple(Path(f) for f in plain["files"]),
        start=Path(plain["start"]) if plain["start"] else None,
        processes=plain["processes"],
        device=plain["device"],
        settings=training.TrainingSettings(**plain["settings"]),
    )


if __name__ == "__main__":
    run(_job(json.load(sys.stdin)))
