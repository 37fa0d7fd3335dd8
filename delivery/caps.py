"""How much a reader has had lately, over all campaigns: who must wait, and until when."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F, Q, QuerySet
from django.db.models.functions import Coalesce

from campaigns.models import Profile
from campaigns.models.channels import PERSONAL_CHANNELS
from campaigns.timing import Cap
from delivery.models import Delivery, DeliveryStatus

# Whatever may have reached the reader counts: what is on its way, and what nobody knows about, too.
_COUNTED = (DeliveryStatus.CLAIMED, DeliveryStatus.HANDED_OVER, DeliveryStatus.UNKNOWN)


def lock(profile_ids: Iterable[int]) -> set[int]:
    """Lock these readers until the transaction ends, so that two workers cannot both count before either sends.

    Those that another transaction holds are left out: they are looked at in the next round.
    """
    rows = Profile.objects.filter(pk__in=list(profile_ids)).order_by("pk")
    return set(rows.select_for_update(skip_locked=True, no_key=True).values_list("pk", flat=True))


def full_until(
    readers: Sequence[int] | QuerySet[Any], *, caps: Sequence[Cap], now: datetime
) -> dict[int, datetime]:
    """Of these readers (ids, or a query of them) those who have had enough, and when each may get one more."""
    if not caps:
        return {}
    longest = max(cap.days for cap in caps)
    # What went to an id that became this reader's went to this reader.
    former = dict(Profile.objects.filter(merged_into__in=readers).values_list("pk", "merged_into_id"))
    theirs = Q(piece__profile__in=readers)
    if former:
        theirs |= Q(piece__profile__in=list(former))
    rows = (
        Delivery.objects.filter(theirs, status__in=_COUNTED, channel__in=PERSONAL_CHANNELS)
        .annotate(at=Coalesce("finished_at", "begun_at", "created_at"), reader=F("piece__profile_id"))
        .filter(at__gt=now - timedelta(days=longest))
        .order_by("at")
        .values_list("reader", "channel", "at")
    )
    had: dict[int, list[tuple[str, datetime]]] = defaultdict(list)
    for reader, channel, at in rows.iterator(chunk_size=5000):
        had[former.get(reader) or reader].append((channel, at))
    full: dict[int, datetime] = {}
    for reader, messages in had.items():
        waits = [until for cap in caps if (until := _until(messages, cap, now))]
        if waits:
            full[reader] = max(waits)
    return full


def _until(messages: Sequence[tuple[str, datetime]], cap: Cap, now: datetime) -> datetime | None:
    """When the cap lets one more through: when the first of the last `most` messages is `days` old."""
    span = timedelta(days=cap.days)
    counted = [at for channel, at in messages if cap.channel in ("", channel) and at > now - span]
    return counted[-cap.most] + span if len(counted) >= cap.most else None
