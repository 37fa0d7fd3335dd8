"""Files on their way in: uploaded, looked at, imported. Kept below STATE_DIR for a few hours, then gone.

A raw export can hold what we never store, so it may not lie about: `forget_old` runs by the clock.
"""

from __future__ import annotations

import re
import secrets
import shutil
import time
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile

from personalize.core.errors import DomainError

KEPT_HOURS = 6
_TOKEN = re.compile(r"[A-Za-z0-9_-]{32}")


class UploadGone(DomainError):
    """The uploaded file is no longer kept."""

    status = 404
    code = "upload_gone"


def keep(file: UploadedFile[Any]) -> str:
    """Store the upload under a name nobody can guess, readable by us alone; the token that finds it."""
    token = secrets.token_urlsafe(24)
    folder = _folder() / token
    folder.mkdir(parents=True, mode=0o700)
    # Ids may be made of the file's name, so its stem stays; what could lead elsewhere does not.
    name = re.sub(r"[^\w.-]+", "_", Path(str(file.name)).name)[-100:].lstrip(".") or "upload.csv"
    path = folder / name
    with path.open("wb") as target:
        path.chmod(0o600)
        for chunk in file.chunks():
            target.write(chunk)
    return token


def find(token: str) -> Path:
    """Where it lies. Raises UploadGone for a token that is none, or whose file was forgotten."""
    files = list((_folder() / token).glob("*")) if _TOKEN.fullmatch(token) else []
    if len(files) != 1:
        raise UploadGone(f"The uploaded file is gone: it is kept for {KEPT_HOURS} hours. Upload it again.")
    return files[0]


def forget(path: Path) -> None:
    """Remove a file that `find` gave."""
    shutil.rmtree(path.parent, ignore_errors=True)


def forget_old(*, now: float | None = None) -> int:
    """Remove what is older than KEPT_HOURS; how many. `now`: seconds since the epoch."""
    before = (time.time() if now is None else now) - KEPT_HOURS * 3600
    old = [f for f in _folder().glob("*") if f.is_dir() and f.stat().st_mtime < before]
    for folder in old:
        shutil.rmtree(folder, ignore_errors=True)
    return len(old)


def _folder() -> Path:
    return Path(settings.STATE_DIR) / "uploads"
