"""Forgetting people for good: rows, files, logs; with a certificate that names nobody.

What every holder must remove first goes first, files too: if the database then refuses, a repetition finds them gone
and goes on. The rows and the certificate are one transaction.
"""

from __future__ import annotations

import hmac
import json
from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import Model, Q
from django.db.models.deletion import Collector
from django.db.models.functions import Coalesce
from django.utils import timezone

from campaigns import people
from campaigns.models import Erasure, Profile
from campaigns.privacy.people import person_of
from campaigns.tracking import ledger
from personalize.core.keyed_hash import keyed_hash
from personalize.core.personal_data import Person, holders

MOST = 500  # people forgotten in one transaction
REQUEST, RETENTION = "request", "retention"


def erase(
    *, external_id: str, by: AbstractBaseUser | None, asked_at: datetime | None = None, reason: str = REQUEST
) -> Erasure:
    """Forget one person and everything joined to them. Raises UnknownProfile."""
    return erase_many(external_ids=[external_id], by=by, asked_at=asked_at, reason=reason)[0]


@transaction.atomic
def erase_many(
    *,
    external_ids: Sequence[str],
    by: AbstractBaseUser | None,
    asked_at: datetime | None = None,
    reason: str = REQUEST,
) -> list[Erasure]:
    """As `erase`, at most MOST at a time, all or none; one certificate each. Files and logs are gone through once."""
    if len(external_ids) > MOST:
        raise ValueError(f"At most {MOST} people at a time.")
    began = timezone.now()
    # Locked in one order, so that two erasures wait for each other instead of deadlocking; the ids before the
    # people, as tracking does.
    roots = Profile.objects.filter(external_id__in=external_ids).values(root=Coalesce("merged_into", "pk"))
    joined = Profile.objects.filter(Q(pk__in=roots) | Q(merged_into__in=roots))
    ledger.hold(profiles=joined)
    list(joined.select_for_update().order_by("external_id").only("pk"))
    found: dict[tuple[int, ...], tuple[str, Person]] = {}
    for external_id in sorted(set(external_ids)):
        person = person_of(external_id)
        found.setdefault(person.profile_ids, (external_id, person))
    for holder in holders():
        holder.forget([person for _, person in found.values()])
    certificates = []
    for external_id, person in found.values():
        person.removed.update(_rows(person))
        people.erase(external_id=external_id, by=by)
        certificates.append(_certify(external_id, person, by=by, asked_at=asked_at or began, reason=reason))
    return certificates


def _rows(person: Person) -> Counter[str]:
    """How many rows go with the person, by table."""
    collector = Collector(using="default")
    collector.collect(Profile.objects.filter(pk__in=person.profile_ids))
    counts: Counter[str] = Counter()
    for model, rows in collector.data.items():
        counts[_name(model)] += len(rows)
    for query in collector.fast_deletes:
        if size := query.count():
            counts[_name(query.model)] += size
    return counts


def _name(model: type[Model]) -> str:
    return str(model._meta.verbose_name_plural)


def _certify(
    external_id: str, person: Person, *, by: AbstractBaseUser | None, asked_at: datetime, reason: str
) -> Erasure:
    row = Erasure(
        subject=subject_of(external_id),
        reason=reason,
        asked_at=asked_at,
        done_at=timezone.now(),
        done_by_name=by.get_username() if by else "",
        removed={name: count for name, count in sorted(person.removed.items()) if count},
    )
    row.signature = _signature(row)
    row.save()
    return row


# -- certificates ------------------------------------------------------------------------------------


def subject_of(external_id: str) -> str:
    return keyed_hash(purpose="erased", text=external_id)


def certificate_of(external_id: str) -> Erasure | None:
    """The latest certificate for the CRM's id, if this person was erased."""
    return Erasure.objects.filter(subject=subject_of(external_id)).order_by("-done_at").first()


def verify(certificate: Erasure) -> bool:
    """Whether it stands as it was signed."""
    return hmac.compare_digest(certificate.signature, _signature(certificate))


def _signature(row: Erasure) -> str:
    told = [
        str(row.number),
        row.subject,
        row.reason,
        row.asked_at.timestamp(),
        row.done_at.timestamp(),
        row.done_by_name,
    ]
    text = json.dumps([*told, row.removed], sort_keys=True, separators=(",", ":"))
    return keyed_hash(purpose="erasure certificate", text=text)
