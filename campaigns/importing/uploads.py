"""Files on their way in: uploaded, looked at, imported. Kept in the database for a few hours, then gone.

The web process takes a file and a worker reads it, on whatever machine it is. A raw export can hold what we never
store, so it may not lie about: an import that ends forgets its file, and `forget_old` runs by the clock.
"""

from __future__ import annotations

import re
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.utils import timezone

from campaigns.models import ImportStatus, Upload, UploadPart
from personalize.core.errors import DomainError

KEPT_HOURS = 6
PART = 1024 * 1024  # bytes of one row
_TOKEN = re.compile(r"[A-Za-z0-9_-]{32}")


class UploadGone(DomainError):
    """The uploaded file is no longer kept."""

    status = 404
    code = "upload_gone"


@transaction.atomic
def keep(file: UploadedFile[Any], *, source: str = "", by: AbstractBaseUser | None = None) -> str:
    """Store the upload under a name nobody can guess; the token that finds it."""
    # Ids may be made of the file's name, so its stem stays; what could lead elsewhere does not.
    name = re.sub(r"[^\w.-]+", "_", Path(str(file.name)).name)[-100:].lstrip(".") or "upload.csv"
    upload = Upload.objects.create(
        token=secrets.token_urlsafe(24),
        file_name=name,
        size=file.size or 0,
        source=source.strip()[:100],
        uploaded_by_id=by.pk if by else None,
    )
    file.seek(0)
    for number in range(-(-upload.size // PART)):
        UploadPart.objects.create(upload=upload, number=number, data=file.read(PART))
    return upload.token


def find(token: str) -> Upload:
    """Raises UploadGone for a token that is none, or whose file was forgotten."""
    upload = Upload.objects.filter(token=token).first() if _TOKEN.fullmatch(token) else None
    if upload is None or not is_whole(upload):
        raise UploadGone(f"The uploaded file is gone: it is kept for {KEPT_HOURS} hours. Upload it again.")
    return upload


def is_whole(upload: Upload) -> bool:
    """Are all its parts there? They are lost in a crash of the database."""
    return upload.parts.count() == -(-upload.size // PART)


@contextmanager
def copy(upload: Upload) -> Iterator[Path]:
    """The file under its own name on this machine's disk, readable by us alone, for the length of the block."""
    folder = Path(settings.STATE_DIR) / "uploads"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.TemporaryDirectory(dir=folder) as made:  # mode 0700
        path = Path(made) / upload.file_name
        with path.open("wb") as target:
            path.chmod(0o600)
            for number in range(-(-upload.size // PART)):
                part = UploadPart.objects.filter(upload=upload, number=number).values_list("data").first()
                if part is None:
                    raise UploadGone("The uploaded file is gone. Upload it again.")
                target.write(part[0])
        yield path


def forget(upload: Upload) -> None:
    """Remove a file that `find` gave."""
    upload.delete()


def forget_old(*, now: datetime | None = None) -> int:
    """Remove what is older than KEPT_HOURS and not being imported at the moment; how many."""
    before = (now or timezone.now()) - timedelta(hours=KEPT_HOURS)
    old = Upload.objects.filter(created_at__lt=before).exclude(
        imports__status__in=(ImportStatus.QUEUED, ImportStatus.RUNNING)
    )
    count = old.count()
    old.delete()
    return count
