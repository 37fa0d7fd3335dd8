"""Leaving a list: the link in each mail, and what it does.

The token holds ids and a signature, never an address, and does not expire: a reader may leave after years.
Opening the page changes nothing (link scanners open every link); a POST does, and a second one is harmless.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.core import signing
from django.db import transaction
from django.utils import timezone

from campaigns import consent
from campaigns.models import Channel, Consent, ConsentStatus, Profile, SuppressionReason
from campaigns.models.privacy import MARKETING
from delivery import stopping
from delivery.models import Delivery, Outcome, OutcomeKind
from generation.models import Piece
from personalize.core import outbox

log = structlog.get_logger(__name__)

PREVIEW = "preview"
SOURCE = "unsubscribe link"
UNDO_SECONDS = 3600  # a mail that is handed on must not let its new reader sign the first one up again
_SALT = "delivery.unsubscribe"
_UNDO_SALT = "delivery.unsubscribe.undo"


@dataclass(frozen=True, slots=True)
class Place:
    """What a token stands for. `profile` is None when that person is no longer on file."""

    piece_id: int
    profile_id: int
    channel: Channel
    profile: Profile | None
    brand_name: str  # '' when the piece is no longer on file

    def on(self, channel: Channel) -> Place:
        """The same person on another channel."""
        return replace(self, channel=channel)


def url_for(piece: Piece) -> str:
    """The reader's own address of leaving this channel: page and RFC 8058 one-click in one."""
    return f"{settings.PUBLIC_URL}/u/{token_for(piece)}/"


def preview_url() -> str:
    """Stands in previews: its page says so and changes nothing."""
    return f"{settings.PUBLIC_URL}/u/{PREVIEW}/"


def token_for(piece: Piece) -> str:
    token: str = _signer().sign_object([piece.pk, piece.profile_id, str(piece.channel)])
    return token


def look_up(token: str) -> Place | None:
    """What the token stands for, or None when it is not one of ours."""
    try:
        piece_id, profile_id, channel = _signer().unsign_object(token)
    except (signing.BadSignature, ValueError, TypeError):
        return None
    piece = Piece.objects.select_related("run__campaign__brand").filter(pk=piece_id).first()
    profile = Profile.objects.select_related("merged_into").filter(pk=profile_id).first()
    if profile is not None and profile.merged_into is not None:  # the id it was sent to became another's
        profile = profile.merged_into
    return Place(
        piece_id=piece_id,
        profile_id=profile.pk if profile is not None else profile_id,
        channel=Channel(channel),
        profile=profile,
        brand_name=piece.run.campaign.brand.name if piece else "",
    )


@transaction.atomic
def leave(place: Place, *, now: datetime | None = None, source: str = SOURCE) -> str:
    """Withdraw consent, suppress the address and take back what is queued; the token for `come_back`.

    Done twice it changes nothing more. '' when there is nothing to come back to: the person is no longer on file,
    or had left before by another way, which an old mail in somebody's hands must not take back.
    """
    now = now or timezone.now()
    if place.profile is None:
        return ""
    may_undo = _was_on_the_list(place, now)
    withdrawn = stopping.stop(
        profile=place.profile,
        channel=place.channel,
        reason=SuppressionReason.UNSUBSCRIBED,
        source=source,
        at=now,
    )
    delivery = Delivery.objects.filter(piece_id=place.piece_id, channel=place.channel).first()
    if delivery is not None:
        # Where the mail was read may be another address by now than the person's: it is left alone too.
        consent.suppress_hashes(
            pairs=[(delivery.address_hash, place.channel)], reason=SuppressionReason.UNSUBSCRIBED
        )
        Outcome.objects.bulk_create(
            [
                Outcome(
                    delivery=delivery,
                    kind=OutcomeKind.UNSUBSCRIBED,
                    event_id=f"unsubscribe:{place.piece_id}",
                    occurred_at=now,
                )
            ],
            ignore_conflicts=True,
        )
    log.info("unsubscribed", piece_id=place.piece_id, channel=str(place.channel), withdrawn=withdrawn)
    if not may_undo:
        return ""
    return signing.TimestampSigner(salt=_UNDO_SALT, sep=".").sign(f"{place.profile_id}-{place.channel}")


def _was_on_the_list(place: Place, now: datetime) -> bool:
    """Whether mail could reach the person until this click, or until one on the same kind of page just now."""
    assert place.profile is not None
    agreed = Consent.objects.filter(profile=place.profile, channel=place.channel, purpose=MARKETING).first()
    if agreed is None:
        return False
    if agreed.status == ConsentStatus.GIVEN:
        address = consent.address_of(place.profile, place.channel)
        return bool(address) and not consent.is_suppressed(address=address, channel=place.channel)
    just_now = now - timedelta(seconds=UNDO_SECONDS)
    return agreed.source == SOURCE and agreed.recorded_at >= just_now


@transaction.atomic
def come_back(place: Place, undo: str, *, now: datetime | None = None) -> bool:
    """Take the leaving back, for an hour and with the token that `leave` gave. Withdrawn pieces stay withdrawn.

    The suppression that leaving made goes with it; one for a bounce or a complaint stays.
    """
    now = now or timezone.now()
    try:
        held = signing.TimestampSigner(salt=_UNDO_SALT, sep=".").unsign(undo, max_age=UNDO_SECONDS)
    except signing.BadSignature:
        return False
    if held != f"{place.profile_id}-{place.channel}" or place.profile is None:
        return False
    back = consent.record(
        profile_id=place.profile_id,
        channel=place.channel,
        status=ConsentStatus.GIVEN,
        source="unsubscribe page, taken back",
        at=now,
        explicit=True,
    )
    if back:
        refs = {"profile": place.profile_id, "channel": str(place.channel), "reason": "taken back"}
        outbox.add("profile.resubscribed", refs)
    log.info("unsubscribe_taken_back", piece_id=place.piece_id, channel=str(place.channel))
    return True


def _signer() -> signing.Signer:
    return signing.Signer(salt=_SALT, sep=".")
