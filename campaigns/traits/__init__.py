"""Attributes and events to short phrases in words: all that the writer ever learns of a reader.

Only active rules speak, only of attributes on the allow-list, never of protected ones, never in digits.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from campaigns.models import AttributeDefinition, Profile, TraitKind, TraitRule
from campaigns.traits.facts import Facts, gather
from campaigns.traits.phrases import LIFECYCLES, MOST, Rule, lifecycle_of, traits_of
from campaigns.traits.rules import DEFAULT_RULES, check_rule, install_trait_rules
from personalize.core.errors import InvalidInput

__all__ = [
    "DEFAULT_RULES",
    "LIFECYCLES",
    "MOST",
    "Preview",
    "check_rule",
    "derive",
    "install_trait_rules",
    "preview",
    "refresh_due",
    "traits_hash",
]

log = structlog.get_logger(__name__)
BATCH = 2_000  # people of one transaction
_STALE = timedelta(days=1)  # 'in spring' and 'lapsed' grow old by themselves


@dataclass(frozen=True, slots=True)
class Preview:
    """What a rule would say: some of its phrases, and to how many of the people looked at."""

    phrases: list[str]
    people: int
    looked_at: int


def traits_hash(lifecycle: str, traits: Sequence[str]) -> str:
    """sha256 of the canonical JSON: the same for two people of whom the same may be said."""
    content = {"lifecycle": lifecycle, "traits": list(traits)}
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def derive(*, profile_ids: Sequence[int] | None = None, now: datetime | None = None) -> int:
    """Derive the traits of these people (None: of everybody) now; how many. Safe at any time and in parallel."""
    now = now or timezone.now()
    rules = _rules()
    done = 0
    if profile_ids is not None:
        ordered = sorted(set(profile_ids))
        for start in range(0, len(ordered), BATCH):
            chosen = Profile.objects.filter(pk__in=ordered[start : start + BATCH])
            done += len(_derive_batch(chosen, rules, now=now, wait=True))
        return done
    last = 0
    while batch := _derive_batch(Profile.objects.filter(pk__gt=last), rules, now=now, wait=True):
        done, last = done + len(batch), batch[-1]
    return done


def refresh_due(*, now: datetime | None = None, limit: int | None = None) -> int:
    """Derive for those whose attributes or events changed, or whose traits are older than a day; how many.

    Callers at the same time share the work: people another one is at are skipped.
    """
    now = now or timezone.now()
    rules = _rules()
    done = 0
    for due in (Q(traits_at__isnull=True), Q(traits_at__lt=now - _STALE)):
        while limit is None or done < limit:
            size = BATCH if limit is None else min(BATCH, limit - done)
            batch = _derive_batch(Profile.objects.filter(due), rules, now=now, wait=False, size=size)
            done += len(batch)
            if not batch:
                break
    if done:
        log.info("traits_refreshed", count=done)
    return done


def preview(rule: TraitRule, *, count: int = 8, look_at: int = BATCH, now: datetime | None = None) -> Preview:
    """What the rule (saved or not) would say of the people changed last. Raises InvalidInput as `check_rule`."""
    check_rule(rule)
    now = now or timezone.now()
    plain = [Rule(rule.kind, rule.settings)]
    newest = Profile.objects.order_by("-pk")[:look_at]
    phrases: dict[str, None] = {}
    people = looked_at = 0
    for facts in _facts(newest, plain, now=now):
        looked_at += 1
        said = traits_of(facts, plain, now=now, default_zone=settings.TIME_ZONE)
        people += bool(said)
        phrases.update(dict.fromkeys(said))
    return Preview(list(phrases)[:count], people, looked_at)


def _rules() -> list[Rule]:
    """Active rules that hold; one that no longer does (its attribute became protected, say) is silent."""
    found = []
    for rule in TraitRule.objects.filter(is_active=True).order_by("position", "name"):
        try:
            check_rule(rule)
        except InvalidInput:
            log.warning("trait_rule_skipped", rule_id=rule.pk)
            continue
        found.append(Rule(rule.kind, rule.settings))
    return found


def _facts(profiles: QuerySet[Profile], rules: Sequence[Rule], *, now: datetime) -> list[Facts]:
    protected = set(AttributeDefinition.objects.filter(is_protected=True).values_list("name", flat=True))
    rows: list[tuple[int, str, dict[str, Any], str, str]] = [
        (pk, zone, {name: value for name, value in attributes.items() if name not in protected}, first, last)
        for pk, zone, attributes, first, last in profiles.values_list(
            "pk", "time_zone", "attributes", "first_name", "last_name"
        )
    ]
    about_products = {TraitKind.PURCHASE, TraitKind.BASKET, TraitKind.INTEREST}
    return gather(
        rows,
        now=now,
        product_events={rule.event for rule in rules if rule.kind in about_products},
        category_events={rule.event for rule in rules if rule.kind == TraitKind.CATEGORY},
    )


@transaction.atomic
def _derive_batch(
    chosen: QuerySet[Profile], rules: list[Rule], *, now: datetime, wait: bool, size: int = BATCH
) -> list[int]:
    """Derive for the first `size` of `chosen`; their ids.

    The rows are locked before their events are read: an event that comes in meanwhile waits to mark its person
    as due, and so is never overlooked.
    """
    locked = list(
        chosen.order_by("pk")
        .select_for_update(no_key=True, skip_locked=not wait)
        .values_list("pk", flat=True)[:size]
    )
    if not locked:
        return []
    rows: list[tuple[int, str, list[str], str]] = []
    for facts in _facts(Profile.objects.filter(pk__in=locked), rules, now=now):
        lifecycle = lifecycle_of(facts, now=now)
        traits = traits_of(facts, rules, now=now, default_zone=settings.TIME_ZONE)
        rows.append((facts.profile_id, lifecycle, traits, traits_hash(lifecycle, traits)))
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE campaigns_profile AS known SET lifecycle = given.lifecycle, traits_hash = given.traits_hash,
                traits = ARRAY(SELECT jsonb_array_elements_text(given.traits::jsonb)), traits_at = %s
            FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::text[])
                AS given (id, lifecycle, traits, traits_hash)
            WHERE known.id = given.id
            """,
            [
                now,
                [row[0] for row in rows],
                [row[1] for row in rows],
                [json.dumps(row[2], ensure_ascii=False) for row in rows],
                [row[3] for row in rows],
            ],
        )
    return locked
