"""Results: everybody in the arm they were put in, events alike for all, and words that say what is known."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from decimal import Decimal

import pytest
from django.core.management import call_command
from django.utils import timezone

from delivery.models import OutcomeKind
from delivery.results import exporting, report, rewards
from delivery.results.statistics import Verdict
from generation import experiments, variants
from generation.models import Arm, HeldOut, Piece, Variant
from tests import factories

pytestmark = pytest.mark.django_db
SENT = timezone.now() - timedelta(days=5)


def joined(run, arm, *, got=True, at=SENT, **changes):
    """A person of that arm, with the piece and delivery that go with it."""
    profile = factories.ProfileFactory()
    if arm == Arm.HOLDOUT:
        HeldOut.objects.create(run=run, profile=profile)
        HeldOut.objects.filter(profile=profile).update(made_at=at - timedelta(hours=1))
        return profile
    piece = factories.PieceFactory(run=run, profile=profile, arm=arm, status="delivered", **changes)
    Piece.objects.filter(pk=piece.pk).update(created_at=at - timedelta(hours=1))
    status = "handed_over" if got else "failed"
    factories.DeliveryFactory(piece=piece, status=status, finished_at=at)
    return profile


def did(profile, name, *, after=1, **changes):
    factories.EventFactory(profile=profile, name=name, occurred_at=SENT + timedelta(days=after), **changes)


def answered(profile, kind, **changes):
    delivery = Piece.objects.get(profile=profile).delivery
    factories.OutcomeFactory(delivery=delivery, kind=kind, occurred_at=SENT + timedelta(days=1), **changes)


@pytest.fixture
def run():
    return factories.RunFactory()


def test_each_arm_is_counted_by_what_its_people_did(run):
    own, same, none = joined(run, Arm.PERSONAL), joined(run, Arm.GENERIC), joined(run, Arm.HOLDOUT)
    joined(run, Arm.PERSONAL, got=False)
    did(own, "visited")
    did(own, "visited")
    did(own, "purchased", amount=Decimal("12.50"))
    did(own, "purchased", amount=Decimal("7.50"))
    did(none, "viewed")
    did(same, "asked_about")
    answered(own, OutcomeKind.CLICKED)
    answered(same, OutcomeKind.OPENED)

    counted = report.of_run(run).counted

    personal, generic, holdout = (counted.arms[arm] for arm in (Arm.PERSONAL, Arm.GENERIC, Arm.HOLDOUT))
    assert (personal.people, personal.got, personal.visitors, personal.buyers) == (2, 1, 1, 1)
    assert (personal.revenue, personal.revenue_squares, personal.clickers) == (20.0, 400.0, 1)
    assert (generic.people, generic.visitors, generic.openers) == (1, 0, 1)
    assert (holdout.people, holdout.got, holdout.visitors) == (1, 0, 1)


def test_only_the_days_that_count_do(run):
    people = [joined(run, Arm.PERSONAL), joined(run, Arm.HOLDOUT)]
    experiments.save(campaign=run.campaign, by=None, changes={"window_days": 3})
    for profile in people:
        did(profile, "visited", after=-0.01)
        did(profile, "purchased", after=3.01)

    counted = report.of_run(run).counted

    assert [(c.visitors, c.buyers) for c in counted.arms.values()] == [(0, 0), (0, 0)]
    did(people[0], "visited", after=2.99)
    assert report.of_run(run).counted.arms[Arm.PERSONAL].visitors == 1
    assert report.of_run(run).is_closed


def test_who_joins_later_counts_from_then(run):
    """An always-on run: the purchase that let somebody in is no success of the message that follows."""
    joined(run, Arm.PERSONAL)
    late = joined(run, Arm.HOLDOUT, at=SENT + timedelta(days=2))
    did(late, "purchased", after=1)

    assert report.of_run(run).counted.arms[Arm.HOLDOUT].buyers == 0


def test_nothing_has_left_and_nothing_to_compare(run):
    factories.PieceFactory(run=run)
    early = report.of_run(run)
    joined(run, Arm.PERSONAL)
    alone = report.of_run(run)

    assert (early.counted.since, early.compared) == (None, ())
    assert alone.compared == () and "nothing to compare with" in alone.notes[0]


def test_a_campaign_counts_each_event_once_over_its_runs():
    campaign = factories.CampaignFactory()
    runs = [factories.RunFactory(campaign=campaign) for _ in range(2)]
    profile = joined(runs[0], Arm.PERSONAL)
    HeldOut.objects.create(run=runs[1], profile=joined(runs[0], Arm.PERSONAL))
    second = factories.PieceFactory(run=runs[1], profile=profile, status="delivered")
    factories.DeliveryFactory(piece=second, finished_at=SENT)
    did(profile, "purchased", amount=Decimal(10), after=4.9)

    counted = report.of_campaign(campaign).counted

    assert (counted.arms[Arm.PERSONAL].people, counted.arms[Arm.PERSONAL].revenue) == (1, 10.0)
    assert counted.moved == 1


def test_purchases_reported_as_outcomes_are_not_held_against_a_hold_out(run):
    buyer = joined(run, Arm.PERSONAL)
    joined(run, Arm.HOLDOUT)
    joined(run, Arm.GENERIC)
    answered(buyer, OutcomeKind.PURCHASED, amount=Decimal(30))

    found = report.of_run(run)

    assert found.counted.from_outcomes and found.counted.arms[Arm.PERSONAL].revenue == 30.0
    against = {
        (one.measure, one.other) for one in found.compared if one.measure in ("conversions", "revenue")
    }
    assert {other for _, other in against} == {Arm.GENERIC}
    assert any("send purchases as events" in note for note in found.notes)


def test_words_numbers_and_files_agree(run, tmp_path, capsys):
    people = {arm: [joined(run, arm) for _ in range(100)] for arm in (Arm.PERSONAL, Arm.HOLDOUT)}
    for profile in people[Arm.PERSONAL][:60]:
        did(profile, "visited")
    for profile in people[Arm.HOLDOUT][:10]:
        did(profile, "visited")

    found = report.of_run(run)

    visits, conversions, _ = found.compared
    assert visits.found.verdict == Verdict.MORE
    assert visits.sentence.startswith("Visits: more than with no message, by +50.00 points (")
    assert visits.extra == pytest.approx(50)
    assert (
        conversions.sentence == "Not enough data to compare conversions: 0 of at least 20 people who did it."
    )
    call_command("results", run=run.pk, csv=tmp_path / "r.csv", png=tmp_path / "r.png")
    assert "+50.00 points" in capsys.readouterr().out
    rows = list(csv.DictReader(io.StringIO((tmp_path / "r.csv").read_text("utf-8-sig"))))
    [line] = [row for row in rows if row["against"] and row["measure"] == "visits"]
    assert (line["verdict"], float(line["difference"])) == ("more", 0.5)
    assert float(line["always_low"]) == pytest.approx(visits.found.always.low, abs=1e-6)
    assert (tmp_path / "r.png").read_bytes() == exporting.png(found)
    assert (tmp_path / "r.png").read_bytes().startswith(b"\x89PNG")
    drawing = exporting.svg(found)
    assert "not enough data" in drawing and visits.span(visits.found.always) in drawing


def test_a_name_that_is_a_formula_or_markup_stays_text(run):
    run.campaign.name, run.campaign.slug = "<script>=1+1", "=cmd"
    joined(run, Arm.PERSONAL)
    joined(run, Arm.HOLDOUT)

    found = report.of_run(run)

    assert "<script>" not in exporting.svg(found)
    assert b"'=cmd" in exporting.csv_file(found)


def test_variants_count_once_their_days_are_over(run):
    experiments.save(
        campaign=run.campaign,
        by=None,
        changes={"is_adaptive": True, "reward": "clicked", "reward_days": 3},
        variants=[("a", "one"), ("b", "two")],
    )
    a, b = Variant.objects.order_by("pk")
    clicker, _ = joined(run, Arm.PERSONAL, variant=a), joined(run, Arm.PERSONAL, variant=a)
    opener = joined(run, Arm.PERSONAL, variant=b)
    joined(run, Arm.PERSONAL, variant=b, at=timezone.now() - timedelta(days=2))
    answered(clicker, OutcomeKind.CLICKED)
    answered(opener, OutcomeKind.OPENED)
    answered(opener, OutcomeKind.CLICKED, counted=False)  # a link scanner's

    assert rewards.refresh_all() == 1

    assert list(Variant.objects.order_by("pk").values_list("successes", "people")) == [(1, 2), (0, 1)]
    following = factories.RunFactory(campaign=run.campaign)
    allocation = variants.allocation_of(following)
    assert allocation.counts == {str(a.pk): [1, 2], str(b.pk): [0, 1]}
    lines = report.of_run(run).variants
    assert [(line.variant.name, line.successes, line.counts.people) for line in lines] == [
        ("a", 1, 2),
        ("b", 0, 2),
    ]
