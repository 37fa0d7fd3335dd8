"""Making the writer and the embedder that settings name. Only `engines` calls this; here torch gets loaded."""

from __future__ import annotations

import logging
from pathlib import Path

import structlog
from django.conf import settings

from generation.writer.types import Embedder, Writer
from personalize.core.errors import TransientFailure

log = structlog.get_logger(__name__)

BUILTIN = "builtin"


def writer() -> Writer:
    """Load the weights of WRITER_MODEL with their adapter (see `adapter_in_use`); or ask WRITER_URL."""
    if settings.WRITER_URL:
        return _remote()
    return local_writer(adapter_in_use())


def adapter_in_use() -> Path | None:
    """That of WRITER_ADAPTER ("none" for the bare model), else of the active version, else the shipped one."""
    from generation import versions
    from generation.writer import checkpoints

    if settings.WRITER_ADAPTER:
        return None if settings.WRITER_ADAPTER == "none" else Path(settings.WRITER_ADAPTER)
    if (active := versions.active_adapter()) is not None:
        return active
    own = settings.WRITER_MODEL == BUILTIN and (checkpoints.SHIPPED_ADAPTER / checkpoints.MANIFEST).is_file()
    return checkpoints.SHIPPED_ADAPTER if own else None


def local_writer(adapter: Path | None) -> Writer:
    """The weights of WRITER_MODEL in this process, with this adapter."""
    from generation import engines
    from generation.writer import checkpoints

    made = checkpoints.load_writer(
        checkpoints.DEFAULT_MODEL if settings.WRITER_MODEL == BUILTIN else settings.WRITER_MODEL,
        cache=settings.MODEL_CACHE,
        adapter=adapter,
        embedder=engines.get_embedder(),
        device=device_of(settings.WRITER_DEVICE),
        dtype=settings.WRITER_DTYPE,
        threads=settings.WRITER_THREADS or None,
        tell=lambda message: log.info("writer_loading", step=message),
    )
    log.info("writer_loaded", base=made.info.base, tuned=made.info.tuned, hash=made.info.model_hash)
    return made


def _remote() -> Writer:
    """The writer behind WRITER_URL. Nothing is asked of the server before the first piece."""
    from generation import engines
    from generation.writer.remote import Counts, RemoteWriter
    from generation.writer.server import ChatServer, Unavailable

    class ServerUnavailable(Unavailable, TransientFailure):
        """The pieces stay drafts and are tried later."""

    def tell(counts: Counts) -> None:
        log.info(
            "remote_written",
            model=settings.WRITER_MODEL,
            asked=counts.asked,
            answers=counts.answers,
            dropped=counts.dropped,
            plain=counts.plain,
        )

    logging.getLogger("httpx2").setLevel(logging.WARNING)  # else a line for each request
    server = ChatServer(
        settings.WRITER_URL,
        settings.WRITER_MODEL,
        key=settings.WRITER_API_KEY,
        timeout=settings.WRITER_TIMEOUT,
        parallel=settings.WRITER_PARALLEL,
        unavailable=ServerUnavailable,
    )
    made = RemoteWriter(server, parallel=settings.WRITER_PARALLEL, embedder=engines.get_embedder(), tell=tell)
    log.info("writer_loaded", base=made.info.base, tuned=made.info.tuned, hash=made.info.model_hash)
    return made


def embedder() -> Embedder:
    """The sentence-transformer that EMBEDDING_MODEL names; its weights are read at the first text."""
    from generation.writer import embeddings

    name = settings.EMBEDDING_MODEL
    return embeddings.MiniLmEmbedder(
        embeddings.DEFAULT_EMBEDDER if name == BUILTIN else name,
        device=device_of(settings.WRITER_DEVICE),
        batch=settings.EMBEDDING_BATCH,
        threads=settings.WRITER_THREADS or None,
    )


def device_of(name: str) -> str:
    if name != "auto":
        return name
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
