"""What a reader wants to get, channel by channel, on the page that every mail leads to.

Turning off is theirs at any time and at once. Turning on again is theirs for an hour after that, as on the page to
unsubscribe: the mail may be in somebody else's hands by then.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from campaigns import consent
from campaigns.models import Channel, Profile
from campaigns.models.channels import PERSONAL_CHANNELS
from delivery import unsubscribe
from delivery.unsubscribe import Place


@dataclass(frozen=True, slots=True)
class Choice:
    channel: Channel
    on: bool


@dataclass(frozen=True, slots=True)
class Left:
    """A channel just turned off; `undo` is for `unsubscribe.come_back`, '' where there is nothing to take back."""

    channel: Channel
    undo: str


def choices(place: Place) -> list[Choice]:
    """The channels on which this person can be reached, and whether they are."""
    if place.profile is None:
        return []
    me = Profile.objects.filter(pk=place.profile.pk)
    return [
        Choice(channel, consent.may_receive(me, channel=channel).exists())
        for channel in PERSONAL_CHANNELS
        if consent.address_of(place.profile, channel) and _was_asked(place.profile, channel)
    ]


@transaction.atomic
def turn_off(place: Place, *, channels: Collection[str], now: datetime | None = None) -> list[Left]:
    """Leave those of the channels that are on; what was off already stays as it is."""
    return [
        Left(choice.channel, unsubscribe.leave(place.on(choice.channel), now=now))
        for choice in choices(place)
        if choice.on and choice.channel in channels
    ]


def _was_asked(profile: Profile, channel: Channel) -> bool:
    """Push goes to the CRM's id, which everybody has: without a word about a channel it is not shown."""
    return profile.consents.filter(channel=channel).exists()
