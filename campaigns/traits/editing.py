"""Rules are made, changed, ordered, switched and brought back. Each change leaves a version to go back to."""

from __future__ import annotations

from datetime import datetime

import structlog
from django.contrib.auth.models import AbstractBaseUser
from django.db import IntegrityError, transaction
from django.utils import timezone

from campaigns.models import TraitRule, TraitRuleVersion
from campaigns.traits.rules import check_rule
from personalize.core.errors import DomainError, InvalidInput

log = structlog.get_logger(__name__)
_STEP = 10


class NameTaken(DomainError):
    """Another rule has this name."""

    code = "rule_name_taken"


@transaction.atomic
def save(*, rule: TraitRule, by: AbstractBaseUser | None, now: datetime | None = None) -> None:
    """Keep a new or changed rule, with a version. Raises InvalidInput as `check_rule`."""
    check_rule(rule)
    change = "changed" if rule.pk else "made"
    if rule.pk:
        _remember_first(rule.pk)
    rule.save()
    _version(rule, change, by, now)


@transaction.atomic
def switch(*, rule_id: int, on: bool, by: AbstractBaseUser | None, now: datetime | None = None) -> bool:
    """Let a rule speak or be silent; False if it did so already."""
    _remember_first(rule_id)
    if not TraitRule.objects.filter(pk=rule_id, is_active=not on).update(is_active=on):
        return False
    _version(TraitRule.objects.get(pk=rule_id), "switched on" if on else "switched off", by, now)
    return True


@transaction.atomic
def move(*, rule_id: int, up: bool, by: AbstractBaseUser | None, now: datetime | None = None) -> bool:
    """Change places with the neighbour; False at the end of the list. Positions are numbered anew, evenly."""
    rows = list(TraitRule.objects.select_for_update().order_by("position", "name"))
    place = next((n for n, row in enumerate(rows) if row.pk == rule_id), None)
    other = None if place is None else place - 1 if up else place + 1
    if place is None or other is None or not 0 <= other < len(rows):
        return False
    _remember_first(rule_id)
    rows[place], rows[other] = rows[other], rows[place]
    for n, row in enumerate(rows):
        row.position = (n + 1) * _STEP
    TraitRule.objects.bulk_update(rows, ["position"])
    _version(rows[other], "moved up" if up else "moved down", by, now)
    return True


@transaction.atomic
def remove(*, rule: TraitRule, by: AbstractBaseUser | None, now: datetime | None = None) -> None:
    """Delete a rule. Its versions stay, so that it can be brought back."""
    _remember_first(rule.pk)
    TraitRuleVersion.objects.create(
        **_state(rule),
        change="deleted",
        changed_by_id=by.pk if by else None,
        changed_at=now or timezone.now(),
    )
    rule.delete()


@transaction.atomic
def restore(
    *, version: TraitRuleVersion, by: AbstractBaseUser | None, now: datetime | None = None
) -> TraitRule:
    """Bring a rule back to how it stood, also one that was deleted. Raises InvalidInput if it may not speak so now."""
    rule = None
    if version.rule_id is not None:
        rule = TraitRule.objects.select_for_update().filter(pk=version.rule_id).first()
    if rule is None:  # deleted: one that was brought back meanwhile bears its name
        rule = TraitRule.objects.select_for_update().filter(name=version.rule_name).first() or TraitRule()
    rule.name, rule.kind, rule.settings = version.rule_name, version.kind, version.settings
    rule.position, rule.is_active = version.position, version.is_active
    check_rule(rule)
    try:
        with transaction.atomic():
            rule.save()
    except IntegrityError:
        raise NameTaken(f"Another rule is called '{version.rule_name}' now: rename that one first.") from None
    _version(rule, "brought back", by, now)
    return rule


def _remember_first(rule_id: int) -> None:
    """How a rule stood that was made without a version, such as those a workspace starts with."""
    rule = TraitRule.objects.select_for_update().filter(pk=rule_id).first()
    if rule is None:
        raise InvalidInput("This rule is not there any more. Reload the list.")
    if not rule.versions.exists():
        when = datetime.fromtimestamp(0, tz=timezone.get_current_timezone())
        TraitRuleVersion.objects.create(rule=rule, **_state(rule), change="as it was", changed_at=when)


def _version(rule: TraitRule, change: str, by: AbstractBaseUser | None, now: datetime | None) -> None:
    when = now or timezone.now()
    TraitRuleVersion.objects.create(
        rule=rule, **_state(rule), change=change, changed_by_id=by.pk if by else None, changed_at=when
    )
    log.info("trait_rule_changed", rule_id=rule.pk, change=change, by=by.pk if by else None)


def _state(rule: TraitRule) -> dict[str, object]:
    return {
        "rule_name": rule.name,
        "kind": rule.kind,
        "settings": rule.settings,
        "position": rule.position,
        "is_active": rule.is_active,
    }
