"""Rules are ordered, switched and brought back; every change can be undone."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from campaigns import traits
from campaigns.models import TraitRule, TraitRuleVersion
from campaigns.traits import editing
from personalize.core.errors import InvalidInput
from tests.factories import (
    AttributeDefinitionFactory,
    EventFactory,
    ProductFactory,
    ProfileFactory,
    TraitRuleFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db


def order() -> list[str]:
    return list(TraitRule.objects.order_by("position", "name").values_list("name", flat=True))


def test_moving_changes_places_also_among_equal_positions() -> None:
    for name in ("a", "b", "c"):
        TraitRuleFactory(name=name, position=50)
    c = TraitRule.objects.get(name="c")
    assert editing.move(rule_id=c.pk, up=True, by=None)
    assert order() == ["a", "c", "b"]
    assert editing.move(rule_id=c.pk, up=True, by=None)
    assert not editing.move(rule_id=c.pk, up=True, by=None)
    assert editing.move(rule_id=c.pk, up=False, by=None)
    assert order() == ["a", "c", "b"]


def test_a_rule_goes_back_to_how_it_was_before_its_first_change() -> None:
    by = UserFactory()
    rule = TraitRuleFactory(name="bought", settings={"phrase": "bought {product}"})
    rule.settings = {"phrase": "took home {product}"}
    editing.save(rule=rule, by=by)
    editing.switch(rule_id=rule.pk, on=False, by=by)
    assert not editing.switch(rule_id=rule.pk, on=False, by=by)

    versions = list(TraitRuleVersion.objects.order_by("changed_at", "id"))
    assert [version.change for version in versions] == ["as it was", "changed", "switched off"]
    assert [version.changed_by for version in versions] == [None, by, by]
    editing.restore(version=versions[0], by=by)
    rule.refresh_from_db()
    assert (rule.settings, rule.is_active) == ({"phrase": "bought {product}"}, True)
    editing.restore(version=versions[2], by=by)
    rule.refresh_from_db()
    assert (rule.settings, rule.is_active) == ({"phrase": "took home {product}"}, False)


def test_a_deleted_rule_comes_back_once() -> None:
    rule = TraitRuleFactory(name="bought")
    editing.remove(rule=rule, by=None)
    assert not TraitRule.objects.exists()
    version = TraitRuleVersion.objects.get(change="deleted")
    first = editing.restore(version=version, by=None)
    again = editing.restore(version=version, by=None)
    assert first == again and TraitRule.objects.count() == 1


def test_what_may_not_be_said_any_more_does_not_come_back() -> None:
    definition = AttributeDefinitionFactory(name="lives_near")
    settings = {"attribute": "lives_near", "phrase": "lives near {value}"}
    rule = TraitRuleFactory(kind="attribute", settings=settings)
    editing.switch(rule_id=rule.pk, on=False, by=None)
    definition.is_protected = True
    definition.save()
    with pytest.raises(InvalidInput, match="protected"):
        editing.restore(version=TraitRuleVersion.objects.earliest("changed_at"), by=None)


def test_a_changed_rule_is_heard_without_waiting_a_day() -> None:
    now = timezone.now()
    pot = ProductFactory(noun_phrase="a pot")
    ada = EventFactory(product=pot, name="purchased", occurred_at=now - timedelta(days=3)).profile
    rule = TraitRuleFactory(settings={"phrase": "bought {product}"})
    traits.refresh_due(now=now)
    rule.settings = {"phrase": "took home {product}"}
    editing.save(rule=rule, by=None)
    assert traits.refresh_due() == 1
    ada.refresh_from_db()
    assert ada.traits == ["took home a pot"]
    assert traits.refresh_due() == 0


def test_preview_counts_who_hears_it_and_shows_five() -> None:
    now = timezone.now()
    pot, cup = ProductFactory(noun_phrase="a pot"), ProductFactory(noun_phrase="a cup", category="cups")
    for n in range(7):
        EventFactory(
            profile=ProfileFactory(external_id=f"p{n}"), product=pot, name="purchased", occurred_at=now
        )
    EventFactory(profile=ProfileFactory(), product=cup, name="viewed", occurred_at=now)
    TraitRuleFactory(name="first", position=1, settings={"phrase": "bought {product}"})
    mine = TraitRule(name="mine", kind="purchase", position=2, settings={"phrase": "took home {product}"})

    shown = traits.preview(mine)
    # The rule before it has spoken of the pot already, so nobody hears it.
    assert (shown.people, shown.heard, shown.total, len(shown.examples)) == (7, 0, 8, 5)
    assert shown.examples[0].says == ["took home a pot"] and shown.examples[0].beside == ["bought a pot"]
    mine.position = 0
    assert traits.preview(mine).heard == 7
    sample = traits.preview(mine, look_at=4)
    assert sample.total == 8 and sample.looked_at == 4
    assert not TraitRule.objects.filter(name="mine").exists()
