"""The writer and the embedder of this process: made on first use, kept, and replaceable where a test needs it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from generation.writer.types import Embedder, Writer

_lock = threading.RLock()
_writer: Writer | None = None
_embedder: Embedder | None = None


def get_writer() -> Writer:
    """The writer that settings name. The first call loads the model: seconds, and some hundred megabytes."""
    global _writer
    with _lock:
        if _writer is None:
            from generation import loading

            _writer = loading.writer()
        return _writer


def get_embedder() -> Embedder:
    """The embedder that settings name, loaded at the first call."""
    global _embedder
    with _lock:
        if _embedder is None:
            from generation import loading

            _embedder = loading.embedder()
        return _embedder


def loaded_writer() -> Writer | None:
    """The writer if this process has one already; never loads."""
    return _writer


def loaded_embedder() -> Embedder | None:
    """The embedder if this process has one already; never loads."""
    return _embedder


@contextmanager
def use(*, writer: Writer | None = None, embedder: Embedder | None = None) -> Iterator[None]:
    """Put these in the place of the loaded ones while the block runs, in every thread of the process."""
    global _writer, _embedder
    with _lock:
        before = _writer, _embedder
        _writer, _embedder = writer or _writer, embedder or _embedder
    try:
        yield
    finally:
        with _lock:
            _writer, _embedder = before
