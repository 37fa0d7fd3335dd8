"""The marketer's page of trait rules: words in, settings out; tried before saved; errors beside their field."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from campaigns.admin.trait_form import TraitRuleForm
from campaigns.models import TraitRule, TraitRuleVersion
from campaigns.traits import DEFAULT_RULES
from tests.factories import (
    AttributeDefinitionFactory,
    EventFactory,
    ProductFactory,
    ProfileFactory,
    TraitRuleFactory,
)

pytestmark = pytest.mark.django_db
ClientOf = Callable[[str], Client]
ADD = "/admin/campaigns/traitrule/add/"


def form(**given: Any) -> dict[str, Any]:
    return {"name": "Bought", "kind": "purchase", "is_active": "on", **given}


@pytest.fixture
def buyer() -> None:
    pot = ProductFactory(noun_phrase="a moka pot")
    ada = ProfileFactory(
        external_id="ada-77", email="ada@shop.example", first_name="Adalind", last_name="Byronova"
    )
    EventFactory(profile=ada, product=pot, name="purchased", occurred_at=timezone.now() - timedelta(days=2))


def test_a_rule_is_tried_without_being_saved(client_of: ClientOf, buyer: None) -> None:
    client = client_of("Writers")
    page = client.post(ADD, form(phrase="took home {product}", _preview="1")).content.decode()

    assert "took home a moka pot" in page and "Nothing is saved yet" in page
    assert 'value="took home {product}"' in page  # what was typed is still there
    assert not any(word in page for word in ("ada@shop", "Adalind", "Byronova"))
    assert not TraitRule.objects.exists() and not TraitRuleVersion.objects.exists()

    assert client.post(ADD, form(phrase="took home {product}")).status_code == 302
    rule = TraitRule.objects.get()
    assert rule.settings == {"phrase": "took home {product}"}
    assert (
        "took home a moka pot" in client.get(f"/admin/campaigns/traitrule/{rule.pk}/change/").content.decode()
    )


@pytest.mark.parametrize("role", ["Reviewers", "nobody"])
def test_others_try_nothing(client_of: ClientOf, buyer: None, role: str) -> None:
    assert client_of(role).post(ADD, form(phrase="took home {product}", _preview="1")).status_code == 403


@pytest.mark.parametrize(
    ("given", "words", "name"),
    [
        ({"phrase": "bought {sku}"}, "has a hole {sku}", "phrase"),
        ({"phrase": "bought 3 pots"}, "without digits", "phrase"),
        ({"phrase": ""}, "needs a 'phrase'", "phrase"),
        ({"phrase": "x", "within_days": "0"}, "greater than or equal to 1", "within_days"),
        ({"phrase": "x", "event": "Order Completed"}, "must be the name of an event", "event"),
        (
            {"kind": "attribute", "attribute": "nope", "phrase": "x {value}"},
            "not one of the available",
            "attribute",
        ),
        ({"kind": "attribute", "attribute": "near", "words": "coast"}, "Line 1 is not of the form", None),
        ({"kind": "attribute", "attribute": "near", "words": "coast = has 2"}, "without digits", None),
        ({"kind": "attribute", "attribute": "near", "bands": "fifty = x"}, "begins with", None),
        ({"kind": "attribute", "attribute": "near"}, "takes one of", None),
        ({"kind": "tenure", "tenure": "old = is old"}, "maps new, year, years", "tenure"),
    ],
)
def test_errors_stand_beside_their_field_and_say_what_to_do(
    client_of: ClientOf, given: dict[str, Any], words: str, name: str | None
) -> None:
    AttributeDefinitionFactory(name="near", kind="text")
    response = client_of("Writers").post(ADD, form(**given))

    errors = response.context["adminform"].form.errors
    found = {field: " ".join(said) for field, said in errors.items()}
    assert any(words in text for text in found.values()), found
    if name:
        assert words in found[name]
    assert not TraitRule.objects.exists()


def test_what_a_rule_holds_survives_the_form() -> None:
    """Every rule a workspace starts with, and the odd ones, are the same after being shown and posted back."""
    AttributeDefinitionFactory(name="near", kind="text")
    odd = [
        {
            "kind": "attribute",
            "settings": {"attribute": "near", "phrases": {"coast": "lives near the coast"}},
        },
        {"kind": "attribute", "settings": {"attribute": "near", "phrase": "likes {value}"}},
        {
            "kind": "attribute",
            "settings": {"attribute": "near", "bands": [{"up_to": 2.5, "phrase": "a"}, {"phrase": "b"}]},
        },
    ]
    for n, given in enumerate([*DEFAULT_RULES, *odd]):
        rule = TraitRuleFactory(name=f"r{n}", kind=given["kind"], settings=given["settings"])
        shown = TraitRuleForm(instance=rule)
        data = {name: shown[name].value() for name in shown.fields}
        posted = TraitRuleForm({k: v for k, v in data.items() if v is not None}, instance=rule)
        assert posted.is_valid(), posted.errors
        assert posted.instance.settings == given["settings"]


def test_order_switch_and_undo_by_buttons(client_of: ClientOf) -> None:
    client = client_of("Writers")
    a, b = TraitRuleFactory(name="a", position=10), TraitRuleFactory(name="b", position=20)
    at = f"/admin/campaigns/traitrule/{b.pk}/"
    assert f"{at}move/up/" in client.get("/admin/campaigns/traitrule/").content.decode()

    client.post(f"{at}move/up/")
    client.post(f"{at}switch/off/")
    assert list(TraitRule.objects.order_by("position").values_list("name", "is_active")) == [
        ("b", False),
        ("a", True),
    ]
    client.post(f"/admin/campaigns/traitrule/{a.pk}/delete/", {"post": "yes"})
    page = client.get("/admin/campaigns/traitrule/changes/").content.decode()
    assert "deleted" in page and "switched off" in page and "by writer" in page

    client.post(f"/admin/campaigns/traitrule/restore/{TraitRuleVersion.objects.get(change='deleted').pk}/")
    assert TraitRule.objects.filter(name="a").exists()
    looking = client_of("Reviewers").get("/admin/campaigns/traitrule/").content.decode()
    assert "move/up" not in looking
