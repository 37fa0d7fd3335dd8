"""Wrong settings are named before anything is loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from generation import system_checks


def ids(found: list[Any]) -> list[str]:
    return [message.id for message in found]


def test_the_defaults_are_right() -> None:
    assert system_checks.embedding_dimension(None) == []
    assert system_checks.writer_settings(None) == []
    assert system_checks.writer_server(None) == []


@pytest.mark.parametrize(
    ("file", "key"), [("config.json", "hidden_size"), ("1_Pooling/config.json", "word_embedding_dimension")]
)
def test_a_model_of_another_size(settings: Any, tmp_path: Path, file: str, key: str) -> None:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(json.dumps({key: 768}))
    settings.EMBEDDING_MODEL = str(tmp_path)

    (message,) = system_checks.embedding_dimension(None)

    assert message.id == "generation.E001"
    assert "768" in message.msg and "384" in message.msg and message.hint


def test_a_model_by_id_is_checked_when_it_is_used(settings: Any) -> None:
    settings.EMBEDDING_MODEL = "somebody/some-model"

    assert system_checks.embedding_dimension(None) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [("WRITER_CHUNK", 0), ("WRITER_TRIES", 99), ("WRITER_LEASE_SECONDS", 1), ("WRITER_PARALLEL", 0)],
)
def test_a_number_out_of_range_is_named(settings: Any, name: str, value: int) -> None:
    setattr(settings, name, value)

    (message,) = system_checks.writer_settings(None)

    assert message.id == "generation.E002"
    assert message.msg.startswith(f"{name} is {value}")


def test_an_adapter_without_its_manifest(settings: Any, tmp_path: Path) -> None:
    settings.WRITER_ADAPTER = str(tmp_path)

    assert ids(system_checks.writer_settings(None)) == ["generation.E003"]
    (tmp_path / "manifest.json").write_text("{}")
    assert system_checks.writer_settings(None) == []


@pytest.mark.parametrize(
    "url",
    [
        "gpu:8000/v1",
        "ftp://gpu/v1",
        "http://",
        "http://[",
        "http://gpu:port/v1",
        "http://me:pass@gpu/v1",
        "http://gpu/v1?k=x",
    ],
)
def test_a_server_that_is_no_address(settings: Any, url: str) -> None:
    settings.WRITER_URL, settings.WRITER_MODEL = url, "llama3.1:8b"

    (message,) = system_checks.writer_server(None)

    assert message.id == "generation.E004" and message.msg.startswith("WRITER_URL") and message.hint
    assert "pass" not in message.msg


def test_a_server_whose_model_is_not_named(settings: Any) -> None:
    settings.WRITER_URL = "http://gpu:8000/v1"

    assert ids(system_checks.writer_server(None)) == ["generation.E005"]
    settings.WRITER_MODEL = "llama3.1:8b"
    assert system_checks.writer_server(None) == []
