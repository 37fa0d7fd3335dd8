"""Files on their way in do not lie about, and every process of ours can read them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.utils import timezone

from campaigns import tasks
from campaigns.importing import uploads
from campaigns.models import ImportStatus, Upload, UploadPart
from tests.factories import ImportFactory

pytestmark = pytest.mark.django_db


def test_an_upload_is_ours_alone_and_forgotten_by_the_clock(settings: Any) -> None:
    token = uploads.keep(SimpleUploadedFile("../my list.csv", b"email\n"))
    upload = uploads.find(token)
    with uploads.copy(upload) as path:
        assert (path.name, path.read_bytes(), path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (
            "my_list.csv", b"email\n", 0o600, 0o700,
        )  # fmt: skip
    assert not path.exists() and list(Path(settings.STATE_DIR, "uploads").iterdir()) == []

    tasks.forget_uploads()
    assert uploads.find(token)
    Upload.objects.update(created_at=timezone.now() - timedelta(hours=uploads.KEPT_HOURS, seconds=1))
    running = ImportFactory(upload=upload, status=ImportStatus.RUNNING)
    tasks.forget_uploads()
    assert uploads.find(token)  # a worker is reading it
    running.delete()
    tasks.forget_uploads()

    with pytest.raises(uploads.UploadGone):
        uploads.find(token)
    assert not UploadPart.objects.exists()


@pytest.mark.parametrize("size", [1, uploads.PART, uploads.PART * 2 + 17])
def test_a_file_of_any_size_comes_back_whole(size: int) -> None:
    content = bytes(range(256)) * (size // 256 + 1)
    token = uploads.keep(SimpleUploadedFile("a.csv", content[:size]))
    with uploads.copy(uploads.find(token)) as path:
        assert path.read_bytes() == content[:size]


def test_a_file_with_a_part_missing_is_gone() -> None:
    token = uploads.keep(SimpleUploadedFile("a.csv", b"x" * (uploads.PART + 1)))
    UploadPart.objects.filter(number=1).delete()
    with pytest.raises(uploads.UploadGone, match="Upload it again"):
        uploads.find(token)


def test_raw_files_are_kept_out_of_the_write_ahead_log() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT relpersistence FROM pg_class WHERE relname = 'campaigns_uploadpart'")
        assert cursor.fetchone()[0] == "u"


@pytest.mark.parametrize("token", ["", "..", "../" * 11, "x" * 32])
def test_a_made_up_token_finds_nothing(token: str) -> None:
    with pytest.raises(uploads.UploadGone):
        uploads.find(token)
