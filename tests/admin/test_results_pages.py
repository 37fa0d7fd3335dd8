"""Results, experiment and ads in the admin: what a marketer reads there, and what a form does."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from django.test import Client
from django.utils import timezone

from campaigns.models import Channel
from generation import experiments
from generation.models import Arm, Experiment, HeldOut, Piece, Status, Variant
from tests import factories

SETTINGS = {
    "holdout_percent": 10, "generic_percent": 20, "window_days": 14, "visit_events": "visited, viewed",
    "purchase_events": "purchased", "reward": "clicked", "reward_days": 3, "floor_percent": 10,
    "variants": "care: speak of how long it lasts\nfire: speak of the fire",
}  # fmt: skip


def page(client: Client, url: str) -> str:
    response = client.get(url)
    assert response.status_code == 200
    return str(response.content.decode())


def test_results_say_plainly_what_is_missing(client_of: Any, world: SimpleNamespace) -> None:
    url = f"/admin/delivery/delivery/results/run/{world.run.pk}/"
    run = factories.RunFactory()
    early = page(client_of("Writers"), f"/admin/delivery/delivery/results/run/{run.pk}/")
    at = timezone.now() - timedelta(days=1)
    sent = factories.PieceFactory(run=world.run, status=Status.DELIVERED, arm=Arm.PERSONAL)
    factories.DeliveryFactory(piece=sent, finished_at=at)
    HeldOut.objects.create(run=world.run, profile=factories.ProfileFactory())

    late = page(client_of("Writers"), url)

    assert "Nothing has left yet" in early and "Counting begins with the first message" in early
    assert "Not enough data" in late and "of at least 100 people in the smaller arm" in late
    assert "<svg" in late and "Still counting" in late
    for name, kind in (("chart.png", "image/png"), ("results.csv", "text/csv; charset=utf-8")):
        response = client_of("Reviewers").get(url + name)
        assert (response.status_code, response["Content-Type"]) == (200, kind)
    everything = page(client_of("Senders"), f"/admin/delivery/delivery/results/campaign/{world.campaign.pk}/")
    assert "Not enough data" in everything


def test_the_experiment_is_set_by_who_may_change_campaigns(client_of: Any, world: SimpleNamespace) -> None:
    url = f"/admin/campaigns/run/experiment/{world.campaign.pk}/"

    assert client_of("Senders").post(url, SETTINGS).status_code == 403
    assert not Experiment.objects.exists()
    shown = page(client_of("Senders"), url)
    assert "can change this" in shown and ">Save</button>" not in shown
    assert client_of("Writers").post(url, SETTINGS).status_code == 302
    kept = experiments.of(world.campaign)
    assert (kept.holdout_percent, kept.generic_percent, kept.visit_events) == (10, 20, ["visited", "viewed"])
    assert list(Variant.objects.values_list("name", flat=True)) == ["care", "fire"]
    assert "50 % of the next" in page(client_of("Writers"), url)


def test_a_form_that_is_wrong_says_so(client_of: Any, world: SimpleNamespace) -> None:
    url = f"/admin/campaigns/run/experiment/{world.campaign.pk}/"
    client = client_of("Writers")

    line = client.post(url, {**SETTINGS, "variants": "no colon here"}).content.decode()
    share = client.post(url, {**SETTINGS, "holdout_percent": 50, "generic_percent": 50}).content.decode()
    number = client.post(url, {**SETTINGS, "variants": "a: 20 percent"}).content.decode()

    assert "Write a name, a colon and a hint" in line
    assert "at most 90 percent" in share
    assert "The writer says no numbers" in number
    assert not Experiment.objects.exists()


def test_ads_are_shown_in_three_looks_with_their_limits(client_of: Any, world: SimpleNamespace) -> None:
    piece: Piece = factories.AdPieceFactory(
        run=world.run, channel=Channel.META_AD, status=Status.APPROVED, reviewed_by=factories.UserFactory()
    )
    piece.fields["primary_text"] = "Cast iron. " * 13
    piece.save()

    shown = page(client_of("Reviewers"), f"/admin/delivery/delivery/ads/{world.run.pk}/")
    dark = page(client_of("Reviewers"), f"/admin/delivery/delivery/preview/{piece.pk}/?look=dark")
    odd = page(client_of("Reviewers"), f"/admin/delivery/delivery/preview/{piece.pk}/?look=%22x")

    assert shown.count("<iframe") == 3 and shown.count("look=dark") == 1
    assert "142 of 125" in shown and "the platform would cut it" in shown
    assert 'class="dark"' in dark and "Cast iron" in dark
    assert 'class="dark"' not in odd and "%22x" not in odd
