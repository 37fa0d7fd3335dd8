"""Arms: who gets their own copy, the same copy, or nothing; always the same people."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import pytest
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from campaigns import schedules
from campaigns.models import Profile
from campaigns.models.timing import Entry
from generation import arms, drafting, experiments, variants
from generation.admin.launching import forecast
from generation.models import Allocation, Arm, HeldOut, Piece, Variant
from personalize.core.errors import InvalidInput, NotAllowed
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def people() -> list[Profile]:
    made: list[Profile] = factories.ProfileFactory.create_batch(60, consents=["email"])
    return made


def set_up(campaign, variants=None, **changes):
    experiments.save(campaign=campaign, by=None, changes=changes, variants=variants)


def bucket(campaign_id, external_id):
    """As anybody can work it out: the first 32 bits of the MD5, of ten thousand."""
    digest = hashlib.md5(f"arm:{campaign_id}:{external_id}".encode()).hexdigest()
    return int(digest[:8], 16) % 10_000


def arm_of(split, place):
    if place < split.holdout:
        return Arm.HOLDOUT
    return Arm.GENERIC if place >= 10_000 - split.generic else Arm.PERSONAL


def arms_of(campaign):
    split = arms.split_of(campaign)
    return {p.pk: arm_of(split, bucket(campaign.pk, p.external_id)) for p in Profile.objects.all()}


def test_a_launch_writes_to_all_but_the_hold_out_and_notes_who_that_is(people):
    campaign = factories.CampaignFactory()
    set_up(campaign, holdout_percent=30, generic_percent=30)
    expected = arms_of(campaign)

    seen = forecast(campaign)
    run = drafting.launch(campaign=campaign, by=None, queue=False)

    held = set(HeldOut.objects.filter(run=run).values_list("profile_id", flat=True))
    assert held == {pk for pk, arm in expected.items() if arm == Arm.HOLDOUT} != set()
    written = dict(Piece.objects.filter(run=run).values_list("profile_id", "arm"))
    assert written == {pk: arm for pk, arm in expected.items() if arm != Arm.HOLDOUT}
    assert set(written.values()) == {Arm.PERSONAL, Arm.GENERIC}
    assert run.excluded == {"E-mail: in the hold-out, for comparison": len(held)}
    [channel] = seen.channels
    assert (channel.pieces, dict(channel.left_out)) == (
        60 - len(held),
        {"in the hold-out, for comparison": len(held)},
    )


def test_without_an_experiment_everybody_gets_their_own(people):
    run = drafting.launch(campaign=factories.CampaignFactory(), by=None, queue=False)

    assert set(run.pieces.values_list("arm", "variant")) == {("personal", None)}
    assert not HeldOut.objects.exists()


def test_other_percentages_move_only_those_between(people):
    campaign = factories.CampaignFactory()
    set_up(campaign, holdout_percent=10, generic_percent=10)
    before = arms_of(campaign)
    set_up(campaign, holdout_percent=20, generic_percent=5)
    after = arms_of(campaign)

    moves = {(before[pk], after[pk]) for pk in before if before[pk] != after[pk]}
    assert moves <= {(Arm.PERSONAL, Arm.HOLDOUT), (Arm.GENERIC, Arm.PERSONAL)}


@settings(deadline=None, max_examples=40)
@given(
    external_id=st.text(
        st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=40
    )
)
def test_the_bucket_follows_from_campaign_and_id_alone(external_id):
    profile = factories.ProfileFactory(external_id=external_id)
    found = Profile.objects.filter(pk=profile.pk).annotate(b=arms.bucket_expression(7)).get()

    assert found.b == bucket(7, external_id)
    profile.delete()


def test_buckets_are_even():
    counts = [0] * 10
    for n in range(20_000):
        counts[bucket(3, f"c-{n}") // 1000] += 1

    # chi-square with 9 degrees: 27.9 is the thousandth that is exceeded by chance
    assert sum((count - 2_000) ** 2 / 2_000 for count in counts) < 27.9


def test_a_single_piece_is_refused_to_the_hold_out(people):
    campaign = factories.CampaignFactory()
    set_up(campaign, holdout_percent=50)
    expected = arms_of(campaign)
    held = next(p for p in people if expected[p.pk] == Arm.HOLDOUT)
    other = next(p for p in people if expected[p.pk] != Arm.HOLDOUT)

    with pytest.raises(drafting.NotReachable, match="hold-out"):
        drafting.compose(campaign=campaign, profile=held, channel="email", by=None, queue=False)
    assert drafting.compose(campaign=campaign, profile=other, channel="email", by=None, queue=False)


def test_an_experiment_that_leaves_nobody_is_refused():
    campaign = factories.CampaignFactory()
    with pytest.raises(InvalidInput, match="at most 90"):
        set_up(campaign, holdout_percent=50, generic_percent=50)
    with pytest.raises(InvalidInput, match="holdout_percent"):
        set_up(campaign, holdout_percent=51)
    with pytest.raises(InvalidInput, match="holds '2"):
        set_up(campaign, variants=[("a", "say 20 percent off")])
    with pytest.raises(NotAllowed):
        experiments.save(campaign=campaign, by=factories.UserFactory(), changes={"holdout_percent": 5})


def test_variants_are_shared_out_by_hash_and_hint_the_writer(people):
    campaign = factories.CampaignFactory()
    set_up(campaign, variants=[("care", "speak of care"), ("fire", "speak of the fire")])

    run = drafting.launch(campaign=campaign, by=None, queue=False)

    care, fire = Variant.objects.order_by("pk")
    pieces = list(run.pieces.select_related("variant"))
    assert {piece.steer for piece in pieces if piece.variant == care} == {"speak of care"}
    assert {piece.steer for piece in pieces if piece.variant == fire} == {"speak of the fire"}
    assert run.allocation.shares == {str(care.pk): 5_000, str(fire.pk): 5_000}
    again = drafting.launch(
        campaign=campaign, by=None, queue=False, scheduled_for=run.scheduled_for.replace(year=2031)
    )
    placed = lambda run: dict(run.pieces.values_list("profile_id", "variant_id"))  # noqa: E731
    assert placed(again) == placed(run)


def test_what_works_gets_more_and_nothing_gets_less_than_the_floor(people):
    campaign = factories.CampaignFactory()
    set_up(
        campaign, variants=[("a", "one"), ("b", "two"), ("c", "three")], is_adaptive=True, floor_percent=10
    )
    Variant.objects.filter(name="a").update(successes=90, people=1_000)
    Variant.objects.filter(name="b").update(successes=40, people=1_000)
    Variant.objects.filter(name="c").update(successes=45, people=1_000)

    run = drafting.launch(campaign=campaign, by=None, queue=False)

    found = Allocation.objects.get(run=run)
    names = {str(v.pk): v.name for v in Variant.objects.all()}
    shares = {names[key]: share for key, share in found.shares.items()}
    assert shares == {"a": 8_000, "b": 1_000, "c": 1_000}
    assert (found.rule, found.seed) == ("thompson", run.pk)
    assert {str(k): v for k, v in variants.repeat(found).items()} == found.shares
    assert run.pieces.filter(variant__name="a").count() > 30


def test_probabilities_are_those_of_the_posteriors():
    """Two equal variants win half each; a clear winner nearly always (scipy's integral says 0.9997)."""
    even = variants.probability_best({1: (20, 200), 2: (20, 200)}, seed=4)
    clear = variants.probability_best({1: (60, 400), 2: (28, 400)}, seed=4)

    assert abs(even[1] - 0.5) < 0.03
    assert clear[1] > 0.995
    assert variants.probability_best({1: (60, 400), 2: (28, 400)}, seed=4) == clear


def test_another_hint_begins_its_counts_anew():
    campaign = factories.CampaignFactory()
    set_up(campaign, variants=[("a", "one"), ("b", "two")])
    Variant.objects.update(successes=5, people=50)
    set_up(campaign, variants=[("a", "one"), ("c", "three")])
    set_up(campaign, variants=[("a", "another"), ("c", "three")])

    found = {v.name: (v.people, v.is_active) for v in Variant.objects.all()}
    assert found == {"a": (0, True), "b": (50, False), "c": (0, True)}


def test_the_hold_out_of_an_always_on_campaign_enters_once_and_gets_nothing(people):
    factories.ModelVersionFactory(state="active")
    campaign = factories.CampaignFactory(schedule="always_on", takes_present=True, status="draft")
    set_up(campaign, holdout_percent=30)
    expected = arms_of(campaign)
    schedules.activate(campaign=campaign, by=None)

    for minutes in (0, 5, 10):
        drafting.start_due_runs(now=timezone.now() + timedelta(minutes=minutes))

    held = set(HeldOut.objects.values_list("profile_id", flat=True))
    assert held == {pk for pk, arm in expected.items() if arm == Arm.HOLDOUT}
    assert HeldOut.objects.count() == len(held)
    assert Piece.objects.count() == 60 - len(held)
    assert not Entry.objects.filter(waits_since__isnull=False).exists()
