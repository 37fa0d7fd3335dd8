"""The memory of every message: what keeps a repeated one out, also after the person is gone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Q, QuerySet

from campaigns.cleaning import Problem
from campaigns.models import Identity, Profile, TrackedMessage, TrackedStatus
from personalize.core.keyed_hash import keyed_hash

MOST_PROBLEMS = 12  # kept of one message


@dataclass(frozen=True, slots=True)
class Row:
    """One message as it is remembered."""

    message_hash: str
    kind: str
    status: TrackedStatus
    message_id: str = ""
    person_hash: str = ""
    profile_id: int | None = None
    identity_id: int | None = None
    occurred_at: datetime | None = None
    payload: dict[str, Any] | None = None
    problems: Sequence[Problem] = ()


def hash_of(message_id: str) -> str:
    return keyed_hash(purpose="tracking", text=message_id)


def known(hashes: Iterable[str]) -> set[str]:
    """Of these messages, those that are settled. A refused one may come again, corrected."""
    return set(
        TrackedMessage.objects.filter(message_hash__in=list(hashes))
        .exclude(status=TrackedStatus.REFUSED)
        .values_list("message_hash", flat=True)
    )


def remember(rows: Iterable[Row], *, key_id: int | None, received_at: datetime) -> set[str]:
    """Write the rows; the hashes of those that were new. Another call may have been first with the others."""
    given = [
        {
            "message_hash": row.message_hash,
            "message_id": row.message_id,
            "person_hash": row.person_hash,
            "kind": row.kind,
            "status": str(row.status),
            "profile_id": row.profile_id,
            "identity_id": row.identity_id,
            "occurred_at": row.occurred_at.isoformat() if row.occurred_at else None,
            "payload": row.payload or {},
            "problems": [
                {"field": problem.field[:100], "message": problem.message[:300]}
                for problem in row.problems[:MOST_PROBLEMS]
            ],
        }
        for row in sorted(rows, key=lambda row: row.message_hash)
    ]
    if not given:
        return set()
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO campaigns_trackedmessage AS known (message_hash, message_id, person_hash, kind, status,
                profile_id, identity_id, occurred_at, payload, problems, key_id, received_at)
            SELECT row.*, %s::bigint, %s::timestamptz FROM json_to_recordset(%s::json) AS row (message_hash text,
                message_id text, person_hash text, kind text, status text, profile_id bigint, identity_id bigint,
                occurred_at timestamptz, payload jsonb, problems jsonb)
            ON CONFLICT (message_hash) DO UPDATE SET message_id = EXCLUDED.message_id,
                person_hash = EXCLUDED.person_hash, kind = EXCLUDED.kind, status = EXCLUDED.status,
                profile_id = EXCLUDED.profile_id, identity_id = EXCLUDED.identity_id,
                occurred_at = EXCLUDED.occurred_at, payload = EXCLUDED.payload, problems = EXCLUDED.problems,
                key_id = EXCLUDED.key_id, received_at = EXCLUDED.received_at
            WHERE known.status = 'refused'
            RETURNING message_hash
            """,
            [key_id, received_at, json.dumps(given)],
        )
        return {row[0] for row in cursor.fetchall()}


def hold(*, profiles: QuerySet[Profile]) -> None:
    """Lock the ids of these people, before the people themselves as every tracking call does."""
    held = Identity.objects.select_for_update(of=("self",)).filter(
        Q(profile__in=profiles) | Q(value__in=profiles.values("external_id"))
    )
    list(held.order_by("kind", "value").values_list("pk", flat=True))


def forget(*, profiles: Sequence[Profile]) -> None:
    """Empty what is remembered of these people, and keep that it was: a message sent again does not revive them."""
    identities = Identity.objects.filter(
        Q(profile__in=profiles) | Q(kind="user", value__in=[profile.external_id for profile in profiles])
    )
    hashes = [profile.id_hash for profile in profiles if profile.id_hash]
    TrackedMessage.objects.filter(
        Q(profile__in=profiles) | Q(identity__in=identities) | Q(person_hash__in=hashes)
    ).update(
        status=TrackedStatus.FORGOTTEN, message_id="", person_hash="", payload={}, problems=[],
        profile=None, identity=None,
    )  # fmt: skip
    identities.delete()
