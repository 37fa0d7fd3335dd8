"""Attributes and events to short phrases in words: all that the writer ever learns of a reader.

Only active rules speak, only of attributes on the allow-list, never of protected ones, never in digits.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Max, Q, QuerySet
from django.utils import timezone

from campaigns.models import AttributeDefinition, Profile, TraitKind, TraitRule, TraitRuleVersion
from campaigns.traits.facts import Facts, gather
from campaigns.traits.phrases import LIFECYCLES, MOST, Rule, lifecycle_of, traits_of
from campaigns.traits.rules import DEFAULT_RULES, check_rule, install_trait_rules
from personalize.core.errors import InvalidInput

__all__ = [
    "DEFAULT_RULES",
    "LIFECYCLES",
    "MOST",
    "Example",
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
class Example:
    """Somebody the rule speaks of: what it says, and the rest of what would be said. Neither name nor address."""

    profile_id: int
    lifecycle: str
    says: list[str]
    heard: bool  # is it among the six that a reader gets?
    beside: list[str]


@dataclass(frozen=True, slots=True)
class Preview:
    """What a rule would say: some of its phrases, of how many of the people looked at, and who would hear it.

    `heard` counts those for whom it is among the six traits that a reader gets, the other active rules speaking too.
    """

    phrases: list[str]
    people: int
    looked_at: int
    heard: int = 0
    total: int = 0
    examples: list[Example] = field(default_factory=list)


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
    """Derive for those whose attributes or events changed, or whose traits are older than a day or than the last
    change of a rule; how many.

    Callers at the same time share the work: people another one is at are skipped.
    """
    now = now or timezone.now()
    rules = _rules()
    done = 0
    changed = TraitRuleVersion.objects.filter(changed_at__lte=now).aggregate(last=Max("changed_at"))["last"]
    stale = max(now - _STALE, changed) if changed else now - _STALE
    for due in (Q(traits_at__isnull=True), Q(traits_at__lt=stale)):
        while limit is None or done < limit:
            size = BATCH if limit is None else min(BATCH, limit - done)
            batch = _derive_batch(Profile.objects.filter(due), rules, now=now, wait=False, size=size)
            done += len(batch)
            if not batch:
                break
    if done:
        log.info("traits_refreshed", count=done)
    return done


def preview(
    rule: TraitRule, *, count: int = 8, look_at: int = BATCH, examples: int = 5, now: datetime | None = None
) -> Preview:
    """What the rule (saved or not) would say of real people: of all, or of an even sample of `look_at` of them.

    Raises InvalidInput as `check_rule`.
    """
    check_rule(rule)
    now = now or timezone.now()
    alone = Rule(rule.kind, rule.settings)
    together = _rules(instead=rule)
    everybody = Profile.objects.filter(merged_into=None)
    total = everybody.count()
    if total > look_at:  # every n-th, so that the newest do not speak for all
        everybody = everybody.annotate(turn=F("pk") % (total // look_at)).filter(turn=0)
    phrases: dict[str, None] = {}
    shown: list[Example] = []
    people = looked_at = heard = 0
    for facts in _facts(everybody.order_by("-pk")[:look_at], together, now=now):
        looked_at += 1
        said = traits_of(facts, [alone], now=now, default_zone=settings.TIME_ZONE)
        if not said:
            continue
        people += 1
        phrases.update(dict.fromkeys(said))
        whole = traits_of(facts, together, now=now, default_zone=settings.TIME_ZONE)
        is_heard = any(phrase in whole for phrase in said)
        heard += is_heard
        if len(shown) < examples:
            beside = [phrase for phrase in whole if phrase not in said]
            shown.append(Example(facts.profile_id, lifecycle_of(facts, now=now), said, is_heard, beside))
    return Preview(list(phrases)[:count], people, looked_at, heard, total, shown)


def _rules(*, instead: TraitRule | None = None) -> list[Rule]:
    """Active rules that hold; one that no longer does (its attribute became protected, say) is silent.

    `instead`: a rule as it would be, in the place of the saved one.
    """
    active = TraitRule.objects.filter(is_active=True)
    rows = list(active.exclude(pk=instead.pk) if instead is not None and instead.pk else active)
    found = []
    for rule in sorted([*rows, *([instead] if instead else [])], key=lambda rule: (rule.position, rule.name)):
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
