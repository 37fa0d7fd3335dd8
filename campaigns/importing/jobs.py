"""Imports that a worker does: queued by a person, claimed with a lease, stopped, taken up again where they ended.

Postgres knows what is to be done; the broker only wakes a worker up. Who holds the lease writes each chunk together
with its counts, so that a chunk is stored once, whoever dies, and a person's 'stop' counts at the next chunk.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from datetime import timedelta

import structlog
from celery import current_app
from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from kombu.exceptions import OperationalError

from campaigns.importing import uploads
from campaigns.importing.mapping import parse
from campaigns.importing.running import Options, Stopped
from campaigns.models import Import, ImportKind, ImportSource, ImportStatus, Upload
from personalize.core.errors import DomainError

log = structlog.get_logger(__name__)

SILENT_SECONDS = 120  # without a sign of life another worker goes on; a chunk takes seconds
_UNFINISHED = (ImportStatus.QUEUED, ImportStatus.RUNNING)


class CannotResume(DomainError):
    """There is nothing left of this import to go on with."""


def new(
    *,
    kind: ImportKind,
    file_name: str,
    mapping: Mapping[str, str],
    options: Options,
    dry_run: bool,
    by: AbstractBaseUser | None,
) -> Import:
    """A record, not saved yet, of an import that this process begins at once."""
    return Import(
        kind=kind,
        file_name=file_name[:200],
        mapping=dict(mapping),
        options=options.stored(),
        source=(options.source or f"import {file_name}")[:100],
        dry_run=dry_run,
        lease=secrets.token_hex(16),
        alive_at=timezone.now(),
        started_by_id=by.pk if by else None,
    )


@transaction.atomic
def start(
    *,
    upload: Upload,
    kind: ImportKind,
    mapping: Mapping[str, str],
    options: Options,
    dry_run: bool,
    by: AbstractBaseUser,
    headers: Sequence[str] | None = None,
) -> Import:
    """Have a worker import an uploaded file. What is imported for good keeps its mapping for the source's next file.

    Raises InvalidInput for a mapping that cannot work; with `headers`, also for columns the file does not have.
    """
    parse(mapping, kind=kind, headers=headers)
    record = new(
        kind=kind, file_name=upload.file_name, mapping=mapping, options=options, dry_run=dry_run, by=by
    )
    record.status, record.lease, record.upload, record.bytes_total = (
        ImportStatus.QUEUED, "", upload, upload.size,
    )  # fmt: skip
    record.save()
    if upload.source and not dry_run:
        remember(name=upload.source, kind=kind, mapping=mapping, options=options, by=by)
    wake(record.pk)
    log.info("import_queued", import_id=record.pk, kind=str(kind), dry_run=dry_run)
    return record


def remember(
    *, name: str, kind: str, mapping: Mapping[str, str], options: Options, by: AbstractBaseUser | None
) -> None:
    """Keep a mapping for the next file of a source."""
    ImportSource.objects.update_or_create(
        name=name[:100],
        kind=kind,
        defaults={
            "mapping": dict(mapping),
            "options": options.stored(),
            "confirmed_by_id": by.pk if by else None,
        },
    )


def work(*, import_id: int) -> bool:
    """Claim an import that waits, or whose worker fell silent, and do what is left of it. False: nothing to claim."""
    from campaigns import importing

    now = timezone.now()
    lease = secrets.token_hex(16)
    silent = Q(status=ImportStatus.RUNNING) & Q(alive_at__lt=now - timedelta(seconds=SILENT_SECONDS))
    claimed = Import.objects.filter(
        Q(status=ImportStatus.QUEUED) | silent, pk=import_id, upload__isnull=False
    ).update(status=ImportStatus.RUNNING, lease=lease, alive_at=now)
    if claimed != 1:
        return False
    record = Import.objects.select_related("upload").get(pk=import_id)
    assert record.upload is not None
    try:
        with uploads.copy(record.upload) as path:
            importing.go_on(record=record, path=path)
    except Stopped:
        return True
    except DomainError as error:
        # Told to the person who waits for it; a worker cannot do more.
        Import.objects.filter(pk=record.pk, lease=lease, status=ImportStatus.RUNNING).update(
            status=ImportStatus.FAILED, error=str(error)[:500], finished_at=timezone.now()
        )
        return True
    if not record.dry_run:
        uploads.forget(record.upload)
    return True


def cancel(*, record: Import) -> bool:
    """Stop an import; False when it had ended. What was stored stays, and it may go on later."""
    return (
        Import.objects.filter(pk=record.pk, status__in=_UNFINISHED).update(
            status=ImportStatus.CANCELLED,
            lease="",
            finished_at=timezone.now(),
            error="Stopped by hand. What was stored before stays.",
        )
        == 1
    )


@transaction.atomic
def resume(*, record: Import) -> None:
    """Go on after the last chunk that was stored. Raises CannotResume when it is done or its file is gone."""
    if record.upload is None or not uploads.is_whole(record.upload):
        raise CannotResume(
            "Its file is no longer kept: upload it again. What was stored is found again and stays."
        )
    changed = Import.objects.filter(
        pk=record.pk, status__in=(ImportStatus.FAILED, ImportStatus.CANCELLED)
    ).update(status=ImportStatus.QUEUED, lease="", error="", finished_at=None)
    if changed != 1:
        raise CannotResume("It is running or done: there is nothing to go on with.")
    wake(record.pk)


def sweep() -> int:
    """Wake workers for imports that wait or whose worker fell silent; how many. Safe at any time."""
    before = timezone.now() - timedelta(seconds=SILENT_SECONDS)
    due = Import.objects.filter(
        Q(status=ImportStatus.QUEUED) | Q(status=ImportStatus.RUNNING, alive_at__lt=before),
        upload__isnull=False,
    ).values_list("pk", flat=True)
    for import_id in due:
        wake(import_id)
    # A command that was killed leaves no file to go on with.
    Import.objects.filter(status=ImportStatus.RUNNING, alive_at__lt=before, upload__isnull=True).update(
        status=ImportStatus.FAILED,
        error="Its process ended without a word. What was stored stays; running it again is harmless.",
        finished_at=timezone.now(),
    )
    return len(due)


def wake(import_id: int) -> None:
    """Tell a worker once the transaction commits. A broker that is away is left to the sweep."""
    transaction.on_commit(lambda: _send(import_id))


def _send(import_id: int) -> None:
    from campaigns import tasks

    try:
        tasks.run_import.delay(import_id=import_id)
    except OperationalError:
        log.warning("not_enqueued", task="campaigns.run_import", import_id=import_id)


def compare_names(*, upload: Upload, kind: str) -> None:
    """Have a worker compare the names of columns with those of our fields by meaning: the web process has no model."""

    def send() -> None:
        try:
            current_app.send_task(
                "generation.compare_column_names", kwargs={"upload_id": upload.pk, "kind": kind}
            )
        except OperationalError:
            log.info("names_not_compared", upload_id=upload.pk)

    transaction.on_commit(send)


def seconds_left(record: Import) -> float | None:
    """About how long a running import still takes; None when nothing tells yet."""
    if not record.is_busy or not record.bytes_read or record.alive_at is None:
        return None
    taken = (record.alive_at - record.started_at).total_seconds()
    return taken * (record.bytes_total - record.bytes_read) / record.bytes_read
