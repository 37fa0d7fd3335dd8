"""Before a launch: what it would make, for how many, and who is left out and why. Reads only."""

from __future__ import annotations

from dataclasses import dataclass

from campaigns import segments
from campaigns.models import Campaign, Channel
from campaigns.models.channels import AD_CHANNELS, PERSONAL_CHANNELS
from generation import arms, drafting


@dataclass(frozen=True, slots=True)
class ChannelForecast:
    label: str
    pieces: int
    left_out: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Forecast:
    readers: int  # people in the segment
    channels: tuple[ChannelForecast, ...]

    @property
    def pieces(self) -> int:
        return sum(channel.pieces for channel in self.channels)


def forecast(campaign: Campaign) -> Forecast:
    """Counted as a launch counts them, at this moment; the launch freezes its own."""
    personal = [c for c in PERSONAL_CHANNELS if c in campaign.channels]
    ads = [c for c in AD_CHANNELS if c in campaign.channels]
    found: list[ChannelForecast] = []
    readers = 0
    if personal and campaign.segment is not None:
        audience = segments.audience(campaign.segment)
        readers = audience.count()
        split = arms.split_of(campaign)
        for channel in personal:
            reached = drafting.reach(audience, channel=channel, size=readers, split=split)
            found.append(
                ChannelForecast(
                    Channel(channel).label, reached.readers.count(), tuple(reached.left_out.items())
                )
            )
    found += [ChannelForecast(f"{Channel(c).label}, for the audience", 1, ()) for c in ads]
    return Forecast(readers, tuple(found))
