"""Sending approved e-mails: never twice, never lost.

Each mail goes: claim (one transaction with every check) -> `begun_at` -> hand over, no transaction open -> settle.
A worker that dies before `begun_at` leaves a claim that `sweep` gives back; one that dies after it leaves an
uncertain end, which becomes `unknown` and waits for a person.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import structlog
from django.contrib.auth.models import AbstractBaseUser, PermissionsMixin
from django.core.mail import EmailMultiAlternatives
from django.core.mail.message import utf8_charset_qp
from django.db import connection, transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from campaigns import brand_access, timing
from campaigns.models import Channel, Run, RunStatus, SuppressionReason
from delivery import claiming, exports, stopping, throttle
from delivery.claiming import Ready
from delivery.models import Delivery, DeliveryStatus, Hold, HoldReason, Transport
from delivery.rendering import Rendered, render_email
from delivery.transports import CannotConnect, Kind, Mailer, Verdict
from generation.models import Piece, Status
from generation.transitions import advance
from personalize.core.errors import DomainError, InvalidInput, NotAllowed

log = structlog.get_logger(__name__)

BATCH = 25  # mails claimed together: what a pause or a crash can find half-way
MOST_TRIES = 12  # with the waits below about a day
FIRST_WAIT = timedelta(minutes=1)
LONGEST_WAIT = timedelta(hours=4)


class NotSent(DomainError):
    """The piece cannot leave now; the message says why."""

    code = "not_sent"


class Resolution(StrEnum):
    """What a person found out about a mail whose end was uncertain."""

    DELIVERED = "delivered"
    SEND_AGAIN = "send_again"
    WITHDRAW = "withdraw"


@dataclass(slots=True)
class Summary:
    """What one round did. Counts of pieces."""

    handed_over: int = 0
    retry: int = 0
    failed: int = 0
    unknown: int = 0
    returned: int = 0  # back to review
    withdrawn: int = 0
    held: int = 0  # their time has not come
    exported: int = 0  # in files
    trouble: str = ""  # what stopped the round early

    @property
    def left(self) -> int:
        return self.handed_over + self.exported


def deliver_due(
    *,
    now: datetime | None = None,
    limit: int = 2000,
    progress: Callable[[Summary], None] | None = None,
) -> Summary:
    """Send due e-mails, up to `limit`, a batch of each run in turn; then export channels that are complete.

    Any number of workers may do this at once. Nothing due: no connection is opened and nothing is written.
    """
    now = now or timezone.now()
    summary = Summary()
    runs = list(_runs_with_due(now))
    if runs:
        with Mailer() as mailer:
            try:
                mailer.open()  # before anything is claimed
                _take_turns(runs, mailer, now, limit, summary, progress)
            except CannotConnect as error:
                summary.trouble = str(error)
    for run in exports.runs_with_complete_channels(now=now):
        try:
            summary.exported += sum(
                file.rows for file in exports.export_run(run=run, now=now, complete_only=True)
            )
        except exports.CannotWrite as error:
            summary.trouble = str(error)
    if summary.left or summary.trouble or summary.returned or summary.withdrawn or summary.held:
        log.info("delivery_round", **_counts(summary))
    return summary


def deliver(*, piece_id: int, now: datetime | None = None) -> Delivery:
    """Send one approved e-mail now; its Delivery as settled. Raises NotSent with the reason, CannotConnect."""
    now = now or timezone.now()
    piece = Piece.objects.filter(pk=piece_id).first()
    if piece is None:
        raise NotSent("There is no such piece.")
    if piece.channel != Channel.EMAIL:
        raise NotSent("Only e-mails are sent one by one. Other channels leave as files: export the run.")
    with Mailer() as mailer:
        mailer.open()
        limits = timing.limits_of(piece.run.campaign)
        if not throttle.take(limits, 1):
            raise NotSent("The limit of messages a minute is reached. It leaves with one of the next rounds.")
        claimed = _claim(run_id=piece.run_id, now=now, limit=1, only=piece_id)
        throttle.give_back(limits, 1 - len(claimed.ready))
        if why := claimed.returned.get(piece_id):
            raise NotSent(f"It went back to review. {why}")
        if why := claimed.withdrawn.get(piece_id):
            raise NotSent(f"It was withdrawn: {why}.")
        if wait := claimed.held.get(piece_id):
            raise NotSent(f"It waits until {wait.until:%d %B %Y, %H:%M} UTC: {wait.reason.label.lower()}.")
        if not claimed.ready:
            raise NotSent(_why_not_due(piece))
        _hand_over(claimed.ready, mailer, Summary())
    return Delivery.objects.get(piece_id=piece_id)


@transaction.atomic
def sweep(*, now: datetime | None = None) -> dict[str, int]:
    """Settle claims past their lease: not begun -> back to approved; begun -> unknown, for a person.

    A file's claim is never uncertain: the file is in place, whole, or it isn't.
    """
    now = now or timezone.now()
    stale = Delivery.objects.filter(status=DeliveryStatus.CLAIMED, lease_until__lt=now)
    mails = list(stale.exclude(transport=Transport.FILE).select_for_update(skip_locked=True))
    certain = [_ready(row) for row in mails if row.begun_at is None]
    uncertain = [_ready(row) for row in mails if row.begun_at is not None]
    counts = {
        "given_back": len(claiming.settle(ready=certain, status=DeliveryStatus.RETRY)),
        "unknown": len(
            claiming.settle(
                ready=uncertain,
                status=DeliveryStatus.UNKNOWN,
                response="the worker stopped while handing it over",
            )
        ),
        "files": exports.sweep(now=now),
    }
    if any(counts.values()):
        log.warning("stale_deliveries_settled", **counts)
    return counts


@transaction.atomic
def resolve_unknown(*, piece_id: int, by: AbstractBaseUser, verdict: str, note: str = "") -> Piece:
    """A person's decision on an uncertain end: it arrived, send it again (the reader may get two), or let it be.

    Raises NotAllowed without the permission to send, NotSent when the piece is not uncertain (any more).
    """
    if isinstance(by, PermissionsMixin) and not by.has_perm("campaigns.send_campaign"):
        raise NotAllowed("You may not resolve deliveries. Ask somebody who may release runs for sending.")
    _check_brand(piece_id, by)
    try:
        resolution = Resolution(verdict)
    except ValueError:
        raise InvalidInput(
            f"The decision must be one of: {', '.join(Resolution)}.", field="verdict"
        ) from None
    delivery = Delivery.objects.select_for_update().filter(piece_id=piece_id).first()
    piece = Piece.objects.select_for_update().filter(pk=piece_id).first()
    if piece is None or delivery is None or piece.status != Status.UNKNOWN:
        raise NotSent("This delivery is not uncertain any more. Open it again to see what happened.")
    now = timezone.now()
    match resolution:
        case Resolution.DELIVERED:
            delivery.status, delivery.finished_at = DeliveryStatus.HANDED_OVER, now
            advance(piece, Status.DELIVERED, actor=by, note=note or "found delivered", delivered_at=now)
        case Resolution.SEND_AGAIN:
            delivery.status, delivery.retry_after = DeliveryStatus.RETRY, now
            advance(piece, Status.APPROVED, actor=by, note=note or "to be sent again")
        case Resolution.WITHDRAW:
            delivery.status, delivery.finished_at = DeliveryStatus.FAILED, now
            advance(piece, Status.WITHDRAWN, actor=by, note=note or "left as it is")
    delivery.save(update_fields=["status", "finished_at", "retry_after"])
    log.info("unknown_resolved", piece_id=piece_id, verdict=str(resolution), by=by.pk)
    return piece


@transaction.atomic
def send_failed_again(*, piece_id: int, by: AbstractBaseUser, note: str = "") -> Piece:
    """Approve a refused piece for another delivery, once the cause is mended: a block list, a wrong setting.

    All checks of a claim are made again then. Raises NotAllowed, or NotSent when its delivery did not fail.
    """
    if isinstance(by, PermissionsMixin) and not by.has_perm("campaigns.send_campaign"):
        raise NotAllowed("You may not send again. Ask somebody who may release runs for sending.")
    _check_brand(piece_id, by)
    delivery = Delivery.objects.select_for_update().filter(piece_id=piece_id).first()
    piece = Piece.objects.select_for_update().filter(pk=piece_id).first()
    failed = piece is not None and delivery is not None and piece.status == Status.FAILED
    if piece is None or delivery is None or not failed or not piece.approved_hash:
        raise NotSent("The delivery of this piece has not failed. Open it again to see what happened.")
    Delivery.objects.filter(pk=delivery.pk).update(
        status=DeliveryStatus.RETRY, retry_after=timezone.now(), finished_at=None, lease_until=None
    )
    advance(piece, Status.APPROVED, actor=by, note=note or "to be sent again", error="")
    log.info("failed_sent_again", piece_id=piece_id, by=by.pk)
    return piece


def _check_brand(piece_id: int, by: AbstractBaseUser) -> None:
    brand = Piece.objects.filter(pk=piece_id).values_list("run__campaign__brand", flat=True).first()
    if brand is not None:
        brand_access.check(by, brand)


def wait(attempt: int) -> timedelta:
    """How long to wait after try number `attempt`: doubling, with up to a fifth more so that tries spread out."""
    doubled: timedelta = FIRST_WAIT * 2.0 ** (attempt - 1)
    return min(doubled, LONGEST_WAIT) * random.uniform(1.0, 1.2)


def _runs_with_due(now: datetime) -> Sequence[int]:
    mine = claiming.due(now=now, channels=[Channel.EMAIL]).filter(run=OuterRef("pk"))
    ids: list[int] = list(
        claiming.open_runs().filter(Exists(mine)).order_by("id").values_list("pk", flat=True)
    )
    return ids


def _take_turns(
    runs: Sequence[int],
    mailer: Mailer,
    now: datetime,
    limit: int,
    summary: Summary,
    progress: Callable[[Summary], None] | None,
) -> None:
    """A large run does not make a small one wait: each has its turn until nothing is due or `limit` is reached."""
    waiting, room, begun = list(runs), limit, time.monotonic()
    limits_of_run = {
        run.pk: timing.limits_of(run.campaign)
        for run in Run.objects.filter(pk__in=runs).select_related("campaign")
    }
    while waiting and room > 0 and not summary.trouble:
        for run_id in list(waiting):
            limits = limits_of_run[run_id]
            granted = throttle.take(limits, min(BATCH, room))
            moment = now + timedelta(
                seconds=time.monotonic() - begun
            )  # a long round lasts past an hour's end
            claimed = _claim(run_id=run_id, now=moment, limit=granted) if granted else None
            throttle.give_back(limits, granted - len(claimed.ready) if claimed else granted)
            if not claimed:
                waiting.remove(run_id)
                continue
            summary.returned += len(claimed.returned)
            summary.withdrawn += len(claimed.withdrawn)
            summary.held += len(claimed.held)
            room -= sum(map(len, (claimed.ready, claimed.returned, claimed.withdrawn, claimed.held)))
            _hand_over(claimed.ready, mailer, summary)
            if progress:
                progress(summary)
            if room <= 0 or summary.trouble:
                return


def _claim(*, run_id: int, now: datetime, limit: int, only: int | None = None) -> claiming.Claimed[Rendered]:
    return claiming.claim(
        run_id=run_id,
        channel=Channel.EMAIL,
        prepare=_render,
        transport=Transport.MAIL,
        limit=limit,
        now=now,
        only=only,
    )


def _render(piece: Piece, message_id: str) -> Rendered:
    return render_email(piece, message_id=message_id)


def _hand_over(batch: Sequence[Ready[Rendered]], mailer: Mailer, summary: Summary) -> None:
    """Send the batch one by one; a fault that would meet every mail gives the rest back untouched."""
    for position, ready in enumerate(batch):
        if not begin(ready):
            # Paused or closed since the claim: nothing has left. Or the sweeper gave it to somebody else, and
            # then this claim's number no longer fits and nothing is written.
            claiming.settle(ready=[ready], status=DeliveryStatus.RETRY)
            continue
        verdict = mailer.send(message_of(ready))
        settle(ready, verdict, summary)
        if verdict.ours:
            summary.trouble = verdict.response
            rest = list(batch[position + 1 :])
            claiming.settle(ready=rest, status=DeliveryStatus.RETRY, retry_after=timezone.now() + FIRST_WAIT)
            summary.retry += len(rest)
            return


def message_of(ready: Ready[Rendered]) -> EmailMultiAlternatives:
    """The mail as Django's backends take it. Providers get ids alone beside it, for their reports."""
    rendered = ready.content
    message = EmailMultiAlternatives(
        subject=rendered.subject,
        body=rendered.text,
        from_email=rendered.sender,
        to=[ready.address],
        reply_to=[rendered.reply_to] if rendered.reply_to else None,
        headers=dict(rendered.headers),
    )
    message.attach_alternative(rendered.html, "text/html")
    # Seven bits on the way: a server that had to recode the mail would break its DKIM signature (RFC 6376, 5.3).
    message.encoding = utf8_charset_qp
    # Accounts with a provider are shared, by a staging server for one: the number alone could be another's.
    number = ready.message_id.strip("<>").partition("@")[0]
    _tell_provider(message, metadata={"delivery": str(ready.delivery_id), "mail": number})
    return message


def _tell_provider(message: EmailMultiAlternatives, *, metadata: dict[str, str]) -> None:
    """django-anymail reads these; its webhooks bring `metadata` back. Other backends do not look."""
    for name, value in (("metadata", metadata), ("track_opens", False), ("track_clicks", False)):
        setattr(message, name, value)


def begin(ready: Ready[Any]) -> bool:
    """Write that the mail may leave from now on; False when the claim is lost or the run was stopped meanwhile."""
    with connection.cursor() as cursor:
        cursor.execute(
            _BEGIN,
            (
                claiming.lease(),
                ready.delivery_id,
                ready.attempt,
                DeliveryStatus.CLAIMED.value,
                RunStatus.OPEN.value,
                [str(status) for status in claiming.STOPPED],
            ),
        )
        return int(cursor.rowcount) == 1


# Once for every mail: written out, since building it anew from a queryset takes longer than running it.
_BEGIN = """
UPDATE delivery_delivery SET begun_at = clock_timestamp(), lease_until = %s
WHERE id = %s AND attempts = %s AND status = %s AND begun_at IS NULL AND lease_until > clock_timestamp()
AND EXISTS (
    SELECT FROM generation_piece p
    JOIN campaigns_run r ON r.id = p.run_id JOIN campaigns_campaign c ON c.id = r.campaign_id
    WHERE p.id = delivery_delivery.piece_id AND r.status = %s AND NOT c.status = ANY(%s)
)
"""


def settle(ready: Ready[Any], verdict: Verdict, summary: Summary) -> None:
    match verdict.kind:
        case Kind.SENT:
            claiming.settle(ready=[ready], status=DeliveryStatus.HANDED_OVER, response=verdict.response)
            summary.handed_over += 1
        case Kind.UNKNOWN:
            claiming.settle(ready=[ready], status=DeliveryStatus.UNKNOWN, response=verdict.response)
            summary.unknown += 1
            log.warning("delivery_uncertain", piece_id=ready.piece_id, delivery_id=ready.delivery_id)
        case Kind.LATER if verdict.ours or ready.attempt < MOST_TRIES:
            until = timezone.now() + wait(ready.attempt)
            claiming.settle(
                ready=[ready], status=DeliveryStatus.RETRY, response=verdict.response, retry_after=until
            )
            summary.retry += 1
        case _:
            _refuse(ready, verdict)
            summary.failed += 1


@transaction.atomic
def _refuse(ready: Ready[Rendered], verdict: Verdict) -> None:
    claiming.settle(ready=[ready], status=DeliveryStatus.FAILED, response=verdict.response)
    if verdict.bad_address:
        piece = Piece.objects.select_related("profile").get(pk=ready.piece_id)
        if piece.profile is not None:
            stopping.stop(
                profile=piece.profile,
                channel=Channel(piece.channel),
                reason=SuppressionReason.BOUNCED,
                source="refused by the mail server",
                at=timezone.now(),
                address=ready.address,
                keep=ready.piece_id,
            )
    log.info("delivery_refused", piece_id=ready.piece_id, bad_address=verdict.bad_address)


def _ready(row: Delivery) -> Ready[Rendered]:
    return Ready(row.piece_id, row.pk, row.attempts, row.message_id, "", _NOTHING)


_NOTHING = Rendered(subject="", html="", text="", sender="", reply_to="")


def _why_not_due(piece: Piece) -> str:
    piece.refresh_from_db()
    if piece.status != Status.APPROVED:
        return f"It is not approved: its state is '{Status(piece.status).label}'."
    run = piece.run
    if not claiming.open_runs().filter(pk=run.pk).exists():
        if run.released_at is None:
            return "Its run has not been released for sending."
        return "Its run or campaign is paused or closed."
    hold = Hold.objects.filter(pk=piece.pk).first()
    if hold is not None:
        reason = HoldReason(hold.reason).label.lower()
        return f"It waits until {hold.until:%d %B %Y, %H:%M} UTC: {reason}."
    return "It is being delivered, or waits for its next try."


def _counts(summary: Summary) -> dict[str, object]:
    names = (
        "handed_over", "retry", "failed", "unknown", "returned", "withdrawn", "held", "exported", "trouble",
    )  # fmt: skip
    return {name: getattr(summary, name) for name in names if getattr(summary, name)}
