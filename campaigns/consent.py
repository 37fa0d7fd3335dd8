"""What people agreed to, and addresses nothing may be sent to.

Two rules hold whoever calls. Silence is no consent: without a row nothing is sent. And a 'yes' that is merely
repeated (a re-import, a sync) never undoes a 'no': only one that the person gave anew, `explicit=True`, does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter

import structlog
from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from campaigns import cleaning
from campaigns.models import (
    Channel,
    Consent,
    ConsentStatus,
    Profile,
    Purpose,
    Suppression,
    SuppressionReason,
)
from campaigns.models.channels import PERSONAL_CHANNELS
from campaigns.models.privacy import MARKETING
from personalize.core.errors import InvalidInput
from personalize.core.keyed_hash import keyed_hash

Key = tuple[int, str, str]  # profile, channel, purpose
log = structlog.get_logger(__name__)

# Push is addressed by the CRM's id: the app's push provider knows the person by it.
_ADDRESS_FIELD = {Channel.EMAIL: "email", Channel.SMS: "phone", Channel.PUSH: "external_id"}
_HASH_FIELD = {Channel.EMAIL: "email_hash", Channel.SMS: "phone_hash", Channel.PUSH: "id_hash"}


@dataclass(frozen=True, slots=True)
class ConsentInput:
    """`at`: when it was said; None: now. `explicit`: the person said it anew, which alone undoes a 'no'.

    `purpose` "": for a yes marketing, for a no every purpose of the channel. `proof` is what shows it, such as the
    form's address and the wording's version; `by` the user who wrote it down.
    """

    channel: str
    status: str
    source: str = ""
    at: datetime | None = None
    explicit: bool = False
    purpose: str = ""
    proof: str = ""
    by: str = ""


def record(
    *,
    profile_id: int,
    channel: str,
    status: str,
    source: str,
    at: datetime | None = None,
    explicit: bool = False,
    purpose: str = "",
    proof: str = "",
    by: str = "",
) -> bool:
    """Store what a person said; True if anything changed. The later statement wins, except as said above.

    An explicit 'yes' also lifts an unsubscription or erasure of the address made before it; never a bounce, a
    complaint or a block by hand.
    """
    said = ConsentInput(channel, status, source, at, explicit, purpose, proof, by)
    return record_many(items=[(profile_id, said)]) >= 1


@transaction.atomic
def record_many(*, items: Sequence[tuple[int, ConsentInput]], now: datetime | None = None) -> int:
    """As `record`, for (profile id, consent) pairs; the number of rows written. Statements for one person and
    channel are taken in the order given. What is said of an id that became another's is said of that one."""
    now = now or timezone.now()
    items = _of_present_ids(items)
    items = [*_noes_of_twins(items), *items]  # first, so that what a twin says anew in this very call counts
    known = set(purposes()) if any(item.purpose for _, item in items) else {MARKETING}
    for _, item in items:
        if item.channel not in PERSONAL_CHANNELS or item.status not in ConsentStatus.values:
            raise InvalidInput(
                f"Consent is 'given' or 'withdrawn', for one of: {', '.join(PERSONAL_CHANNELS)}.",
                field="consents",
            )
        if item.purpose and item.purpose not in known:
            raise InvalidInput(
                f"There is no purpose of this name. Those that people may agree to: {', '.join(sorted(known))}.",
                field="consents",
            )
    return _record(items, now=now)


@transaction.atomic
def take_back(*, items: Sequence[tuple[int, ConsentInput]], now: datetime) -> int:
    """Store noes that follow from what others said: each is of this id alone, not of all that share its address."""
    return _record(items, now=now)


def _record(items: Sequence[tuple[int, ConsentInput]], *, now: datetime) -> int:
    said: dict[Key, ConsentInput] = {}
    for key, item in _each_purpose(items):
        said[key] = _later(said[key], item, now) if key in said else item
    written = 0
    for explicit in (False, True):
        chosen = sorted(
            ((key, item) for key, item in said.items() if item.explicit is explicit), key=itemgetter(0)
        )
        written += _store(chosen, explicit=explicit, now=now)
        if explicit:
            _lift(chosen, now=now)
    return written


def _of_present_ids(items: Sequence[tuple[int, ConsentInput]]) -> Sequence[tuple[int, ConsentInput]]:
    former = Profile.objects.filter(pk__in={key for key, _ in items}, merged_into__isnull=False)
    became = dict(former.values_list("pk", "merged_into_id"))
    return [(became.get(key, key), item) for key, item in items] if became else items


def _noes_of_twins(items: Sequence[tuple[int, ConsentInput]]) -> list[tuple[int, ConsentInput]]:
    """Whoever says no means their address: it holds for every id under which that address said yes before."""
    found: list[tuple[int, ConsentInput]] = []
    for channel in (Channel.EMAIL, Channel.SMS):  # push is addressed by the id itself
        noes: dict[int, list[ConsentInput]] = {}
        for key, item in items:
            if item.status == ConsentStatus.WITHDRAWN and item.channel == channel:
                noes.setdefault(key, []).append(item)
        if not noes:
            continue
        field = _HASH_FIELD[channel]
        owners: dict[str, list[int]] = {}
        for hashed, key in (
            Profile.objects.filter(pk__in=noes).exclude(**{field: ""}).values_list(field, "pk").order_by("pk")
        ):
            owners.setdefault(hashed, []).append(key)
        agreed = Consent.objects.filter(
            channel=channel, status=ConsentStatus.GIVEN, **{f"profile__{field}__in": list(owners)}
        ).order_by("profile")
        for twin, hashed in agreed.values_list("profile_id", f"profile__{field}").distinct():
            found += [(twin, item) for key in owners[hashed] if key != twin for item in noes[key]]
    return found


def purposes() -> list[str]:
    """Slugs of what people may agree to; marketing first."""
    return [
        MARKETING,
        *Purpose.objects.exclude(slug=MARKETING).order_by("slug").values_list("slug", flat=True),
    ]


def _each_purpose(items: Sequence[tuple[int, ConsentInput]]) -> Iterator[tuple[Key, ConsentInput]]:
    """A yes without a purpose is for marketing; such a no is for all that was ever asked on the channel."""
    noes = {(profile_id, item.channel) for profile_id, item in items if _is_for_all(item)}
    asked: dict[tuple[int, str], set[str]] = {}
    if noes:
        rows = Consent.objects.filter(profile__in={profile_id for profile_id, _ in noes})
        for profile_id, channel, purpose in rows.values_list("profile_id", "channel", "purpose"):
            asked.setdefault((profile_id, channel), set()).add(purpose)
    for profile_id, item in items:
        if item.status == ConsentStatus.GIVEN:
            asked.setdefault((profile_id, item.channel), set()).add(item.purpose or MARKETING)
        of_all = {MARKETING, *asked.get((profile_id, item.channel), ())} if _is_for_all(item) else ()
        for purpose in sorted(of_all) or [item.purpose or MARKETING]:
            yield (profile_id, str(item.channel), purpose), item


def _is_for_all(item: ConsentInput) -> bool:
    return item.status == ConsentStatus.WITHDRAWN and not item.purpose


def _at(item: ConsentInput, now: datetime) -> datetime:
    return min(item.at or now, now)


def _later(first: ConsentInput, second: ConsentInput, now: datetime) -> ConsentInput:
    """Which of two statements counts, by the same rule as the database's."""
    if first.status == second.status or _at(second, now) < _at(first, now):
        return first
    if second.status == ConsentStatus.GIVEN and not second.explicit:
        return first
    return second


def _store(chosen: Sequence[tuple[Key, ConsentInput]], *, explicit: bool, now: datetime) -> int:
    """Change the state where the rules let it, and write each statement that counts into the ledger."""
    if not chosen:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH said AS MATERIALIZED (
                SELECT * FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::text[], %s::text[], %s::timestamptz[],
                                     %s::text[], %s::text[])
                    AS said (profile_id, channel, purpose, status, source, said_at, proof, recorded_by)
            ), stored AS (
                INSERT INTO campaigns_consent AS known
                    (profile_id, channel, purpose, status, source, recorded_at, updated_at)
                SELECT profile_id, channel, purpose, status, source, said_at, %s::timestamptz FROM said
                ON CONFLICT (profile_id, channel, purpose) DO UPDATE
                SET status = EXCLUDED.status, source = EXCLUDED.source,
                    recorded_at = EXCLUDED.recorded_at, updated_at = EXCLUDED.updated_at
                WHERE known.status <> EXCLUDED.status
                  AND EXCLUDED.recorded_at >= known.recorded_at
                  AND (EXCLUDED.status = 'withdrawn' OR %s)
                RETURNING profile_id, channel, purpose
            ), entered AS (
                INSERT INTO campaigns_consententry (profile_id, channel, purpose, status, source, proof, explicit,
                    counted, said_at, recorded_at, recorded_by)
                SELECT said.profile_id, said.channel, said.purpose, said.status, said.source, said.proof, %s,
                       stored.profile_id IS NOT NULL, said.said_at, %s::timestamptz, said.recorded_by
                FROM said LEFT JOIN stored USING (profile_id, channel, purpose)
                WHERE stored.profile_id IS NOT NULL OR said.proof <> '' OR %s
            )
            SELECT count(*) FROM stored
            """,
            [
                [profile_id for (profile_id, _, _), _ in chosen],
                [channel for (_, channel, _), _ in chosen],
                [purpose for (_, _, purpose), _ in chosen],
                [str(item.status) for _, item in chosen],
                [item.source[:100] for _, item in chosen],
                [_at(item, now) for _, item in chosen],
                [item.proof[:500] for _, item in chosen],
                [item.by[:150] for _, item in chosen],
                now, explicit, explicit, now, explicit,
            ],
        )  # fmt: skip
        return int(cursor.fetchone()[0])


def _lift(chosen: Sequence[tuple[Key, ConsentInput]], *, now: datetime) -> None:
    """Take addresses off the suppression list whose owner asked to be on ours again."""
    for channel in PERSONAL_CHANNELS:
        given = {
            profile_id: _at(item, now)
            for (profile_id, said_of, _), item in chosen
            if said_of == channel and item.status == ConsentStatus.GIVEN
        }
        agreed = (
            Consent.objects.filter(profile__in=list(given), channel=channel, status=ConsentStatus.GIVEN)
            .values_list("profile_id", f"profile__{_HASH_FIELD[channel]}")
            .distinct()
        )
        for profile_id, address_hash in agreed:
            Suppression.objects.filter(
                address_hash=address_hash,
                channel=channel,
                reason__in=(SuppressionReason.UNSUBSCRIBED, SuppressionReason.ERASED),
                created_at__lte=given[profile_id],
            ).delete()


# -- addresses ---------------------------------------------------------------------------------------


def normalise_address(channel: str, text: str) -> str:
    """The form in which addresses of a channel are compared. Raises InvalidInput if it is none."""
    try:
        if channel == Channel.EMAIL:
            return cleaning.email(text).lower()
        if channel == Channel.SMS:
            return cleaning.phone(text)
        if channel == Channel.PUSH:
            return cleaning.identifier(text)
    except cleaning.Unusable as error:
        raise InvalidInput(f"The address {error}.", field="address") from None
    raise InvalidInput(f"Nobody is addressed by {channel}: it is an ad.", field="channel")


def address_of(profile: Profile, channel: str) -> str:
    """Where this person is reached on a channel, or "" for nowhere. Ads reach nobody in particular."""
    field = _ADDRESS_FIELD.get(Channel(channel))
    return str(getattr(profile, field)) if field else ""


def hash_of(profile: Profile, channel: str) -> str:
    """Under which this person's address on a channel is suppressed; "" of none, and of what is no address."""
    if stored := str(getattr(profile, _HASH_FIELD[Channel(channel)])):
        return stored
    try:
        address = address_of(profile, channel)
        return address_hash(normalise_address(channel, address)) if address else ""
    except InvalidInput:
        return ""


def address_hash(address: str) -> str:
    """The keyed hash of an address in its normal form; "" of none."""
    return keyed_hash(purpose="address", text=address) if address else ""


def suppress(*, address: str, channel: str, reason: str) -> bool:
    """Let nothing more be sent to an address on a channel; True if it was not on the list. A graver reason
    (bounce, complaint, by hand) replaces an unsubscription, never the other way round."""
    hashed = address_hash(normalise_address(channel, address))
    return suppress_hashes(pairs=[(hashed, channel)], reason=reason) == 1


@transaction.atomic
def suppress_hashes(*, pairs: Iterable[tuple[str, str]], reason: str) -> int:
    """As `suppress`, for (address hash, channel) pairs; the number of new rows."""
    rows = [
        Suppression(address_hash=hashed, channel=channel, reason=SuppressionReason(reason))
        for hashed, channel in sorted(set(pairs))
        if hashed
    ]
    hashes = [row.address_hash for row in rows]
    known = {
        (row.address_hash, row.channel): row for row in Suppression.objects.filter(address_hash__in=hashes)
    }
    new = [row for row in rows if (row.address_hash, row.channel) not in known]
    Suppression.objects.bulk_create(new, ignore_conflicts=True)
    weak = (SuppressionReason.UNSUBSCRIBED, SuppressionReason.ERASED)
    if reason not in weak:
        for channel in {row.channel for row in rows}:
            Suppression.objects.filter(
                address_hash__in=[row.address_hash for row in rows if row.channel == channel],
                channel=channel,
                reason__in=weak,
            ).update(reason=reason)
    if new:
        log.info("addresses_suppressed", count=len(new), reason=str(reason))
    return len(new)


def is_suppressed(*, address: str, channel: str) -> bool:
    hashed = address_hash(normalise_address(channel, address))
    return Suppression.objects.filter(address_hash=hashed, channel=channel).exists()


def one_per_address(queryset: QuerySet[Profile], *, channel: str) -> QuerySet[Profile]:
    """Of several profiles with one address on this channel the oldest: a CRM that knows a person twice must not
    make us write to them twice. All in SQL.
    """
    hash_field = _HASH_FIELD[Channel(channel)]
    oldest = queryset.order_by(hash_field, "pk").distinct(hash_field).values("pk")
    return queryset.filter(pk__in=oldest)


def without_address(channel: str) -> Q:
    """The condition of having nothing to be reached by on a channel."""
    return Q(**{_ADDRESS_FIELD[Channel(channel)]: ""}) | Q(**{_HASH_FIELD[Channel(channel)]: ""})


def may_receive(queryset: QuerySet[Profile], *, channel: str, purpose: str = MARKETING) -> QuerySet[Profile]:
    """Those who agreed to this channel for this purpose, have an address on it, and are not on its suppression list.

    All in SQL. A profile whose address hash is missing is left out: better unsent than sent against a 'no'.
    """
    if channel not in PERSONAL_CHANNELS:
        raise InvalidInput(f"Nobody is addressed by {channel}: it is an ad.", field="channel")
    hash_field = _HASH_FIELD[Channel(channel)]
    agreed = Consent.objects.filter(
        profile=OuterRef("pk"), channel=channel, purpose=purpose, status=ConsentStatus.GIVEN
    )
    suppressed = Suppression.objects.filter(address_hash=OuterRef(hash_field), channel=channel)
    return queryset.filter(
        Exists(agreed),
        ~Exists(suppressed),
        merged_into=None,  # an id that became another's: that one is written to, or nobody
        **{f"{_ADDRESS_FIELD[Channel(channel)]}__gt": "", f"{hash_field}__gt": ""},
    )
