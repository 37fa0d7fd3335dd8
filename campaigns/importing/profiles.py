"""Rows to people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from campaigns import cleaning, people
from campaigns.cleaning import Problem, Unusable
from campaigns.consent import ConsentInput
from campaigns.importing.mapping import FieldMap
from campaigns.importing.reading import Row
from campaigns.importing.running import Counts, Options, Tally, cell
from campaigns.models import AttributeDefinition, ConsentStatus, ImportKind, Profile
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
        given = {name: cell(row, fields.get(name)) or None for name in _PLAIN}
        whole = cell(row, fields.get("full_name"))
        if whole and not given["first_name"]:
            first, last = cleaning.split_name(whole)
            given["first_name"], given["last_name"] = first or None, given["last_name"] or last or None
        said, problems = self._consents(row)
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
        if minted:
            external_id = self._mint(minted, row, cleaned)
            if external_id:
                item = replace(item, external_id=external_id)
            else:
                problems.append(
                    Problem("external_id", "cannot be made: the row has neither e-mail nor telephone")
                )
        return (None if any(problem.refuses for problem in problems) else item), problems

    def _mint(self, made_of: str, row: Row, cleaned: Cleaned) -> str:
        """A stable id: the same row or contact gets the same one in every import."""
        if made_of == "row":
            return f"{self._stem}-{row.number}"
        email = (cleaned.item.email or "").lower() if made_of in ("contact", "email") else ""
        phone = (cleaned.item.phone or "") if made_of in ("contact", "phone") else ""
        text = email or phone
        return f"c-{keyed_hash(purpose='external-id', text=text)[:24]}" if text else ""

    def _consents(self, row: Row) -> tuple[list[ConsentInput], list[Problem]]:
        words = {
            channel: text for channel, take in self._fields.consents.items() if (text := cell(row, take))
        }
        if not words:
            return [], []
        refuses = not self._options.lenient
        at: datetime | None = None
        when = cell(row, self._fields.fields.get("consent_at"))
        if when:
            try:
                at = cleaning.moment(when, day_first=self._options.day_first, zone=self._options.zone)
            except Unusable as error:
                # Without its time a consent is no proof: it is not taken.
                return [], [Problem("consent_at", str(error), refuses)]
        source = cleaning.plain(cell(row, self._fields.fields.get("consent_source")))[:100]
        said, problems = [], []
        for channel, word in words.items():
            try:
                given = cleaning.boolean(word)
            except Unusable as error:
                problems.append(Problem(f"consent.{channel}", str(error), refuses))
                continue
            status = ConsentStatus.GIVEN if given else ConsentStatus.WITHDRAWN
            said.append(ConsentInput(channel=channel, status=status, source=source, at=at))
        return said, problems

    def store(self, items: Sequence[tuple[int, ProfileInput]], *, dry_run: bool) -> Counts:
        if not dry_run:
            result = people.store(items=[item for _, item in items], source=self._options.source)
            return Counts(result.created, result.updated, result.unchanged)
        ids = [item.external_id for _, item in items]
        known = set(Profile.objects.filter(external_id__in=ids).values_list("external_id", flat=True))
        created = sum(
            not earlier and external_id not in known
            for external_id, earlier in zip(ids, self._seen.add(ids), strict=True)
        )
        # What a change would change is only known by making it: a dry run counts every known person as updated.
        return Counts(created=created, updated=len(ids) - created)
