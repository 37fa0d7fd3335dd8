"""Making the writer and the embedder that settings name. Only `engines` calls this; here torch gets loaded."""

from __future__ import annotations

from pathlib import Path

import structlog
from django.conf import settings

from generation.writer.types import Embedder, Writer

log = structlog.get_logger(__name__)

BUILTIN = "builtin"


def writer() -> Writer:
    """Load the weights of WRITER_MODEL with the adapter of WRITER_ADAPTER, if one is set."""
    from generation.writer import checkpoints

    made = checkpoints.load_writer(
        checkpoints.DEFAULT_MODEL if settings.WRITER_MODEL == BUILTIN else settings.WRITER_MODEL,
        cache=settings.MODEL_CACHE,
        adapter=Path(settings.WRITER_ADAPTER) if settings.WRITER_ADAPTER else None,
        device=_device(settings.WRITER_DEVICE),
        dtype=settings.WRITER_DTYPE,
        threads=settings.WRITER_THREADS or None,
        tell=lambda message: log.info("writer_loading", step=message),
    )
    log.info("writer_loaded", base=made.info.base, tuned=made.info.tuned, hash=made.info.model_hash)
    return made


def embedder() -> Embedder:
    """The sentence-transformer that EMBEDDING_MODEL names; its weights are read at the first text."""
    from generation.writer import embeddings

    name = settings.EMBEDDING_MODEL
    return embeddings.MiniLmEmbedder(
        embeddings.DEFAULT_EMBEDDER if name == BUILTIN else name,
        device=_device(settings.WRITER_DEVICE),
        batch=settings.EMBEDDING_BATCH,
        threads=settings.WRITER_THREADS or None,
    )


def _device(name: str) -> str:
    if name != "auto":
        return name
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
