"""Where an adapter lies and what is in it. Loads no model: web asks too.

A version keeps its adapter's place relative to what moves with the product, so that a database restored on another
machine still finds it: "cache:own/second" below MODEL_CACHE, "package:generation/..." below the code, or a full path.
"""

from __future__ import annotations

from pathlib import Path

from django.conf import settings

from generation.writer import checkpoints


def place_of(folder: Path | str) -> str:
    """How a version remembers this folder; "" for no folder."""
    if not str(folder):
        return ""
    path = Path(folder).absolute()
    for word, root in _roots():
        if path.is_relative_to(root):
            return f"{word}:{path.relative_to(root).as_posix()}"
    return path.as_posix()


def folder_of(place: str) -> Path:
    """The folder that `place_of` was given, on this machine."""
    for word, root in _roots():
        if place.startswith(f"{word}:"):
            return root / place.removeprefix(f"{word}:")
    return Path(place).absolute()


def contents_hash(folder: Path) -> str:
    """Hash of an adapter's weights and configuration; "" where there is no complete adapter."""
    if not (folder / checkpoints.MANIFEST).is_file():  # written last: without it the folder is not finished
        return ""
    return checkpoints.folder_hash(folder)


def _roots() -> tuple[tuple[str, Path], ...]:
    return ("cache", Path(settings.MODEL_CACHE).absolute()), ("package", Path(settings.BASE_DIR).absolute())
