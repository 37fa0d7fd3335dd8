"""Ads as their platforms read them: files back into fields, held to each platform's limits. Pure but for channels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from campaigns.models import Channel
from delivery import sheets
from generation.writer import channels
from generation.writer.types import Channel as WritersChannel
from generation.writer.types import Fields
from personalize.core.errors import InvalidInput

# The heading of each field, as our files have it. Read without regard to case: exports differ in it.
SINGLE: Mapping[Channel, Mapping[str, str]] = {
    Channel.META_AD: {"primary_text": "Body", "headline": "Title", "description": "Link Description"},
    Channel.LINKEDIN_AD: {"intro": "Introductory Text", "headline": "Headline"},
}
NUMBERED = {"headlines": ("Headline", sheets.HEADLINES), "descriptions": ("Description", sheets.DESCRIPTIONS)}
LINKS = {
    Channel.GOOGLE_RSA: ("Final URL", "URL"),
    Channel.META_AD: ("Link",),
    Channel.LINKEDIN_AD: ("Destination URL",),
}
GROUPS = {
    Channel.GOOGLE_RSA: "Ad group",
    Channel.META_AD: "Ad Set Name",
    Channel.LINKEDIN_AD: "Campaign Name",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing a platform would refuse, or cut if not `hard`."""

    field: str
    message: str
    hard: bool


@dataclass(frozen=True, slots=True)
class Ad:
    row: int  # 1 is the first after the header
    group: str
    link: str
    fields: Fields
    problems: tuple[Problem, ...]


def read(channel: Channel, content: bytes) -> list[Ad]:
    """The ads of a file of ours, or of one exported from the platform with the same headings."""
    if channel not in LINKS:
        raise InvalidInput(f"{Channel(channel).label} is no ad.", field="channel")
    try:
        rows = sheets.read(content)
    except UnicodeDecodeError as error:
        raise InvalidInput("The file is not UTF-8. Export it again as CSV, UTF-8.", field="file") from error
    found = []
    for number, row in enumerate(rows, start=1):
        cells = {str(name).strip().casefold(): (cell or "").strip() for name, cell in row.items() if name}
        fields = _fields(channel, cells)
        link = next((cells[name.casefold()] for name in LINKS[channel] if cells.get(name.casefold())), "")
        group = cells.get(GROUPS[channel].casefold(), "")
        found.append(Ad(number, group, link, fields, tuple(check(channel, fields))))
    return found


def check(channel: Channel, fields: Fields) -> Iterable[Problem]:
    """What the platform would refuse (too many, too few, too long, twice the same) or cut."""
    for spec in channels.SPECS[_writers(channel)].fields:
        texts = [text for text in channels.items(fields.get(spec.name, "")) if text]
        if spec.items:
            least, most = spec.items
            if not least <= len(texts) <= most:
                yield Problem(spec.name, f"{len(texts)} {spec.name}: {least} to {most} are taken", True)
            if len({text.casefold() for text in texts}) < len(texts):
                yield Problem(spec.name, f"two {spec.name} are the same", True)
        elif not texts:
            yield Problem(spec.name, f"no {spec.name}", spec.name != "description")
        for text in texts:
            length = channels.length(text, spec.measure)
            if length > spec.limit:
                yield Problem(
                    spec.name, f"{length} characters, {spec.limit} are {'taken' if spec.hard else 'shown'}", spec.hard
                )  # fmt: skip


def _fields(channel: Channel, cells: Mapping[str, str]) -> Fields:
    if channel == Channel.GOOGLE_RSA:
        return {
            name: [text for n in range(1, most + 1) if (text := cells.get(f"{heading} {n}".casefold(), ""))]
            for name, (heading, most) in NUMBERED.items()
        }
    return {name: cells.get(heading.casefold(), "") for name, heading in SINGLE[channel].items()}


def _writers(channel: Channel) -> WritersChannel:
    return WritersChannel(channel.value)
