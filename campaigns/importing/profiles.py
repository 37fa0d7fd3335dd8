"""Rows to people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from campaigns import cleaning, consent, people, twins
from campaigns.cleaning import Problem, Unusable
from campaigns.consent import ConsentInput
from campaigns.importing import standing
from campaigns.importing.mapping import FieldMap
from campaigns.importing.reading import Row
from campaigns.importing.running import Counts, Options, Tally, cell
from campaigns.models import (
    AttributeDefinition,
    Channel,
    ConsentStatus,
    ImportKind,
    Profile,
    Suppression,
    SuppressionReason,
)
from campaigns.people import Cleaned, ProfileInput
from personalize.core.keyed_hash import keyed_hash

_PLAIN = ("email", "phone", "first_name", "last_name", "locale", "time_zone")


class ProfileRows:
    """An empty cell says nothing: what is stored stays."""

    kind = ImportKind.PROFILES

    def __init__(self, *, fields: FieldMap, options: Options, file_stem: str, seen: Tally) -> None:
        self._fields = fields
        self._options = options
        self._stem = file_stem
        self._seen = seen  # ids met in this file, which a dry run needs to count
        self._stops: list[tuple[str, str, str]] = []  # (address hash, channel, reason) of the chunk at hand
        self._noes: list[tuple[str, ConsentInput]] = []  # of people whose row was refused for something else
        self._defined = people.definitions()
        if options.define_attributes:
            self._defined = {**fields.kinds, **self._defined}
        self.ignored = set(fields.attributes) - set(self._defined)

    def prepare(self) -> None:
        if self._options.define_attributes:
            AttributeDefinition.objects.bulk_create(
                [
                    AttributeDefinition(name=name, kind=kind, label=name.replace("_", " ").capitalize())
                    for name, kind in self._fields.kinds.items()
                ],
                ignore_conflicts=True,
            )

    def convert(self, row: Row) -> tuple[ProfileInput | None, list[Problem]]:
        fields = self._fields.fields
        given = {name: cell(row, fields.get(name), name=name) or None for name in _PLAIN}
        whole = cell(row, fields.get("full_name"), name="full_name")
        if whole and not given["first_name"]:
            first, last = cleaning.split_name(whole)
            given["first_name"], given["last_name"] = first or None, given["last_name"] or last or None
        said, stops, problems = self._consents(row)
        minted = fields["external_id"].constant
        cleaned = people.clean(
            ProfileInput(
                external_id="to be made" if minted else cell(row, fields["external_id"]),
                attributes={
                    name: text
                    for name, take in self._fields.attributes.items()
                    if name in self._defined and (text := cell(row, take))
                },
                consents=said,
                region=cell(row, fields.get("country")) or self._options.region,
                **given,
            ),
            defined=self._defined,
            lenient=self._options.lenient,
        )
        problems += cleaned.problems
        item = cleaned.item
        external_id = item.external_id
        if minted:
            external_id = self._mint(minted, row, cleaned)
            if external_id:
                item = replace(item, external_id=external_id)
            else:
                problems.append(
                    Problem("external_id", "cannot be made: the row has neither e-mail nor telephone")
                )
        refused = any(problem.refuses for problem in problems)
        # Whoever asked to be left alone is heard, whatever else is wrong with the row.
        self._stops += [
            (address_hash(item, channel), channel, reason)
            for channel, reason in stops
            if address_hash(item, channel)
        ]
        if refused and external_id:
            self._noes += [(external_id, each) for each in said if each.status == ConsentStatus.WITHDRAWN]
        return (None if refused else item), problems

    def _mint(self, made_of: str, row: Row, cleaned: Cleaned) -> str:
        """A stable id: the same row or contact gets the same one in every import."""
        if made_of == "row":
            return f"{self._stem}-{row.number}"
        email = (cleaned.item.email or "").lower() if made_of in ("contact", "email") else ""
        phone = (cleaned.item.phone or "") if made_of in ("contact", "phone") else ""
        text = email or phone
        return f"c-{keyed_hash(purpose='external-id', text=text)[:24]}" if text else ""

    def _consents(self, row: Row) -> tuple[list[ConsentInput], list[tuple[str, str]], list[Problem]]:
        """What the row says of consent, which channels it stops and why, and what could not be understood."""
        problems: list[Problem] = []
        stops: list[tuple[str, str]] = [
            (channel, standing.REASONS[group])
            for (group, channel), take in self._fields.stops.items()
            if standing.stops(cell(row, take))
        ]
        words = {
            channel: text for channel, take in self._fields.consents.items() if (text := cell(row, take))
        }
        if not words and not stops:
            return [], [], []
        source = cleaning.plain(cell(row, self._fields.fields.get("consent_source")))[:100]
        at, timely = self._said_at(row, problems)
        said = []
        for channel, word in words.items():
            try:
                status, reason = standing.said(word)
            except Unusable as error:
                problems.append(Problem(f"consent.{channel}", str(error), not self._options.lenient))
                continue
            if reason:
                stops.append((channel, reason))
            elif status and timely:  # without its time a consent is no proof: it is not taken
                said.append(ConsentInput(channel=channel, status=status, source=source, at=at))
        # A 'no' of a list is in force now, whenever it was first said: no older 'yes' may outlive it.
        withdrawn = {channel for channel, reason in stops if reason != SuppressionReason.BOUNCED}
        said = [each for each in said if each.channel not in withdrawn] + [
            ConsentInput(channel=channel, status=ConsentStatus.WITHDRAWN, source=source)
            for channel in sorted(withdrawn)
        ]
        return said, stops, problems

    def _said_at(self, row: Row, problems: list[Problem]) -> tuple[datetime | None, bool]:
        when = cell(row, self._fields.fields.get("consent_at"))
        if not when:
            return None, True
        try:
            return cleaning.moment(when, day_first=self._options.day_first, zone=self._options.zone), True
        except Unusable as error:
            problems.append(Problem("consent_at", str(error), not self._options.lenient))
            return None, False

    def recall(self, items: Sequence[tuple[int, ProfileInput]]) -> None:
        self._stops, self._noes = [], []
        self._seen.add([item.external_id for _, item in items])

    def store(self, items: Sequence[tuple[int, ProfileInput]], *, dry_run: bool) -> Counts:
        stops, self._stops = self._stops, []
        noes, self._noes = self._noes, []
        counts = Counts(stopped=_stop(stops, dry_run=dry_run))
        numbers, people_read = [number for number, _ in items], [item for _, item in items]
        if not dry_run:
            if items:
                result = people.store(items=people_read, source=self._options.source)
                counts.created, counts.updated, counts.unchanged = (
                    result.created, result.updated, result.unchanged,
                )  # fmt: skip
                counts.problems = [(numbers[place], problem) for place, problem in result.left_out]
            self._hear(noes)
            return counts
        left_out = twins.without_second_answers(people_read)[1]
        counts.problems = [(numbers[place], problem) for place, problem in left_out]
        ids = [item.external_id for _, item in items]
        known = set(Profile.objects.filter(external_id__in=ids).values_list("external_id", flat=True))
        counts.created = sum(
            not earlier and external_id not in known
            for external_id, earlier in zip(ids, self._seen.add(ids) if ids else [], strict=True)
        )
        # What a change would change is only known by making it: a dry run counts every known person as updated.
        counts.updated = len(ids) - counts.created
        return counts

    def _hear(self, noes: Sequence[tuple[str, ConsentInput]]) -> None:
        """Withdrawals of people we know, in rows that were refused for something else."""
        if not noes:
            return
        known = dict(
            Profile.objects.filter(external_id__in={external_id for external_id, _ in noes}).values_list(
                "external_id", "pk"
            )
        )
        consent.record_many(
            items=[
                (known[external_id], replace(each, source=each.source or self._options.source))
                for external_id, each in noes
                if external_id in known
            ]
        )


def address_hash(item: ProfileInput, channel: str) -> str:
    """The hash under which an address of this item is suppressed, "" without one."""
    address = {
        Channel.EMAIL: (item.email or "").lower(),
        Channel.SMS: item.phone or "",
        Channel.PUSH: item.external_id,
    }
    return consent.address_hash(address[Channel(channel)])


def _stop(stops: Sequence[tuple[str, str, str]], *, dry_run: bool) -> int:
    """Put addresses on the suppression list; how many were not on it."""
    if not stops:
        return 0
    if dry_run:
        known = set(
            Suppression.objects.filter(address_hash__in={hashed for hashed, _, _ in stops}).values_list(
                "address_hash", "channel"
            )
        )
        return len({(hashed, channel) for hashed, channel, _ in stops} - known)
    return sum(
        consent.suppress_hashes(
            pairs=[(hashed, channel) for hashed, channel, why in stops if why == reason], reason=reason
        )
        for reason in standing.REASONS.values()  # the gravest last: it replaces the others
    )
