"""Files on their way in do not lie about."""

from __future__ import annotations

import time

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from campaigns import tasks
from campaigns.importing import uploads


def test_an_upload_is_ours_alone_and_forgotten_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    token = uploads.keep(SimpleUploadedFile("../my list.csv", b"email\n"))
    path = uploads.find(token)
    assert (path.name, path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (
        "my_list.csv", 0o600, 0o700,
    )  # fmt: skip

    tasks.forget_uploads()
    assert path.exists()
    later = time.time() + uploads.KEPT_HOURS * 3600 + 1
    monkeypatch.setattr(time, "time", lambda: later)
    tasks.forget_uploads()

    with pytest.raises(uploads.UploadGone):
        uploads.find(token)


@pytest.mark.parametrize("token", ["", "..", "../" * 11, "x" * 32])
def test_a_made_up_token_finds_nothing(token: str) -> None:
    with pytest.raises(uploads.UploadGone):
        uploads.find(token)
