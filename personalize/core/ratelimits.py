"""How often one API key may call: a bucket per key and policy, kept in Postgres and so shared by all processes.

Each policy is `quota` requests in `window` seconds. A bucket fills evenly (GCRA): a client may spend the whole quota at
once and then goes on at the even pace, so that no window has an edge to pile up at. One statement reads and charges;
its table is unlogged, so that it costs no disk write and is simply full again after a crash of the database.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.conf import settings
from django.db import connection

from personalize.core.errors import DomainError
from personalize.core.models import ApiKey

WINDOW = 60  # seconds, of the policies below
REQUESTS = "requests"
COMPOSE = "compose"


@dataclass(frozen=True, slots=True)
class Policy:
    """`quota` requests in `window` seconds."""

    name: str
    quota: int
    window: int = WINDOW


@dataclass(frozen=True, slots=True)
class Standing:
    """What is left of a policy, and in how many seconds all of it is there again."""

    policy: Policy
    remaining: int
    reset: int


class TooManyRequests(DomainError):
    """The key has used up what it may ask for now."""

    status = 429
    code = "throttled"

    def __init__(self, standings: Sequence[Standing], *, violated: Policy, wait: float) -> None:
        seconds = max(1, math.ceil(wait))
        super().__init__(
            f"This key may make {violated.quota} {_noun(violated)} in {violated.window} seconds. "
            f"Try again in {seconds} second{'s' if seconds > 1 else ''}."
        )
        self.standings = tuple(standings)
        self.headers = {"Retry-After": str(seconds)}
        self.members = {"violated-policies": [violated.name]}


def policies_of(key: ApiKey, names: Iterable[str]) -> list[Policy]:
    """Those of `names` that are limited: by the key's own number, else by the settings; 0 is without a limit."""
    requests = key.requests_per_minute
    quotas = {
        REQUESTS: settings.API_REQUESTS_PER_MINUTE if requests is None else requests,
        COMPOSE: settings.API_COMPOSES_PER_MINUTE,
    }
    return [Policy(name, quotas[name]) for name in names if quotas[name] > 0]


def charge(*, key: ApiKey, policies: Sequence[Policy]) -> list[Standing]:
    """Take one request from each policy, in order; raises TooManyRequests at the first that has none left.

    Call it outside a transaction: the row of the key is locked until the end of one.
    """
    standings: list[Standing] = []
    for policy in policies:
        taken, used = _take(key.pk, policy)
        left = max(0, math.floor((policy.window - used) * policy.quota / policy.window + 1e-6))
        standings.append(Standing(policy, left if taken else 0, math.ceil(used)))
        if not taken:
            wait = used + policy.window / policy.quota - policy.window
            raise TooManyRequests(standings, violated=policy, wait=wait)
    return standings


def headers_of(standings: Sequence[Standing]) -> dict[str, str]:
    """The fields of draft-ietf-httpapi-ratelimit-headers-10."""
    if not standings:
        return {}
    return {
        "RateLimit-Policy": ", ".join(
            f'"{one.policy.name}";q={one.policy.quota};w={one.policy.window}' for one in standings
        ),
        "RateLimit": ", ".join(f'"{one.policy.name}";r={one.remaining};t={one.reset}' for one in standings),
    }


def _take(key_id: int, policy: Policy) -> tuple[bool, float]:
    """Whether there was one, and how many seconds of the window are used up now."""
    pace = policy.window / policy.quota
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO core_ratebucket AS bucket (api_key_id, policy, full_at)
            VALUES (%(key)s, %(policy)s, clock_timestamp() + make_interval(secs => %(pace)s))
            ON CONFLICT (api_key_id, policy) DO UPDATE
            SET full_at = GREATEST(bucket.full_at, clock_timestamp()) + make_interval(secs => %(pace)s)
            WHERE bucket.full_at <= clock_timestamp() + make_interval(secs => %(window)s - %(pace)s)
            RETURNING EXTRACT(EPOCH FROM full_at - clock_timestamp())
            """,
            {"key": key_id, "policy": policy.name, "pace": pace, "window": float(policy.window)},
        )
        if row := cursor.fetchone():
            return True, max(0.0, float(row[0]))
        cursor.execute(
            "SELECT EXTRACT(EPOCH FROM full_at - clock_timestamp()) FROM core_ratebucket "
            "WHERE api_key_id = %s AND policy = %s",
            [key_id, policy.name],
        )
        row = cursor.fetchone()
    return False, max(0.0, float(row[0])) if row else 0.0


def _noun(policy: Policy) -> str:
    return "requests" if policy.name == REQUESTS else f"{policy.name} requests"
