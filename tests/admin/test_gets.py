"""Opening pages changes nothing, loads nothing from elsewhere, and shows hostile text as text."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.test import Client

from campaigns.models import Campaign
from generation.models import Piece
from personalize.core import admin_policy
from tests import factories
from tests.admin import addresses

ClientOf = Callable[[str], Client]
QUIET = ("django_session", "auth_user")  # signing in writes these
HOSTILE = ("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{71*73}}", "{% debug %}")


def snapshot() -> dict[str, str]:
    """Every table's content as one hash each."""
    with connection.cursor() as cursor:
        found = {}
        for table in connection.introspection.table_names(cursor):
            if table not in QUIET:
                cursor.execute(f'SELECT md5(string_agg(t::text, chr(10) ORDER BY t::text)) FROM "{table}" t')
                found[table] = str(cursor.fetchone()[0])
        return found


def test_no_get_changes_anything(client_of: ClientOf, world: SimpleNamespace) -> None:
    client = client_of("superuser")
    addresses.rows(world)
    before = snapshot()
    seen = 0
    for name, arguments in addresses.named():
        if name == "logout":
            continue
        response = client.get(addresses.address(name, arguments, world))
        assert response.status_code < 500, name
        seen += response.status_code == 200
    assert snapshot() == before
    assert seen > 60


def _hostile_world(world: SimpleNamespace) -> None:
    """Put hostile text wherever a marketer, a CRM, a provider or the model can put text."""
    evil = " ".join(HOSTILE)
    short = HOSTILE[0]
    world.profile.first_name, world.profile.last_name = short, HOSTILE[1]
    world.profile.attributes = {"prefers": evil}
    world.profile.traits = [evil[:110]]
    world.profile.lifecycle = short
    world.profile.save()
    world.event.name, world.event.properties = short, {HOSTILE[1]: evil}
    world.event.save()
    world.brand.name, world.brand.about, world.brand.voice = evil[:90], evil, evil
    world.brand.postal_address = world.brand.legal_footer = evil
    world.brand.avoid = [short]
    world.brand.save()
    factories.BrandVersionFactory(brand=world.brand, content={"name": evil, "voice": evil})
    world.campaign.name, world.campaign.goal, world.campaign.held_because = evil[:110], evil, evil
    world.campaign.audience = evil
    world.campaign.save()
    world.segment.name = evil[:90]
    world.segment.save()
    world.product.name, world.product.noun_phrase = evil, short
    world.product.save()
    brief = {
        **world.run.brief,
        "goal": evil,
        "brand": {"name": evil, "about": evil, "voice": evil, "avoid": [evil]},
    }
    brief["facts"] = [{"id": "f1", "text": evil}]
    brief["values"] = [*brief["values"], {"name": "evil", "text": evil, "kind": "other"}]
    world.run.brief, world.run.excluded = brief, {evil: 3}
    world.run.save()
    world.version.name = evil[:110]
    world.version.save()
    fields = {"subject": evil, "preheader": evil, "body": f"{evil} {{{{evil}}}}", "cta": short}
    Piece.objects.filter(pk=world.piece.pk).update(
        fields=fields,
        reader={"lifecycle": evil, "traits": [evil], "products": [{"name": evil}]},
        ledger=[{"label": "1", "sources": ["r1", "f1"], "text": evil, "logprob": -1}],
        candidates=[{"fields": fields, "score": -1, "findings": []}],
        steer=evil[:190],
        error=evil[:290],
        warnings=1,
    )
    factories.FindingFactory(
        piece=world.piece, revision=1, field="subject", end=8, rule=short, message=evil, severity="warning"
    )
    factories.PieceEventFactory(piece=world.piece, actor_name=short, note=evil)
    world.delivery.response = evil
    world.delivery.save()
    world.importing.file_name = evil
    world.importing.error = evil
    world.importing.save()
    factories.ImportProblemFactory(of_import=world.importing, message=evil, field=short)
    world.rule.name = evil[:70]
    world.rule.save()
    world.attribute.label = evil[:90]
    world.attribute.save()


def test_hostile_text_is_shown_as_text(client_of: ClientOf, world: SimpleNamespace) -> None:
    _hostile_world(world)
    client = client_of("superuser")
    shown = 0
    for name, arguments in addresses.named():
        if name == "logout":
            continue
        response = client.get(addresses.address(name, arguments, world))
        if response.status_code != 200 or "html" not in response["Content-Type"]:
            continue
        page = response.content.decode()
        assert "<script>alert" not in page, name
        assert not re.search(r"<img[^>]*onerror", page), name
        assert "5183" not in page, name
        shown += "&lt;script&gt;alert" in page
    assert shown > 20  # the text did stand on the pages


def test_the_preview_can_do_nothing(client_of: ClientOf, world: SimpleNamespace) -> None:
    _hostile_world(world)
    response = client_of("superuser").get(f"/admin/delivery/delivery/preview/{world.piece.pk}/")
    policy = response["Content-Security-Policy"]
    assert (
        "default-src 'none'" in policy and policy.rstrip().endswith("sandbox") and "script-src" not in policy
    )
    assert "no-store" in response["Cache-Control"]
    assert "<script>alert" not in response.content.decode()


def test_every_admin_page_has_a_policy() -> None:
    """No inline script and no handler attribute may run, and nothing may be asked of another server."""
    request = HttpRequest()
    request.path_info = "/admin/generation/piece/"
    response = admin_policy.AdminPolicyMiddleware(lambda _: HttpResponse("x"))(request)
    policy = response["Content-Security-Policy"]
    assert (
        "script-src 'self' 'unsafe-eval'" in policy
        and "default-src 'self'" in policy
        and "http" not in policy
    )
    own = HttpResponse("x", headers={"Content-Security-Policy": "default-src 'none'"})
    assert (
        admin_policy.AdminPolicyMiddleware(lambda _: own)(request)["Content-Security-Policy"]
        == "default-src 'none'"
    )
    request.path_info = "/api/v1/profiles"
    assert "Content-Security-Policy" not in admin_policy.AdminPolicyMiddleware(lambda _: HttpResponse("x"))(
        request
    )


@pytest.mark.parametrize(
    "query",
    [
        "run=x",
        "status=nope",
        "campaign=99999999999999999999999",
        "rule=%00",
        "channel=%00",
        "profile__email__startswith=a",
        "_changelist_filters=%00",
    ],
)
def test_odd_addresses_are_answered(query: str, client_of: ClientOf, world: SimpleNamespace) -> None:
    """Only the names in NARROW filter; a lookup through relations is refused or ignored, never obeyed."""
    assert client_of("Reviewers").get(f"/admin/generation/piece/?{query}").status_code in (200, 302, 400)
    assert Campaign.objects.count() == 1
