"""Ads and messages as files: claimed like mails, delivered when the file is in place.

The ExportFile row is made with the claim and names the file before it exists; the file appears by rename, whole
or not at all. So after a crash the file itself says what happened, and nothing here is ever uncertain. All
processes that deliver must see the same OUTPUT_DIR.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import structlog
from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, PermissionsMixin
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from campaigns import brand_access
from campaigns.models import Channel, Run
from delivery import claiming, sheets
from delivery.claiming import Ready
from delivery.models import Delivery, DeliveryStatus, ExportFile, Transport
from delivery.sheets import Line
from generation.models import Piece, Status
from personalize.core.errors import DomainError, NotAllowed, TransientFailure

log = structlog.get_logger(__name__)

FILE_CHANNELS = tuple(sheets.COLUMNS)
MOST_ROWS = 20_000  # in one file: what one claim locks, and what a spreadsheet opens at ease
_UNDECIDED = (Status.DRAFT, Status.GENERATING, Status.IN_REVIEW)


def by_file() -> tuple[Channel, ...]:
    """Channels that leave as files: all but those that are posted to a message service."""
    posted = (Channel.SMS, Channel.PUSH) if settings.MESSAGES_URL else ()
    return tuple(channel for channel in FILE_CHANNELS if channel not in posted)


class NothingToExport(DomainError):
    """The run may not be exported now; the message says why."""

    code = "nothing_to_export"


class CannotWrite(TransientFailure):
    """The file could not be written; its pieces are approved as before."""


def export_run(
    *,
    run: Run,
    by: AbstractBaseUser | None = None,
    now: datetime | None = None,
    complete_only: bool = False,
) -> list[ExportFile]:
    """Write a file for each file channel of the run that has approved pieces; those files, maybe none.

    `complete_only`: only channels of which nothing is still being written or reviewed. Raises NothingToExport
    when the run is not released or its campaign is stopped, NotAllowed, CannotWrite.
    """
    if isinstance(by, PermissionsMixin) and not by.has_perm("campaigns.send_campaign"):
        raise NotAllowed("You may not export runs. Ask somebody who may release runs for sending.")
    brand_access.check(by, run.campaign.brand_id)
    now = now or timezone.now()
    if not claiming.open_runs().filter(pk=run.pk).exists():
        raise NothingToExport(
            "This run is not released for sending."
            if run.released_at is None
            else "This run or its campaign is paused or closed."
        )
    files: list[ExportFile] = []
    for channel in by_file():
        if complete_only and _pieces(run, channel).filter(status__in=_UNDECIDED).exists():
            continue
        while file := _export(run, channel, now):
            files.append(file)
    return files


def runs_with_complete_channels(*, now: datetime) -> list[Run]:
    """Runs with approved pieces on a file channel of which nothing is left to write or review."""
    undecided = Piece.objects.filter(run=OuterRef("run"), channel=OuterRef("channel"), status__in=_UNDECIDED)
    mine = claiming.due(now=now, channels=by_file()).filter(~Exists(undecided), run=OuterRef("pk"))
    return list(claiming.open_runs().filter(Exists(mine)).order_by("id"))


def location(file: ExportFile) -> Path:
    """Where the file lies. Refuses a path that leads out of OUTPUT_DIR."""
    root = Path(settings.OUTPUT_DIR).resolve()
    path = (root / file.path).resolve()
    if not path.is_relative_to(root):
        raise NothingToExport("This file's path leads out of the output folder.")
    return path


def sweep(*, now: datetime) -> int:
    """Settle files whose writer died: in place -> delivered; not in place -> their pieces are approved again."""
    stale = Delivery.objects.filter(
        status=DeliveryStatus.CLAIMED, transport=Transport.FILE, lease_until__lt=now
    )
    return sum(_settle_stale(file_id, now) for file_id in set(stale.values_list("export_file_id", flat=True)))


@transaction.atomic
def _settle_stale(file_id: int | None, now: datetime) -> int:
    """One file, under the lock that its writer takes before it lets the file appear."""
    file = None
    if file_id is not None:
        file = ExportFile.objects.select_for_update().filter(pk=file_id).first()
    rows = Delivery.objects.filter(
        status=DeliveryStatus.CLAIMED, transport=Transport.FILE, lease_until__lt=now, export_file_id=file_id
    )
    ready = [Ready(row.piece_id, row.pk, row.attempts, row.message_id, "", Line({}, "")) for row in rows]
    if not ready:
        return 0
    if file is not None and location(file).is_file():
        return _finish(file, ready)
    return _give_back(file, ready)


def _export(run: Run, channel: Channel, now: datetime) -> ExportFile | None:
    """One file of at most MOST_ROWS rows, or None when no piece could be claimed."""
    file, ready = _claim(run, channel, now)
    if file is None:
        return None
    path = location(file)
    content = sheets.write(channel, (one.content.row for one in ready))
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        if not _put_in_place(file, ready, temporary):
            temporary.unlink()
            log.warning("export_claim_lost", run_id=run.pk, channel=str(channel), file_id=file.pk)
            return None
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        _give_back(file, ready)
        raise CannotWrite(f"The export file could not be written: {error.strerror}.") from error
    _finish(file, ready)
    file.refresh_from_db()
    log.info("exported", run_id=run.pk, channel=str(channel), rows=file.rows, file_id=file.pk)
    return file


@transaction.atomic
def _put_in_place(file: ExportFile, ready: list[Ready[Line]], temporary: Path) -> bool:
    """Let the file appear if all its claims still hold; False, and no file, when a sweeper gave the pieces back.

    The lock on the file's row keeps a sweeper from deciding at the same moment.
    """
    if ExportFile.objects.select_for_update().filter(pk=file.pk).first() is None:
        return False
    held = Delivery.objects.filter(
        export_file=file, status=DeliveryStatus.CLAIMED, lease_until__gt=timezone.now()
    )
    if held.count() != len(ready):
        return False
    temporary.replace(location(file))
    return True


@transaction.atomic
def _claim(run: Run, channel: Channel, now: datetime) -> tuple[ExportFile | None, list[Ready[Line]]]:
    """The file's row and its claimed pieces, in one transaction."""
    if not claiming.due(now=now, channels=[channel]).filter(run_id=run.pk).exists():
        return None, []
    file = ExportFile.objects.create(run=run, channel=channel, rows=0, path=_path(run, channel))
    claimed = claiming.claim(
        run_id=run.pk,
        channel=channel,
        prepare=lambda piece, _: sheets.line(piece),
        transport=Transport.FILE,
        limit=MOST_ROWS,
        now=now,
        export_file=file,
    )
    if not claimed.ready:
        file.delete()
        return None, []
    file.rows = len(claimed.ready)
    file.save(update_fields=["rows"])
    return file, claimed.ready


@transaction.atomic
def _finish(file: ExportFile, ready: list[Ready[Line]]) -> int:
    digest = hashlib.sha256(location(file).read_bytes()).hexdigest()
    settled = claiming.settle(ready=ready, status=DeliveryStatus.HANDED_OVER, response="in an export file")
    ExportFile.objects.filter(pk=file.pk, finished_at=None).update(sha256=digest, finished_at=timezone.now())
    return len(settled)


@transaction.atomic
def _give_back(file: ExportFile | None, ready: list[Ready[Line]]) -> int:
    settled = claiming.settle(
        ready=ready, status=DeliveryStatus.RETRY, response="no file was written", retry_after=timezone.now()
    )
    if file is not None:
        file.delete()
    return len(settled)


def _pieces(run: Run, channel: Channel) -> QuerySet[Piece]:
    return Piece.objects.filter(run=run, channel=channel)


def _path(run: Run, channel: Channel) -> str:
    """Readable, and never used twice: the end is random, so a name says nothing of other files."""
    return f"exports/{run.campaign.slug}-run-{run.pk}-{channel}-{uuid.uuid4().hex[:8]}.csv"
