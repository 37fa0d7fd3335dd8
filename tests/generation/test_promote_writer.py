"""The command that chooses the writer."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from generation.models import ModelVersion, VersionEvent
from tests.factories import SuperuserFactory, UserFactory
from tests.generation.test_promotion import states, version

pytestmark = pytest.mark.django_db


def run(*words: str) -> str:
    out = io.StringIO()
    call_command("promote_writer", *words, stdout=out)
    return out.getvalue()


@pytest.fixture
def two(tmp_path: Path) -> list[ModelVersion]:
    found = [version(tmp_path, "old", "active", clean_rate=0.9), version(tmp_path, "new", clean_rate=0.95)]
    ModelVersion.objects.filter(name="new").update(model_hash="abcdef0123456789")
    return found


def test_the_list(two: Any, settings: Any) -> None:
    listed = run("--list")
    assert listed == run()
    lines = listed.splitlines()
    assert lines[0].split()[:5] == ["Id", "State", "Hash", "Version", "Kind"]
    assert "Candidate" in lines[1] and "abcdef01" in lines[1] and "95.0 %" in lines[1] and "never" in lines[1]
    settings.WRITER_ADAPTER = "/somewhere"
    assert "WRITER_ADAPTER is set: workers load /somewhere" in run()


def test_an_empty_list() -> None:
    assert "No version yet" in run()


def test_promote_by_hash_and_back(two: Any) -> None:
    assert "new is active instead of old" in run("--version", "ABCDEF")
    assert states() == {"old": "retired", "new": "active"}
    assert "old is active again" in run("--rollback", "--reason", "dull")
    assert VersionEvent.objects.latest("pk").reason == "dull"
    with pytest.raises(CommandError, match="No version was active before"):
        run("--rollback")


def test_against_the_rule(two: Any) -> None:
    run("--version", str(two[1].pk))
    with pytest.raises(CommandError, match="not promoted"):
        run("--version", "old")
    with pytest.raises(CommandError, match="needs a person"):
        run("--version", "old", "--force", "--reason", "because")
    UserFactory(username="anybody")
    with pytest.raises(CommandError, match="may not"):
        run("--version", "old", "--force", "--reason", "because", "--as", "anybody")
    SuperuserFactory(username="root")
    with pytest.raises(CommandError, match="needs a reason"):
        run("--version", "old", "--force", "--as", "root")
    assert "against the rule" in run("--version", "old", "--force", "--reason", "because", "--as", "root")
    assert states() == {"old": "active", "new": "retired"}


def test_what_fits_nothing_or_too_much(two: Any) -> None:
    with pytest.raises(CommandError, match="There is no version 'abc'"):
        run("--version", "abc")
    ModelVersion.objects.update(model_hash="abcdef0123456789")
    with pytest.raises(CommandError, match="more than one"):
        run("--version", "abcd")
    with pytest.raises(CommandError, match="not allowed with"):
        run("--version", "abcd", "--rollback")
    with pytest.raises(CommandError, match="No version is active"):
        ModelVersion.objects.update(state="retired")
        run("--rollback")
