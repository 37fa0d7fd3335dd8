"""Which writer is in use, by name and hash. Web and beat ask too, so nothing here loads a model.

Workers load the adapter that WRITER_ADAPTER names. Where it names none they load that of the active version, and
the shipped one where no version was promoted. `promotion` changes which one is active.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from campaigns.models import Run
from generation import adapters, engines, promotion_rule
from generation.models import ModelVersion, VersionAction, VersionEvent, VersionState
from generation.writer.prompts import PROMPT_VERSION
from generation.writer.types import WriterInfo
from personalize.core.errors import InvalidInput

log = structlog.get_logger(__name__)

SHIPPED = ""  # the place of what the product brings: its adapter, or the base alone
MOST_PIECES = 200  # of an evaluation, kept for reading


def current() -> ModelVersion:
    """The version that writes what is launched now, made if it is new. Loads no model.

    The first version of its kind becomes active, and so does the shipped one of a new release where its predecessor
    was. Until some process has loaded those weights for the first time their hash is not known; the row then says so
    in its name, and gets name and hash from `of` as soon as a writer starts.
    """
    if settings.WRITER_ADAPTER:
        return _newest(adapters.place_of(settings.WRITER_ADAPTER)) or _expected()
    active = _active()
    if active is not None and active.adapter != SHIPPED:
        if not unusable(active):
            return active
        return _newest(SHIPPED) or _expected()
    loaded = engines.loaded_writer()
    version = of(loaded.info) if loaded is not None else _newest(SHIPPED) or _expected()
    return version if version.is_active else _install(version)


def in_use() -> ModelVersion | None:
    """The version that `current` would name, if it is known already. For pages: it changes nothing."""
    if settings.WRITER_ADAPTER:
        return _newest(adapters.place_of(settings.WRITER_ADAPTER))
    return _active()


def pinned() -> str:
    """The adapter that WRITER_ADAPTER names, which workers load whatever is active; "" where it names none."""
    return str(settings.WRITER_ADAPTER)


def active_adapter() -> Path | None:
    """The folder of the active version's adapter; None where the shipped one is to be loaded. One query.

    An adapter that is gone or is no longer what was promoted is not loaded: an error event says so, and the
    shipped adapter writes.
    """
    active = _active()
    if active is None or active.adapter == SHIPPED:
        return None
    problem = unusable(active)
    if problem:
        log.error("active_adapter_unusable", version=active.name, problem=problem)
        return None
    return adapters.folder_of(active.adapter)


def unusable(version: ModelVersion) -> str:
    """Why a worker of today's code could not write with this version, as a sentence; "" when it could."""
    if version.prompt_version != PROMPT_VERSION:
        return f"It was made for prompts {version.prompt_version}; this release writes {PROMPT_VERSION}."
    if version.adapter == SHIPPED:
        newest = _newest(SHIPPED, of_kind=version.kind)
        if newest is not None and newest.pk != version.pk:
            return f"A later release ships other weights: {newest.name}."
        return ""
    found = adapters.contents_hash(adapters.folder_of(version.adapter))
    if not found:
        return f"There is no complete adapter in {version.adapter} on this machine."
    if version.adapter_hash and found != version.adapter_hash:
        return f"{version.adapter} holds other weights than those of this version."
    return ""


def of(info: WriterInfo, *, adapter: Path | None = None) -> ModelVersion:
    """The row of this loaded writer: base weights, adapter and prompt format each make another one.

    `adapter` is the folder it was loaded from where neither the settings nor the active version say so.
    """
    name = name_of(info)
    found = ModelVersion.objects.filter(name=name).first()
    if found is not None:
        return found
    place = _place_loaded(adapter)
    columns = {
        "kind": kind(),
        "base": info.base,
        "adapter": place,
        "adapter_hash": adapters.contents_hash(adapters.folder_of(place)) if place else "",
        "is_tuned": info.tuned,
        "model_hash": info.model_hash,
        "settings": dict(info.settings),
    }
    return _adopt(name, info, columns) or _made(name, info.prompt_version, columns)


def kind() -> str:
    """The base that settings name. Its active version is what these workers write with."""
    return f"server:{settings.WRITER_MODEL}"[:200] if settings.WRITER_URL else settings.WRITER_MODEL


def name_of(info: WriterInfo) -> str:
    """Short enough to read out: the base's own name, eight digits of the hash, the prompt format."""
    return f"{info.base.rsplit('/', 1)[-1]}-{info.model_hash[:8]}-{info.prompt_version}"[:120]


def record_evaluation(version: ModelVersion, metrics: Mapping[str, Any]) -> ModelVersion:
    """Keep what evaluate_writer measured of this version; a later evaluation takes the place of an earlier one.

    Raises InvalidInput when a judged number is missing, or a rate is no share from 0 to 1.
    """
    for measure in promotion_rule.MEASURES:
        value = promotion_rule.number(metrics, measure)
        if value is None:
            if measure.key in promotion_rule.NEEDED:
                raise InvalidInput(f"The evaluation has no number '{measure.key}'.", field=measure.key)
        elif value < 0 or (measure.percent and value > 1):
            raise InvalidInput(f"{measure.key} is {value:g}: give a share from 0 to 1.", field=measure.key)
    if not metrics.get("briefs"):
        raise InvalidInput("The evaluation does not say which briefs it wrote for.", field="briefs")
    kept = {**metrics, "pieces": list(metrics.get("pieces", ()))[:MOST_PIECES]}
    ModelVersion.objects.filter(pk=version.pk).update(metrics=kept, evaluated_at=timezone.now())
    version.refresh_from_db()
    log.info("writer_evaluated", version=version.name, clean_rate=metrics["clean_rate"])
    return version


def _active() -> ModelVersion | None:
    return ModelVersion.objects.filter(kind=kind(), state=VersionState.ACTIVE).first()


def _newest(place: str, *, of_kind: str = "") -> ModelVersion | None:
    """The latest version known of what lies in that place, which holds one set of weights at a time.

    A base tried alone does not count where an adapter is shipped.
    """
    known = ModelVersion.objects.filter(kind=of_kind or kind(), adapter=place, prompt_version=PROMPT_VERSION)
    return known.order_by("-is_tuned", "-pk").first()


def _place_loaded(adapter: Path | None) -> str:
    if adapter is not None:
        return adapters.place_of(adapter)
    if settings.WRITER_ADAPTER:
        return adapters.place_of(settings.WRITER_ADAPTER)
    return SHIPPED  # what was promoted is known by its hash already


def _expected() -> ModelVersion:
    base = settings.WRITER_MODEL
    columns = {
        "kind": kind(),
        "base": base,
        "adapter": adapters.place_of(settings.WRITER_ADAPTER),
        "is_tuned": bool(settings.WRITER_ADAPTER),
        "model_hash": "",
        "settings": {},
    }
    what = f"{base[:40]} with {settings.WRITER_ADAPTER[-30:]}" if settings.WRITER_ADAPTER else base[:40]
    return _made(f"{what}, not loaded yet ({PROMPT_VERSION})", PROMPT_VERSION, columns)


def _made(name: str, prompt_version: str, columns: dict[str, Any]) -> ModelVersion:
    version, _ = ModelVersion.objects.get_or_create(
        name=name[:120], defaults={**columns, "prompt_version": prompt_version}
    )
    return version


def _adopt(name: str, info: WriterInfo, columns: dict[str, Any]) -> ModelVersion | None:
    """Give the row that was expected for these settings its name and hash, and its runs the name."""
    expected = ModelVersion.objects.filter(
        model_hash="", kind=columns["kind"], adapter=columns["adapter"], prompt_version=info.prompt_version
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
def _install(version: ModelVersion) -> ModelVersion:
    """Make it active where nothing is, or in the stead of what was shipped before; else leave all as it is.

    The row locks make processes that start at once agree.
    """
    rows = ModelVersion.objects.select_for_update().filter(kind=version.kind).order_by("pk")
    active = next((row for row in rows if row.is_active), None)
    later = active is not None and (active.is_tuned, active.pk) < (version.is_tuned, version.pk)
    if active is None or (later and active.adapter == version.adapter == SHIPPED):
        switch(
            version, active, VersionAction.INSTALLED, reason="shipped with a later release" if active else ""
        )
    version.refresh_from_db()
    return version


def switch(
    version: ModelVersion, active: ModelVersion | None, action: VersionAction, **details: Any
) -> VersionEvent:
    """Make `version` active instead of `active`, with the audit row. Call while holding the kind's row locks."""
    if active is not None:
        ModelVersion.objects.filter(pk=active.pk).update(state=VersionState.RETIRED)
    ModelVersion.objects.filter(pk=version.pk).update(state=VersionState.ACTIVE)
    log.info("writer_switched", version=version.name, replaced=active.name if active else "", action=action)
    return VersionEvent.objects.create(version=version, replaced=active, action=action, **details)
