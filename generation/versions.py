"""Which writer is in use, by name and hash. Web and beat ask too, so nothing here loads a model."""

from __future__ import annotations

from django.conf import settings
from django.db import IntegrityError, transaction

from campaigns.models import Run
from generation import engines
from generation.models import ModelVersion
from generation.writer.prompts import PROMPT_VERSION
from generation.writer.types import WriterInfo


def current() -> ModelVersion:
    """The version of the writer that settings name, made if it is new, and set active. Loads no model.

    Until some process has loaded those weights for the first time their hash is not known; the row then says so
    in its name, and gets name and hash from `of` as soon as a writer starts.
    """
    loaded = engines.loaded_writer()
    if loaded is not None:
        version = of(loaded.info)
    else:
        known = ModelVersion.objects.filter(settings__source=_source(), prompt_version=PROMPT_VERSION)
        version = known.order_by("-pk").first() or _expected()
    return version if version.is_active else _activate(version)


def of(info: WriterInfo) -> ModelVersion:
    """The row of this writer: base weights, adapter and prompt format each make another one."""
    name = name_of(info)
    found = ModelVersion.objects.filter(name=name).first()
    if found is not None:
        return found
    columns = {
        "base": info.base,
        "adapter": settings.WRITER_ADAPTER if info.tuned else "",
        "is_tuned": info.tuned,
        "model_hash": info.model_hash,
        "settings": {**info.settings, "source": _source()},
    }
    return _adopt(name, info, columns) or _made(name, info.prompt_version, columns)


def name_of(info: WriterInfo) -> str:
    """Short enough to read out: the base's own name, eight digits of the hash, the prompt format."""
    return f"{info.base.rsplit('/', 1)[-1]}-{info.model_hash[:8]}-{info.prompt_version}"[:120]


def _expected() -> ModelVersion:
    base = settings.WRITER_MODEL
    columns = {
        "base": base,
        "adapter": settings.WRITER_ADAPTER,
        "is_tuned": bool(settings.WRITER_ADAPTER),
        "model_hash": "",
        "settings": {"source": _source()},
    }
    what = f"{base[:40]} with {settings.WRITER_ADAPTER[-30:]}" if settings.WRITER_ADAPTER else base[:40]
    return _made(f"{what}, not loaded yet ({PROMPT_VERSION})", PROMPT_VERSION, columns)


def _made(name: str, prompt_version: str, columns: dict[str, object]) -> ModelVersion:
    version, _ = ModelVersion.objects.get_or_create(
        name=name[:120], defaults={**columns, "prompt_version": prompt_version}
    )
    return version


def _adopt(name: str, info: WriterInfo, columns: dict[str, object]) -> ModelVersion | None:
    """Give the row that was expected for these settings its name and hash, and its runs the name."""
    expected = ModelVersion.objects.filter(
        model_hash="", settings__source=_source(), prompt_version=info.prompt_version
    ).first()
    if expected is None:
        return None
    try:
        with transaction.atomic():
            changed = ModelVersion.objects.filter(pk=expected.pk, model_hash="").update(name=name, **columns)
            Run.objects.filter(model_version=expected.name).update(model_version=name)
    except IntegrityError:  # another writer started at this moment and has the name already
        return None
    return ModelVersion.objects.get(pk=expected.pk) if changed else None


@transaction.atomic
def _activate(version: ModelVersion) -> ModelVersion:
    """Make it the one active version; the row locks make two processes starting at once agree."""
    list(ModelVersion.objects.select_for_update().order_by("pk"))
    ModelVersion.objects.filter(is_active=True).exclude(pk=version.pk).update(is_active=False)
    ModelVersion.objects.filter(pk=version.pk).update(is_active=True)
    version.refresh_from_db()
    return version


def _source() -> str:
    return f"{settings.WRITER_MODEL}|{settings.WRITER_ADAPTER}"
