"""From a campaign to a run with its pieces."""

from __future__ import annotations

import hashlib

import pytest
from django.utils import timezone

from campaigns.models import CampaignStatus, Channel, RunStatus, RunTrigger
from generation import drafting, tasks
from generation.models import ModelVersion, Piece, Status
from personalize.core.errors import NotAllowed
from tests.factories import CampaignFactory, ProfileFactory, SuppressionFactory, UserFactory
from tests.generation import scenes

pytestmark = pytest.mark.django_db


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, int]]]:
    """What was handed to the broker."""
    calls: list[tuple[str, dict[str, int]]] = []
    for task in (tasks.write_chunk, tasks.compose):
        monkeypatch.setattr(task, "delay", lambda task=task, **ids: calls.append((task.name, ids)))
    return calls


def test_launch_makes_a_piece_for_each_reader_and_channel() -> None:
    both = ProfileFactory(consents=["email", "sms"])
    mail = ProfileFactory(consents=["email"])
    campaign = CampaignFactory(channels=[Channel.EMAIL, Channel.SMS, Channel.GOOGLE_RSA, Channel.META_AD])

    run = scenes.launch(campaign)

    made = set(Piece.objects.filter(run=run).values_list("profile_id", "channel", "status"))
    assert made == {
        (both.pk, "email", "draft"),
        (both.pk, "sms", "draft"),
        (mail.pk, "email", "draft"),
        (None, "google_rsa", "draft"),
        (None, "meta_ad", "draft"),
    }
    assert run.audience_size == 2
    assert run.excluded == {"SMS: no consent": 1}


def test_launch_leaves_out_who_may_not_be_written_to_and_says_why() -> None:
    ProfileFactory(consents=["email"])
    ProfileFactory()
    ProfileFactory(consents=["email"], email="")
    suppressed = ProfileFactory(consents=["email"])
    SuppressionFactory(address=suppressed.email)

    run = scenes.launch(CampaignFactory())

    assert Piece.objects.filter(run=run).count() == run.audience_size == 1
    assert run.excluded == {"E-mail: no consent": 1, "E-mail: no address, or suppressed": 2}


def test_a_person_whom_the_crm_knows_twice_gets_one_piece() -> None:
    first = ProfileFactory(consents=["email", "sms"], email="anna@mail.example")
    second = ProfileFactory(consents=["email", "sms"], email="anna@mail.example")

    run = scenes.launch(CampaignFactory(channels=[Channel.EMAIL, Channel.SMS]))

    made = set(Piece.objects.filter(run=run).values_list("profile_id", "channel"))
    assert made == {(first.pk, "email"), (first.pk, "sms"), (second.pk, "sms")}, "their numbers differ"
    assert run.excluded == {"E-mail: same address as another reader": 1}


def test_seeds_are_the_same_on_any_machine_and_differ_between_pieces() -> None:
    run = scenes.launched(3)

    for piece in Piece.objects.filter(run=run):
        text = f"{run.pk}:{piece.profile_id}:{piece.channel}"
        assert piece.seed == int(hashlib.md5(text.encode()).hexdigest()[:15], 16)
    assert len(set(Piece.objects.values_list("seed", flat=True))) == 3


def test_launch_twice_in_a_minute_is_one_run() -> None:
    scenes.readers(2)
    campaign = CampaignFactory()
    when = timezone.now().replace(second=0, microsecond=0)

    runs = [drafting.launch(campaign=campaign, by=None, scheduled_for=when, queue=False) for _ in range(2)]

    assert runs[0] == runs[1]
    assert Piece.objects.count() == 2


def test_launch_freezes_brief_and_writer(writer) -> None:  # type: ignore[no-untyped-def]
    run = scenes.launched(1)

    assert run.brief["cta"] == "See the cast iron"
    version = ModelVersion.objects.get(state="active")
    assert run.model_version == version.name
    assert version.prompt_version == writer.info.prompt_version


def test_launch_of_an_incomplete_brief_stores_nothing() -> None:
    campaign = CampaignFactory(whole=False)

    with pytest.raises(drafting.BriefIncomplete, match="at least one fact") as caught:
        drafting.launch(campaign=campaign, by=None)

    assert {problem.field for problem in caught.value.problems} >= {"facts", "cta_link"}
    assert not campaign.runs.exists()


@pytest.mark.parametrize("status", [CampaignStatus.PAUSED, CampaignStatus.ARCHIVED])
def test_launch_of_a_campaign_at_rest(status: CampaignStatus) -> None:
    with pytest.raises(drafting.LaunchRefused):
        drafting.launch(campaign=CampaignFactory(status=status), by=None)


def test_launch_of_a_manual_draft_makes_it_active() -> None:
    campaign = CampaignFactory(status=CampaignStatus.DRAFT)

    scenes.launch(campaign)

    campaign.refresh_from_db()
    assert campaign.status == CampaignStatus.ACTIVE


def test_launch_needs_the_permission() -> None:
    with pytest.raises(NotAllowed):
        drafting.launch(campaign=CampaignFactory(), by=UserFactory())

    run = drafting.launch(
        campaign=CampaignFactory(),
        by=UserFactory(permissions=["campaigns.launch_campaign"]),
        queue=False,
    )
    assert run.status == RunStatus.OPEN


def test_launch_wakes_as_many_chains_as_there_is_work(  # type: ignore[no-untyped-def]
    sent, django_capture_on_commit_callbacks
) -> None:
    scenes.readers(3)

    with django_capture_on_commit_callbacks(execute=True):
        run = drafting.launch(campaign=CampaignFactory(), by=None)
        assert sent == []

    assert sent == [("generation.write_chunk", {"run_id": run.pk})] * 3


def test_launch_survives_a_broker_that_is_away(  # type: ignore[no-untyped-def]
    monkeypatch, django_capture_on_commit_callbacks
) -> None:
    from kombu.exceptions import OperationalError

    def refuse(**ids: int) -> None:
        raise OperationalError("connection refused")

    monkeypatch.setattr(tasks.write_chunk, "delay", refuse)
    scenes.readers(1)

    with django_capture_on_commit_callbacks(execute=True):
        run = drafting.launch(campaign=CampaignFactory(), by=None)

    assert scenes.statuses(run) == [Status.DRAFT]


def test_compose_makes_one_piece_and_has_it_written(  # type: ignore[no-untyped-def]
    sent, django_capture_on_commit_callbacks
) -> None:
    campaign, profile = CampaignFactory(), ProfileFactory(consents=["email"])

    with django_capture_on_commit_callbacks(execute=True):
        piece = drafting.compose(campaign=campaign, profile=profile, channel="email", by=None)

    assert (piece.profile, piece.channel, piece.status) == (profile, "email", Status.DRAFT)
    assert piece.run.trigger == RunTrigger.COMPOSE
    assert sent == [("generation.compose", {"piece_id": piece.pk})]


def test_compose_shares_a_run_until_a_reader_comes_again() -> None:
    campaign = CampaignFactory()
    one, two = scenes.readers(2)

    def compose(profile):  # type: ignore[no-untyped-def]
        return drafting.compose(campaign=campaign, profile=profile, channel="email", by=None, queue=False)

    first, second, again = compose(one), compose(two), compose(one)

    assert first.run == second.run
    assert again.run != first.run
    campaign.facts.order_by("position").last().delete()
    assert compose(two).run not in (first.run, again.run)


def test_compose_without_consent() -> None:
    with pytest.raises(drafting.NotReachable, match="no consent"):
        drafting.compose(campaign=CampaignFactory(), profile=ProfileFactory(), channel="email", by=None)
    assert not Piece.objects.exists()


def test_cancel_takes_back_what_has_not_left(writer) -> None:  # type: ignore[no-untyped-def]
    run = scenes.launched(3)
    drafting.write_chunk(run_id=run.pk, limit=1)

    drafting.cancel(run=run, by=None)

    assert scenes.statuses(run) == [Status.WITHDRAWN] * 3
    assert drafting.write_chunk(run_id=run.pk) == 0
