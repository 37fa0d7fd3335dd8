"""Archives, erasures, suppressions and retention, as an operator meets them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from django.test import Client

from campaigns import consent
from campaigns.models import DataExport, Erasure, Profile, RetentionRule, Suppression

ClientOf = Callable[[str], Client]
pytestmark = pytest.mark.django_db


def test_an_archive_is_the_answer_to_a_post(client_of: ClientOf, world: SimpleNamespace) -> None:
    client, url = client_of("Operators"), f"/admin/campaigns/profile/{world.profile.pk}/archive/"
    assert "That you fetched it is recorded" in client.get(url).content.decode()
    assert not DataExport.objects.exists()
    response = client.post(url)
    archive = zipfile.ZipFile(io.BytesIO(b"".join(response.streaming_content)))
    assert world.profile.email in archive.read("profile.json").decode()
    assert (
        "no-store" in response["Cache-Control"]
        and world.profile.external_id not in response["Content-Disposition"]
    )
    asked = DataExport.objects.get()
    assert (asked.asked_by_name, asked.downloads) == ("operator", 1)


def test_erasing_leads_to_the_certificate(client_of: ClientOf, world: SimpleNamespace) -> None:
    client, url = client_of("Operators"), f"/admin/campaigns/profile/{world.profile.pk}/erase/"
    names = (world.profile.external_id, world.profile.email, world.profile.last_name)
    page = client.post(url, follow=True).content.decode()
    assert "Certificate of erasure" in page and "Holds" in page
    assert not Profile.objects.filter(pk=world.profile.pk).exists()
    assert not any(name in page for name in names)
    found = client.get("/admin/campaigns/erasure/", {"q": names[0]}).content.decode()
    made = Erasure.objects.order_by("-pk")[0]
    assert str(made.number) in found and str(world.erasure.number) not in found
    forged = client.get(f"/admin/campaigns/erasure/{world.erasure.pk}/change/").content.decode()
    assert "Does not hold" in forged


def test_addresses_are_put_on_the_list_and_found(client_of: ClientOf, world: SimpleNamespace) -> None:
    client, url = client_of("Operators"), "/admin/campaigns/suppression/add/"
    form = {
        "channel": "email",
        "reason": "manual",
        "addresses": "ada@postbox.example; nobody\nbo@postbox.example",
    }
    page = client.post(url, form).content.decode()
    assert "<b>2</b> added" in page and "Address 2:" in page
    assert "Give addresses here" in client.post(url, form | {"addresses": ""}).content.decode()
    listed = client.get("/admin/campaigns/suppression/", {"q": "ADA@postbox.example"}).content.decode()
    row = Suppression.objects.get(address_hash=consent.address_hash("ada@postbox.example"))
    assert row.address_hash[:12] in listed and world.suppression.address_hash[:12] not in listed
    assert client.post(f"/admin/campaigns/suppression/{row.pk}/take-off/").status_code == 302
    assert not Suppression.objects.filter(pk=row.pk).exists()


def test_retention_is_set_after_seeing_what_would_go(client_of: ClientOf, world: SimpleNamespace) -> None:
    client, url = client_of("Operators"), "/admin/campaigns/retentionrule/"
    assert "Would go now" in client.get(url, {"count": "yes"}).content.decode()
    page = client.post(
        f"{url}save/", {"days.events": "400", "on.events": "yes"}, follow=True
    ).content.decode()
    assert "1 rules changed" in page
    rule = RetentionRule.objects.get(kind="events")
    assert (rule.days, rule.is_active) == (400, True)
    page = client.post(f"{url}save/", {"days.events": "0", "days.users": "3"}, follow=True).content.decode()
    assert "Keep things for 1 to 36,500 days" in page
    assert not RetentionRule.objects.filter(kind="users").exists()
