"""Which writer is in use, by name and hash."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from generation import adapters, engines, versions
from generation.models import ModelVersion, VersionEvent
from generation.writer.prompts import PROMPT_VERSION
from generation.writer.types import WriterInfo
from personalize.core.errors import InvalidInput
from tests.factories import ModelVersionFactory, RunFactory
from tests.fakes import FakeWriter

pytestmark = pytest.mark.django_db

INFO = WriterInfo("torch", "Some/Base-1B", False, PROMPT_VERSION, "0123456789abcdef", {"dtype": "float32"})
METRICS: dict[str, Any] = {
    "clean_rate": 0.9,
    "faithful_rate": 0.9,
    "reader_identified": 0.85,
    "grammar_ratio": 1.2,
    "invented_numbers": 0,
    "briefs": "a1b2",
    "pieces": [],
}


def adapter_in(folder: Path, words: str = "weights") -> Path:
    """An adapter as far as files go: nothing here loads it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "adapter_model.safetensors").write_text(words)
    (folder / "manifest.json").write_text("{}")
    return folder


def promoted(folder: Path, **columns: Any) -> ModelVersion:
    return ModelVersionFactory(
        name="own-adapter",
        kind="builtin",
        adapter=adapters.place_of(folder),
        adapter_hash=adapters.contents_hash(folder),
        prompt_version=PROMPT_VERSION,
        is_tuned=True,
        state="active",
        **columns,
    )


def test_one_row_for_each_combination_of_weights_and_prompts() -> None:
    first = versions.of(INFO)

    assert first.name == f"Base-1B-01234567-{PROMPT_VERSION}"
    assert (first.kind, first.state) == ("builtin", "candidate")
    assert versions.of(INFO) == first
    assert versions.of(replace(INFO, model_hash="f" * 16)) != first
    assert versions.of(replace(INFO, prompt_version="plan-99")) != first
    assert first.settings["dtype"] == "float32"


def test_the_first_version_of_its_kind_becomes_active(writer: FakeWriter) -> None:
    other = ModelVersionFactory(name="old", kind="Other/Base-7B", state="active")

    current = versions.current()

    assert current.name.startswith("fake-")
    assert set(ModelVersion.objects.filter(state="active")) == {current, other}, "one of each kind"
    assert versions.current() == current
    event = VersionEvent.objects.get()
    assert (event.version, event.replaced, event.action, event.actor_id) == (current, None, "installed", None)


def test_the_database_holds_one_active_version_of_a_kind() -> None:
    ModelVersionFactory(name="a", kind="k", state="active")
    with pytest.raises(IntegrityError), transaction.atomic():
        ModelVersionFactory(name="b", kind="k", state="active")
    with pytest.raises(IntegrityError), transaction.atomic():
        ModelVersionFactory(name="c", kind="k", state="asleep")
    ModelVersionFactory(name="d", kind="k", state="retired")


def test_before_any_writer_was_loaded_the_version_is_expected_and_gets_its_hash_later() -> None:
    assert engines.loaded_writer() is None
    expected = versions.current()
    run = RunFactory(model_version=expected.name)
    assert "not loaded yet" in expected.name

    loaded = versions.of(INFO)

    run.refresh_from_db()
    assert loaded.pk == expected.pk
    assert (loaded.model_hash, run.model_version) == (INFO.model_hash, loaded.name)
    assert versions.current() == loaded and loaded.is_active


def test_an_adapter_set_by_hand_writes_without_becoming_active(settings: Any, tmp_path: Path) -> None:
    base = versions.current()
    settings.WRITER_ADAPTER = str(adapter_in(tmp_path / "one"))

    tuned = versions.current()

    assert tuned != base
    assert tuned.is_tuned and not base.is_tuned
    assert not tuned.is_active and versions.in_use() == tuned
    base.refresh_from_db()
    assert base.is_active
    loaded = versions.of(replace(INFO, tuned=True))
    assert loaded.pk == tuned.pk and loaded.adapter_hash
    settings.WRITER_ADAPTER = ""
    assert versions.current() == base


def test_weights_shipped_with_a_later_release_take_over_from_those_before() -> None:
    base = versions.current()
    first = versions.of(INFO)
    assert base.pk == first.pk
    second = versions.of(replace(INFO, model_hash="e" * 16, tuned=True))

    assert versions.current() == second and second.adapter == versions.SHIPPED
    first.refresh_from_db()
    assert first.state == "retired"
    assert "later release" in versions.unusable(first)
    alone = versions.of(replace(INFO, model_hash="d" * 16))  # somebody tried the base without the adapter
    assert versions.current() == second and not alone.is_active


def test_workers_load_the_adapter_of_the_active_version(
    settings: Any, tmp_path: Path, django_assert_num_queries: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert versions.active_adapter() is None, "nothing was promoted: the shipped one"
    settings.MODEL_CACHE = tmp_path / "models"
    folder = adapter_in(settings.MODEL_CACHE / "own" / "second")
    version = promoted(folder)
    assert version.adapter == "cache:own/second"

    with django_assert_num_queries(1):
        assert versions.active_adapter() == folder
    assert versions.current() == version

    adapter_in(folder, "others")
    assert versions.active_adapter() is None, "what lies there now was never promoted"
    assert "other weights" in versions.unusable(version)
    (folder / "manifest.json").unlink()
    assert versions.active_adapter() is None
    assert "no complete adapter" in versions.unusable(version)
    assert versions.current() != version, "the shipped one writes, and a launch says so"
    version.refresh_from_db()
    assert version.is_active, "a machine that lacks a folder decides nothing"


def test_an_adapter_for_other_prompts_is_not_loaded(tmp_path: Path) -> None:
    version = promoted(adapter_in(tmp_path / "a"))
    ModelVersion.objects.filter(pk=version.pk).update(prompt_version="plan-0")
    assert versions.active_adapter() is None


def test_places_move_with_the_product(settings: Any, tmp_path: Path) -> None:
    settings.MODEL_CACHE, settings.BASE_DIR = tmp_path / "cache", tmp_path / "code"
    inside, beside = tmp_path / "code/generation/adapter", tmp_path / "elsewhere"
    assert adapters.place_of(inside) == "package:generation/adapter"
    assert adapters.place_of(beside) == str(beside)
    assert adapters.place_of("") == ""
    for folder in (inside, beside, tmp_path / "cache/x"):
        assert adapters.folder_of(adapters.place_of(folder)) == folder


def test_what_was_measured_is_kept() -> None:
    version = ModelVersionFactory()

    kept = versions.record_evaluation(version, {**METRICS, "pieces": [{"brand": "b"}] * 300})

    assert kept.metrics["clean_rate"] == 0.9 and kept.evaluated_at is not None
    assert len(kept.metrics["pieces"]) == versions.MOST_PIECES


@pytest.mark.parametrize(
    ("spoilt", "field"),
    [
        ({"clean_rate": 90}, "clean_rate"),
        ({"invented_numbers": None}, "invented_numbers"),
        ({"grammar_ratio": -1}, "grammar_ratio"),
        ({"faithful_rate": True}, "faithful_rate"),
        ({"briefs": ""}, "briefs"),
    ],
)
def test_measures_that_cannot_be_are_refused(spoilt: dict[str, Any], field: str) -> None:
    version = ModelVersionFactory()
    with pytest.raises(InvalidInput) as refused:
        versions.record_evaluation(version, METRICS | spoilt)
    assert refused.value.field == field
    version.refresh_from_db()
    assert version.metrics == {}


@pytest.mark.django_db(transaction=True)
def test_processes_that_start_together_agree(race: Any) -> None:
    found = race(versions.current, 4)

    assert len({version.pk for version in found}) == 1
    assert ModelVersion.objects.filter(state="active").count() == 1
    assert VersionEvent.objects.count() == 1
