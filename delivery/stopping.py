"""A person wants, or may be sent, nothing more on a channel: everything that follows from it, at once."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from campaigns import consent
from campaigns.models import Channel, ConsentStatus, Profile, SuppressionReason
from delivery.models import Delivery, DeliveryStatus
from generation.models import Piece, Status
from generation.transitions import TRANSITIONS, advance_many
from personalize.core import outbox
from personalize.core.errors import InvalidInput

# A failed or uncertain piece is an operator's to settle; what is being handed over this moment has left.
WITHDRAWN_FROM = (Status.DRAFT, Status.GENERATING, Status.IN_REVIEW, Status.APPROVED, Status.FAILED)


@transaction.atomic
def stop(
    *,
    profile: Profile,
    channel: Channel,
    reason: SuppressionReason,
    source: str,
    at: datetime,
    address: str = "",
    address_hash: str = "",
    keep: int | None = None,
) -> int:
    """Suppress the address, withdraw the consent (but for a bounce) and every piece not yet sent; their number.

    `address`, or its keyed `address_hash`: the one it is about, the profile's present one when both are left out.
    A bounce of an address the person no longer has stops that address alone. `keep` names a piece to leave alone.
    Of an id that became another's, all this holds for that one, beside the address of its own.
    """
    if profile.merged_into is not None:
        former = address or consent.address_of(profile, channel)
        with suppress(InvalidInput):
            address_hash = address_hash or consent.address_hash(
                consent.normalise_address(channel, former) if former else ""
            )
        profile, address = profile.merged_into, ""
    present = consent.address_of(profile, channel)
    elsewhere = bool(address_hash) and address_hash != (
        consent.address_hash(consent.normalise_address(channel, present)) if present else ""
    )
    news = 0
    if address_hash:
        news += consent.suppress_hashes(pairs=[(address_hash, channel)], reason=reason)
    if elsewhere and reason == SuppressionReason.BOUNCED:
        return 0
    if reason != SuppressionReason.BOUNCED:
        news += consent.record(
            profile_id=profile.pk, channel=channel, status=ConsentStatus.WITHDRAWN, source=source, at=at
        )
    if not elsewhere and (address := address or present):
        # What was stored and is no address cannot be written to, so there is nothing to suppress.
        with suppress(InvalidInput):
            news += consent.suppress(address=address, channel=channel, reason=reason)
    if news:
        kind = "profile.bounced" if reason == SuppressionReason.BOUNCED else "profile.unsubscribed"
        outbox.add(kind, {"profile": profile.pk, "channel": str(channel), "reason": str(reason)})
    return withdraw_pieces(profile_id=profile.pk, channel=channel, note=reason.label, keep=keep)


def withdraw_pieces(*, profile_id: int, channel: Channel, note: str, keep: int | None = None) -> int:
    """Take back the reader's pieces of a channel that have not left; how many."""
    moved: list[int] = []
    mine = Piece.objects.filter(profile_id=profile_id, channel=channel)
    if keep is not None:
        mine = mine.exclude(pk=keep)
    for status in WITHDRAWN_FROM:
        if Status.WITHDRAWN not in TRANSITIONS[status]:
            continue
        moved += advance_many(
            mine, Status.WITHDRAWN, was=status, note=note, claim=None, lease_until=None, retry_after=None
        )
    Delivery.objects.filter(piece_id__in=moved, status=DeliveryStatus.RETRY).update(
        status=DeliveryStatus.FAILED,
        response=f"withdrawn: {note.lower()}",
        retry_after=None,
        finished_at=timezone.now(),
    )
    return len(moved)
