"""People come in, change and go. The only writer of profiles, so that addresses are clean and hashed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import structlog
from django.contrib.auth.models import AbstractBaseUser
from django.db import connection, transaction
from django.db.models import Q
from django.db.models.functions import Coalesce
from django.utils import timezone

from campaigns import cleaning, consent, twins
from campaigns.cleaning import AttributeValue, Problem, Unusable
from campaigns.consent import ConsentInput
from campaigns.models import (
    AttributeDefinition,
    ConsentStatus,
    Profile,
    SuppressionReason,
)
from campaigns.models.channels import PERSONAL_CHANNELS
from campaigns.sensitive import is_secret_name
from campaigns.tracking import ledger
from personalize.core import idempotency
from personalize.core.errors import DomainError, InvalidInput

__all__ = [
    "ConsentInput",
    "Problem",
    "ProfileInput",
    "UnknownProfile",
    "UpsertResult",
    "check",
    "erase",
    "upsert",
]

log = structlog.get_logger(__name__)
BATCH = 2_000  # rows of one statement


@dataclass(frozen=True, slots=True)
class ProfileInput:
    """What is known of one person. None: not given, so what is stored stays; "": known to be empty.

    `region` (GB) or an attribute `country` says where telephone numbers without + belong. An attribute of
    None removes it; attributes not named stay.
    """

    external_id: str
    email: str | None = None
    phone: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    locale: str | None = None
    time_zone: str | None = None
    attributes: Mapping[str, object] = field(default_factory=dict)
    consents: Sequence[ConsentInput] = ()
    region: str = ""


@dataclass(frozen=True, slots=True)
class UpsertResult:
    """`left_out`: values that were not kept, by index of the item. `ids`: external id -> primary key."""

    created: int
    updated: int
    unchanged: int = 0
    ignored_attributes: set[str] = field(default_factory=set)
    left_out: list[tuple[int, Problem]] = field(default_factory=list)
    ids: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cleaned:
    """An item ready to store, what is wrong with it, and the names of attributes nobody defined."""

    item: ProfileInput
    problems: list[Problem]
    ignored: set[str]

    @property
    def refused(self) -> bool:
        return any(problem.refuses for problem in self.problems)


class UnknownProfile(DomainError):
    """There is no profile of this external id."""

    status = 404
    code = "unknown_profile"


def definitions() -> dict[str, str]:
    """The allow-list: attribute name -> kind."""
    return dict(AttributeDefinition.objects.values_list("name", "kind"))


def check(item: ProfileInput) -> list[Problem]:
    """Everything wrong with an item. Those that `refuses` keep it out; the others cost one value."""
    return clean(item, defined=definitions()).problems


def clean(item: ProfileInput, *, defined: Mapping[str, str], lenient: bool = False) -> Cleaned:
    """The item in its normal form. `lenient`: a bad phone, locale, time zone or attribute costs only itself."""
    problems: list[Problem] = []
    changes: dict[str, object] = {}

    def tidy(name: str, value: str | None, reader: object, *, refuses: bool) -> None:
        if value is None:
            return
        try:
            changes[name] = reader(value) if str(value).strip() else ""  # type: ignore[operator]
        except Unusable as error:
            changes[name] = None
            # Nobody is turned away for a number that may be right.
            wrong = refuses and not isinstance(error, cleaning.WithoutCountry)
            problems.append(Problem(name, str(error), wrong))

    try:
        changes["external_id"] = cleaning.identifier(str(item.external_id))
    except Unusable as error:
        problems.append(Problem("external_id", str(error)))
    region = cleaning.region(country=item.region) or cleaning.region(
        country=str(item.attributes.get("country") or ""), locale=item.locale or ""
    )
    tidy("email", item.email, cleaning.email, refuses=True)
    tidy("phone", item.phone, lambda text: cleaning.phone(text, region=region), refuses=not lenient)
    tidy("first_name", item.first_name, cleaning.name, refuses=False)
    tidy("last_name", item.last_name, cleaning.name, refuses=False)
    tidy("locale", item.locale, cleaning.locale, refuses=not lenient)
    tidy("time_zone", item.time_zone, cleaning.time_zone, refuses=not lenient)

    kept: dict[str, AttributeValue] = {}
    ignored: set[str] = set()
    for name, value in item.attributes.items():
        if is_secret_name(name):
            problems.append(
                Problem(f"attribute.{name[:60]}", "names a secret, which is never kept", refuses=False)
            )
        elif name not in defined:
            ignored.add(name)
        else:
            try:
                kept[name] = cleaning.attribute(defined[name], value)
            except Unusable as error:
                problems.append(Problem(f"attribute.{name}", str(error), refuses=False))
    changes["attributes"] = kept
    for said in item.consents:
        if said.channel not in PERSONAL_CHANNELS or said.status not in ConsentStatus.values:
            problems.append(
                Problem("consents", f"are 'given' or 'withdrawn', for {', '.join(PERSONAL_CHANNELS)}")
            )
    return Cleaned(replace(item, **changes), problems, ignored)  # type: ignore[arg-type]


def upsert(
    *, items: Sequence[ProfileInput], source: str, now: datetime | None = None, lenient: bool = False
) -> UpsertResult:
    """Create and update people by external id, whole batches or (at the first item that must be refused) nothing.

    Safe to repeat. Values not given stay as they are; what several items say of one person is taken in order.
    Raises InvalidInput with the item's index as `row`.
    """
    defined = definitions()
    cleaned = [clean(item, defined=defined, lenient=lenient) for item in items]
    for index, each in enumerate(cleaned):
        for problem in each.problems:
            if problem.refuses:
                raise InvalidInput(
                    f"Item {index}: {problem.field} {problem.message}.", field=problem.field, row=index
                )
    result = store(items=[each.item for each in cleaned], source=source, now=now)
    result.ignored_attributes.update(*(each.ignored for each in cleaned))
    result.left_out.extend(
        (index, problem) for index, each in enumerate(cleaned) for problem in each.problems
    )
    return result


@transaction.atomic
def store(*, items: Sequence[ProfileInput], source: str, now: datetime | None = None) -> UpsertResult:
    """Store items that `clean` returned without a refusal. A second answer for one address is left out, and a 'yes'
    is not taken along to an address that said 'no' (`twins`)."""
    now = now or timezone.now()
    merged: dict[str, ProfileInput] = {}
    allowed, left_out = twins.without_second_answers(_as_known_now(items))
    for item in allowed:
        merged[item.external_id] = (
            _merge(merged[item.external_id], item) if item.external_id in merged else item
        )
    ids: dict[str, int] = {}
    created = updated = 0
    # In order of the id, so that two imports of the same people wait for each other instead of deadlocking.
    ordered = [merged[external_id] for external_id in sorted(merged)]
    taken_back = twins.noes_at_new_addresses(ordered, now=now)
    for start in range(0, len(ordered), BATCH):
        batch = ordered[start : start + BATCH]
        new, changed = _store_batch(batch, now=now)
        created += len(new)
        updated += len(changed)
        ids.update(new)
        ids.update(
            Profile.objects.filter(
                external_id__in=[item.external_id for item in batch if item.external_id not in new]
            ).values_list("external_id", "pk")
        )
    if taken_back:  # first, so that a yes given anew in this very call counts
        consent.take_back(items=taken_back, now=now)
    said = [
        (ids[item.external_id], replace(each, source=each.source or source))
        for item in ordered
        for each in item.consents
    ]
    if said:
        consent.record_many(items=said, now=now)
    unchanged = len(items) - created - updated
    return UpsertResult(created=created, updated=updated, unchanged=unchanged, left_out=left_out, ids=ids)


def _as_known_now(items: Sequence[ProfileInput]) -> Sequence[ProfileInput]:
    """What is said of an id that became another's is said of that one."""
    became = dict(
        Profile.objects.filter(
            external_id__in={item.external_id for item in items}, merged_into__isnull=False
        ).values_list("external_id", "merged_into__external_id")
    )
    if not became:
        return items
    return [replace(item, external_id=became.get(item.external_id, item.external_id)) for item in items]


def _merge(first: ProfileInput, second: ProfileInput) -> ProfileInput:
    given = {
        name: value
        for name in ("email", "phone", "first_name", "last_name", "locale", "time_zone")
        if (value := getattr(second, name)) is not None
    }
    return replace(
        first,
        attributes={**first.attributes, **second.attributes},
        consents=(*first.consents, *second.consents),
        **given,
    )


_INSERT = """
    INSERT INTO campaigns_profile (
        external_id, email, phone, first_name, last_name, locale, time_zone, attributes, email_hash, phone_hash,
        id_hash, lifecycle, traits, traits_hash, created_at, updated_at)
    SELECT external_id, coalesce(email, ''), coalesce(phone, ''), coalesce(first_name, ''),
        coalesce(last_name, ''), coalesce(locale, ''), coalesce(time_zone, ''), jsonb_strip_nulls(attributes),
        coalesce(email_hash, ''), coalesce(phone_hash, ''), id_hash, '', '{}', '', now, now
    FROM given
    ON CONFLICT (external_id) DO NOTHING
    RETURNING external_id, id
"""
# Runs after the INSERT, as a statement of its own: it then sees rows that somebody else just made.
_UPDATE = """
    UPDATE campaigns_profile AS known
    SET email = coalesce(given.email, known.email), email_hash = coalesce(given.email_hash, known.email_hash),
        phone = coalesce(given.phone, known.phone), phone_hash = coalesce(given.phone_hash, known.phone_hash),
        first_name = coalesce(given.first_name, known.first_name),
        last_name = coalesce(given.last_name, known.last_name),
        locale = coalesce(given.locale, known.locale),
        time_zone = coalesce(given.time_zone, known.time_zone),
        attributes = jsonb_strip_nulls(known.attributes || given.attributes),
        id_hash = given.id_hash,
        traits_at = CASE WHEN jsonb_strip_nulls(known.attributes || given.attributes) = known.attributes
            AND coalesce(given.time_zone, known.time_zone) = known.time_zone THEN known.traits_at END,
        updated_at = given.now
    FROM given
    WHERE known.external_id = given.external_id
      AND (coalesce(given.email, known.email), coalesce(given.email_hash, known.email_hash),
           coalesce(given.phone, known.phone), coalesce(given.phone_hash, known.phone_hash),
           coalesce(given.first_name, known.first_name), coalesce(given.last_name, known.last_name),
           coalesce(given.locale, known.locale), coalesce(given.time_zone, known.time_zone),
           jsonb_strip_nulls(known.attributes || given.attributes), given.id_hash)
        IS DISTINCT FROM
          (known.email, known.email_hash, known.phone, known.phone_hash, known.first_name, known.last_name,
           known.locale, known.time_zone, known.attributes, known.id_hash)
    RETURNING known.external_id
"""
# One JSON parameter: twice as fast as arrays through unnest, as fast as COPY, and no temporary table
# (benchmarks/import_speed.py).
_GIVEN = """
    WITH given AS MATERIALIZED (
        SELECT row.*, %s::timestamptz AS now
        FROM json_to_recordset(%s::json) AS row (external_id text, email text, phone text, first_name text,
            last_name text, locale text, time_zone text, attributes jsonb, email_hash text, phone_hash text,
            id_hash text))
"""


def _store_batch(batch: Sequence[ProfileInput], *, now: datetime) -> tuple[dict[str, int], set[str]]:
    """(external id -> key of those made, external ids of those changed)."""
    rows = [
        {
            "external_id": item.external_id,
            "email": item.email,
            "phone": item.phone,
            "first_name": item.first_name,
            "last_name": item.last_name,
            "locale": item.locale,
            "time_zone": item.time_zone,
            "attributes": dict(item.attributes),
            "email_hash": None if item.email is None else consent.address_hash(item.email.lower()),
            "phone_hash": None if item.phone is None else consent.address_hash(item.phone),
            "id_hash": consent.address_hash(item.external_id),
        }
        for item in batch
    ]
    with connection.cursor() as cursor:
        cursor.execute(_GIVEN + _INSERT, [now, json.dumps(rows)])
        made = dict(cursor.fetchall())
        rest = [row for row in rows if row["external_id"] not in made]
        if not rest:
            return made, set()
        # Rows are locked in the order of their ids before they are changed.
        cursor.execute(
            "SELECT 1 FROM campaigns_profile WHERE external_id = ANY(%s) ORDER BY external_id FOR NO KEY UPDATE",
            [[row["external_id"] for row in rest]],
        )
        cursor.execute(_GIVEN + _UPDATE, [now, json.dumps(rest)])
        return made, {row[0] for row in cursor.fetchall()}


@transaction.atomic
def erase(*, external_id: str, by: AbstractBaseUser | None) -> None:
    """Forget a person: profile, consents, events, embedding and pieces go; their addresses stay suppressed.

    All ids that were joined to one person go together. Only keyed hashes of the addresses remain, so that a
    re-import cannot reach the person again.
    """
    known = Profile.objects.filter(external_id=external_id).values_list(Coalesce("merged_into", "pk"))
    ledger.hold(profiles=Profile.objects.filter(Q(pk__in=known) | Q(merged_into__in=known)))
    profiles = list(
        Profile.objects.select_for_update()
        .filter(Q(pk__in=known) | Q(merged_into__in=known))
        .order_by("external_id")
    )
    if not profiles:
        raise UnknownProfile("There is no person of this id. They may have been erased already.")
    pairs = [
        (consent.hash_of(profile, channel), str(channel))
        for profile in profiles
        for channel in PERSONAL_CHANNELS
    ]
    consent.suppress_hashes(pairs=pairs, reason=SuppressionReason.ERASED)
    idempotency.forget(texts=[text for p in profiles for text in (p.external_id, p.email, p.phone)])
    ledger.forget(profiles=profiles)
    for profile in sorted(profiles, key=lambda each: each.merged_into_id is None):
        profile_id = profile.pk
        profile.delete()
        log.info("profile_erased", profile_id=profile_id, by=by.pk if by else None)
