"""Which writer is in use, by name and hash."""

from __future__ import annotations

from typing import Any

import pytest

from generation import engines, versions
from generation.models import ModelVersion
from generation.writer.prompts import PROMPT_VERSION
from generation.writer.types import WriterInfo
from tests.factories import RunFactory
from tests.fakes import FakeWriter

pytestmark = pytest.mark.django_db

INFO = WriterInfo("torch", "Some/Base-1B", False, PROMPT_VERSION, "0123456789abcdef", {"dtype": "float32"})


def test_one_row_for_each_combination_of_weights_and_prompts() -> None:
    from dataclasses import replace

    first = versions.of(INFO)

    assert first.name == f"Base-1B-01234567-{PROMPT_VERSION}"
    assert versions.of(INFO) == first
    assert versions.of(replace(INFO, model_hash="f" * 16)) != first
    assert versions.of(replace(INFO, prompt_version="plan-99")) != first
    assert first.settings["dtype"] == "float32"


def test_the_current_version_is_the_only_active_one(writer: FakeWriter) -> None:
    ModelVersion.objects.create(name="old", base="b", prompt_version="p", model_hash="h", is_active=True)

    current = versions.current()

    assert current.name.startswith("fake-")
    assert list(ModelVersion.objects.filter(is_active=True)) == [current]
    assert versions.current() == current


def test_before_any_writer_was_loaded_the_version_is_expected_and_gets_its_hash_later() -> None:
    assert engines.loaded_writer() is None
    expected = versions.current()
    run = RunFactory(model_version=expected.name)
    assert "not loaded yet" in expected.name

    loaded = versions.of(INFO)

    run.refresh_from_db()
    assert loaded.pk == expected.pk
    assert (loaded.model_hash, run.model_version) == (INFO.model_hash, loaded.name)
    assert versions.current() == loaded


def test_an_adapter_set_later_is_another_version(settings: Any) -> None:
    base = versions.current()
    settings.WRITER_ADAPTER = "adapters/one"

    tuned = versions.current()

    assert tuned != base
    assert tuned.is_tuned and not base.is_tuned
    base.refresh_from_db()
    assert not base.is_active


@pytest.mark.django_db(transaction=True)
def test_processes_that_start_together_agree(race: Any) -> None:
    found = race(versions.current, 4)

    assert len({version.pk for version in found}) == 1
    assert ModelVersion.objects.filter(is_active=True).count() == 1
