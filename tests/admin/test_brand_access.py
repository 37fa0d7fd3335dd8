"""A brand that is kept to some people: nobody else finds it on any page or by any call, whatever their groups."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from campaigns import brand_access, runs
from campaigns.brand_access import NotYourBrand
from campaigns.models import Run
from delivery import refreshing
from delivery.models import Delivery
from generation import drafting, experiments, review
from generation.models import Piece, SamplePlan, Status
from generation.review import sampling
from personalize.core.errors import InvalidInput, NotAllowed
from tests import factories
from tests.admin import addresses
from tests.admin.conftest import ROLES
from tests.admin.test_access import MAY

ClientOf = Callable[[str], Client]
# Pages of ours that are about something else than one brand's campaigns, runs and pieces.
OTHERS = {
    "campaigns_brand_people", "campaigns_profile_erase", "campaigns_import_upload", "campaigns_import_map",
    "core_apikey_revoke", "generation_modelversion_promote", "generation_modelversion_blind",
    "generation_modelversion_roll_back", "generation_piece_kinds", "campaigns_traitrule_changes",
    "campaigns_traitrule_move", "campaigns_traitrule_switch", "campaigns_traitrule_restore",
    "generation_pieceevent_export", "generation_pieceevent_verify", "generation_plant_rate",
    # An archive is a person's own: it holds all of them, whoever may see the brands in it.
    "campaigns_profile_archive", "campaigns_suppression_take_off", "campaigns_retentionrule_save",
    "campaigns_campaign_times",  # of what is typed: no campaign is read
}  # fmt: skip

# Of the calendar the names of campaigns are known to all who plan.
_ELSEWHERE = (
    "campaigns_import_", "campaigns_traitrule_", "campaigns_campaign_calendar", "delivery_webhook",
    "delivery_delivery_uncertain", "campaigns_campaign_times", "campaigns_profile_archive",
    "campaigns_suppression_take_off", "campaigns_retentionrule_save",
)  # fmt: skip


@pytest.fixture
def stranger(roles: dict[str, User], world: SimpleNamespace) -> User:
    """In every group, and not one of those the brand is kept to."""
    user = factories.UserFactory(username="stranger")
    user.groups.set(Group.objects.filter(name__in=ROLES))
    world.campaign.name = world.brand.name = "Kept Secret"
    world.campaign.save()
    world.brand.save()
    world.brand.only_for.set([roles["Reviewers"]])
    return user


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def test_no_page_of_ours_opens_for_a_stranger(stranger: User, world: SimpleNamespace) -> None:
    client, arguments = signed_in(stranger), dict(addresses.named())
    before = list(Piece.everything.order_by("pk").values())
    wrong = {}
    for name, (getting, posting) in MAY.items():
        if name in OTHERS or name.startswith(_ELSEWHERE):
            continue
        url = addresses.address(name, arguments[name], world)
        for method, exists in (("get", getting), ("post", posting)):
            if exists is not None and (status := getattr(client, method)(url).status_code) != 404:
                wrong[f"{method} {name}"] = status
    assert wrong == {}
    assert list(Piece.everything.order_by("pk").values()) == before


@pytest.mark.parametrize(
    "url",
    [
        "/admin/",
        "/admin/generation/piece/",
        "/admin/generation/piece/?status=all",
        "/admin/generation/sampleplan/",
        "/admin/campaigns/campaign/",
        "/admin/campaigns/campaign/add/",
        "/admin/campaigns/run/",
        "/admin/delivery/delivery/",
    ],
)
def test_lists_hold_nothing_of_it_for_a_stranger(
    url: str, stranger: User, roles: dict[str, User], world: SimpleNamespace
) -> None:
    member = roles["Reviewers"]
    member.groups.set(Group.objects.filter(name__in=ROLES))
    assert "Kept Secret" not in signed_in(stranger).get(url).content.decode()
    assert "Kept Secret" in signed_in(member).get(url).content.decode()
    assert "Kept Secret" in signed_in(roles["superuser"]).get(url).content.decode()


def test_a_segment_names_no_campaign_of_it_but_says_that_it_is_used(
    stranger: User, roles: dict[str, User], world: SimpleNamespace
) -> None:
    factories.CampaignFactory(name="For All", segment=world.segment)
    url = f"/admin/campaigns/segment/{world.segment.pk}/change/"
    hidden = signed_in(stranger).get(url).content.decode()
    assert "Kept Secret" not in hidden and "For All" in hidden and "and 1 of brands that are kept" in hidden
    shown = signed_in(roles["superuser"]).get(url).content.decode()
    assert "Kept Secret" in shown and "kept to others" not in shown


def test_numbers_count_nothing_of_it(stranger: User, roles: dict[str, User], world: SimpleNamespace) -> None:
    """Badge, chips and the page of today: what a person cannot open is not counted for them."""
    html = signed_in(stranger).get("/admin/generation/piece/").content.decode()
    assert "Nothing waits for a decision" in html
    assert signed_in(stranger).get("/admin/generation/piece/kinds/").context["compared"] == 0
    response = signed_in(stranger).get("/admin/")
    assert response.context["counts"]["in_review"] == 0 and response.context["rules"] == []
    assert signed_in(roles["Reviewers"]).get("/admin/").context["counts"]["in_review"] == 1


def test_the_api_answers_404(stranger: User, world: SimpleNamespace) -> None:
    from personalize.core import api_keys
    from personalize.core.models import Scope

    _, plain = api_keys.create(name="theirs", scopes=Scope.values, acts_as=stranger)
    client = Client(headers={"Authorization": f"Bearer {plain}"})
    base = "/api/v1"
    for path in (
        f"pieces/{world.piece.pk}", f"runs/{world.run.pk}", f"runs/{world.run.pk}/pieces",
        f"campaigns/{world.campaign.slug}", f"campaigns/{world.campaign.slug}/runs",
    ):  # fmt: skip
        assert client.get(f"{base}/{path}").status_code == 404, path
    for path in (
        f"pieces/{world.piece.pk}/approve", f"runs/{world.run.pk}/cancel", f"runs/{world.run.pk}/approve-clean",
        f"campaigns/{world.campaign.slug}/launch", f"campaigns/{world.campaign.slug}/pause",
    ):  # fmt: skip
        body = {"revision": 1} if path.startswith("pieces") else {}
        response = client.post(f"{base}/{path}", body, content_type="application/json")
        assert response.status_code == 404, path
    assert Delivery.objects.exists()
    for path in ("pieces", "campaigns", "brands", "deliveries"):
        assert client.get(f"{base}/{path}").json()["items"] == []
    sent = {"verdict": "approve", "pieces": [{"id": world.piece.pk, "revision": 1}]}
    answer = client.post(f"{base}/pieces/decide", sent, content_type="application/json").json()
    assert answer["approved"] == 0 and "kept to other people" in answer["refused"][0]["message"]


def test_services_refuse_whoever_calls_them(stranger: User, world: SimpleNamespace) -> None:
    """The pages are the second fence. Every deed over a run, a sample or a campaign refuses by itself."""
    run = Run.objects.get(pk=world.run.pk)
    promise = sampling.promised(sampling.CONFIDENCE, sampling.DEFECT_RATE)
    deeds: list[Callable[[], Any]] = [
        lambda: review.approve_clean(run=run, by=stranger),
        lambda: sampling.draw(run=run, by=stranger, promise=promise),
        lambda: sampling.pass_group(stratum_id=world.stratum.pk, by=stranger),
        lambda: sampling.fail_group(stratum_id=world.stratum.pk, by=stranger, note="bad"),
        lambda: sampling.drop(plan_id=world.plan.pk, by=stranger),
        lambda: runs.pause(run=run, by=stranger),
        lambda: runs.release(run=run, by=stranger),
        lambda: drafting.cancel(run=run, by=stranger),
        lambda: drafting.launch(campaign=world.campaign, by=stranger),
        lambda: drafting.compose(
            campaign=world.campaign, profile=factories.ProfileFactory(), channel="email", by=stranger
        ),
        lambda: refreshing.refresh(run=run, by=stranger),
        lambda: experiments.save(campaign=world.campaign, by=stranger, changes={}),
    ]
    for deed in deeds:
        with pytest.raises(NotYourBrand):
            deed()
    result = review.decide_many(verdict="reject", by=stranger, piece_ids=[world.piece.pk], reason="dull")
    assert (result.rejected, len(result.refused)) == (0, 1)
    assert Piece.objects.get(pk=world.piece.pk).status == Status.IN_REVIEW
    assert SamplePlan.objects.get(pk=world.plan.pk).is_open
    run.refresh_from_db()
    assert (run.status, run.released_at) == ("open", None)


def test_an_operator_says_whose_a_brand_is(
    client_of: ClientOf, roles: dict[str, User], world: SimpleNamespace
) -> None:
    url = f"/admin/campaigns/brand/{world.brand.pk}/people/"
    client = client_of("Operators")
    assert "reviewer" in client.get(url).content.decode()
    reviewer = roles["Reviewers"]
    client.post(url, {"people": [reviewer.pk]})
    assert list(world.brand.only_for.all()) == [reviewer]
    assert client_of("Reviewers").get(f"/admin/generation/piece/{world.piece.pk}/change/").status_code == 200
    assert world.campaign.name not in client_of("Senders").get("/admin/campaigns/campaign/").content.decode()
    client.post(url, {"people": [999_999]})  # nobody
    assert list(world.brand.only_for.all()) == [reviewer]
    client.post(url, {})
    assert not world.brand.only_for.exists()
    assert world.campaign.name in client_of("Senders").get("/admin/campaigns/campaign/").content.decode()


def test_only_who_may_assigns_and_only_people_who_work_here(
    roles: dict[str, User], world: SimpleNamespace
) -> None:
    with pytest.raises(NotAllowed):
        brand_access.keep_to(brand=world.brand, people=[], by=roles["Writers"])
    gone = factories.UserFactory(is_active=False)
    with pytest.raises(InvalidInput):
        brand_access.keep_to(brand=world.brand, people=[gone.pk], by=roles["Operators"])
    assert brand_access.closed_to(None) == [] == brand_access.closed_to(roles["superuser"])
