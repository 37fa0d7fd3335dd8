"""Always-on campaigns: each person once, by the stated rule, whoever looks and however often."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from campaigns import schedules
from campaigns.models import Campaign, Profile, Run, RunTrigger
from campaigns.models.timing import Entry
from generation import drafting, experiments
from generation.models import HeldOut, Piece
from tests.factories import (
    CampaignFactory,
    ConsentFactory,
    EventFactory,
    ModelVersionFactory,
    ProfileFactory,
    SegmentFactory,
)

LOYAL = {"field": "lifecycle", "op": "is", "value": "loyal"}


@pytest.fixture(autouse=True)
def _writer(db: Any) -> None:
    ModelVersionFactory(state="active")


def always_on(**changes: Any) -> Campaign:
    campaign: Campaign = CampaignFactory(
        schedule="always_on", status="draft", segment=SegmentFactory(filter=LOYAL), **changes
    )
    schedules.activate(campaign=campaign, by=None)
    return campaign


def person(lifecycle: str = "loyal", **changes: Any) -> Profile:
    made: Profile = ProfileFactory(lifecycle=lifecycle, **{"consents": ["email"], **changes})
    return made


def look(now: datetime) -> list[Run]:
    return drafting.start_due_runs(now=now)


def written_to(campaign: Campaign) -> Counter[int]:
    return Counter(Piece.objects.filter(run__campaign=campaign).values_list("profile_id", flat=True))


def test_who_comes_into_the_segment_gets_one_piece_and_who_was_there_none() -> None:
    there = person()
    campaign = always_on()
    now = timezone.now()
    assert look(now + timedelta(minutes=1)) == []
    later, other = person("active"), person("active")
    assert look(now + timedelta(minutes=3)) == []
    later.lifecycle = "loyal"
    later.save()
    (run,) = look(now + timedelta(minutes=5))
    assert (run.trigger, written_to(campaign)) == (RunTrigger.ENTRY, Counter({later.pk: 1}))
    # Once a person, ever: not by staying, not by leaving and coming back.
    for minutes, lifecycle in ((7, "loyal"), (9, "lapsed"), (11, "loyal")):
        Profile.objects.filter(pk=later.pk).update(lifecycle=lifecycle)
        assert look(now + timedelta(minutes=minutes)) == []
    # Who enters on the same day joins the same run.
    Profile.objects.filter(pk=other.pk).update(lifecycle="loyal")
    (again,) = look(now + timedelta(minutes=13))
    assert again == run
    assert written_to(campaign) == Counter({later.pk: 1, other.pk: 1})
    run.refresh_from_db()
    assert run.audience_size == 2
    assert there.pk not in written_to(campaign)


def test_people_already_there_are_taken_when_the_campaign_says_so() -> None:
    there = person()
    campaign = always_on(takes_present=True)
    look(timezone.now() + timedelta(minutes=1))
    assert written_to(campaign) == Counter({there.pk: 1})


def test_a_person_who_comes_back_gets_another_after_the_stated_days_and_not_before() -> None:
    campaign = always_on(reentry_days=30, takes_present=True)
    reader = person()
    now = timezone.now() + timedelta(minutes=1)
    look(now)
    for days, inside, expected in (
        (10, False, 1),
        (20, True, 1),
        (21, False, 1),
        (31, True, 2),
        (32, True, 2),
    ):
        Profile.objects.filter(pk=reader.pk).update(lifecycle="loyal" if inside else "lapsed")
        look(now + timedelta(days=days))
        assert written_to(campaign)[reader.pk] == expected, days
    assert Entry.objects.get(campaign=campaign, profile=reader).times == 2


def test_an_event_makes_a_piece_for_those_in_the_segment_once() -> None:
    campaign = always_on(entry="event", entry_event="cart_left")
    reader, outside, late = person(), person("active"), person()
    start = timezone.now()
    EventFactory(profile=late, name="cart_left", occurred_at=start - timedelta(hours=1))  # before it started
    look(start + timedelta(minutes=1))
    for who in (reader, reader, outside):
        EventFactory(profile=who, name="cart_left", occurred_at=start + timedelta(minutes=2))
    EventFactory(profile=late, name="viewed", occurred_at=start + timedelta(minutes=2))
    look(start + timedelta(minutes=3))
    EventFactory(profile=reader, name="cart_left", occurred_at=start + timedelta(minutes=4))
    look(start + timedelta(minutes=5))
    assert written_to(campaign) == Counter({reader.pk: 1})


def test_an_event_counts_again_by_its_own_time() -> None:
    campaign = always_on(entry="event", entry_event="purchased", reentry_days=7)
    reader = person()
    start = timezone.now() + timedelta(minutes=1)
    look(start)
    counts = []
    for days in (1, 6, 9):
        EventFactory(profile=reader, name="purchased", occurred_at=start + timedelta(days=days))
        look(start + timedelta(days=days, minutes=1))
        counts.append(written_to(campaign)[reader.pk])
    assert counts == [1, 1, 2]  # on day 9 the event of day 6 is still too early, that of day 9 is not


@pytest.mark.parametrize("holdout", [0, 50])
def test_an_address_that_two_people_have_is_written_to_once(holdout: int) -> None:
    campaign = always_on(channels=["email", "sms"])
    experiments.save(campaign=campaign, by=None, changes={"holdout_percent": holdout})
    now = timezone.now()
    look(now + timedelta(minutes=1))
    for number in range(8):
        for _ in range(2):
            person(email=f"shared-{number}@mail.example")

    for minutes in (3, 5, 7):
        look(now + timedelta(minutes=minutes))

    oldest = [min(p.pk for p in Profile.objects.filter(email=f"shared-{n}@mail.example")) for n in range(8)]
    held = set(HeldOut.objects.filter(run__campaign=campaign).values_list("profile_id", flat=True))
    assert bool(held) == bool(holdout)
    assert written_to(campaign) == Counter(set(oldest) - held)
    assert held <= set(oldest)
    assert not Entry.objects.filter(campaign=campaign, waits_since__isnull=False).exists()


def test_who_cannot_be_written_to_is_waited_for_a_week() -> None:
    campaign = always_on(takes_present=True)
    soon, never = person(consents=[]), person(consents=[])
    now = timezone.now() + timedelta(minutes=1)
    assert look(now) == []
    ConsentFactory(profile=soon)
    assert len(look(now + timedelta(days=2))) == 1
    look(now + timedelta(days=8))
    ConsentFactory(profile=never)
    look(now + timedelta(days=9))
    assert written_to(campaign) == Counter({soon.pk: 1})


def test_a_changed_segment_is_no_mass_mailing() -> None:
    campaign = always_on()
    now = timezone.now() + timedelta(minutes=1)
    look(now)
    for _ in range(3):
        person("active")
    assert campaign.segment is not None
    campaign.segment.filter = {"field": "lifecycle", "op": "is", "value": "active"}
    campaign.segment.save()
    assert look(now + timedelta(minutes=2)) == []
    new = person("active")
    look(now + timedelta(minutes=4))
    assert written_to(campaign) == Counter({new.pk: 1})


def test_it_is_not_launched_by_hand() -> None:
    with pytest.raises(drafting.LaunchRefused):
        drafting.launch(campaign=always_on(), by=None)


@pytest.mark.django_db(transaction=True)
def test_of_many_looks_at_once_one_writes() -> None:
    campaign = always_on(takes_present=True)
    for _ in range(20):
        person()
    now = timezone.now() + timedelta(minutes=1)
    start = threading.Barrier(6)
    failures: list[BaseException] = []

    def beat() -> None:
        start.wait(10)
        try:
            drafting.start_due_runs(now=now)
        except BaseException as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=beat) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failures == []
    assert Run.objects.filter(campaign=campaign).count() == 1
    assert set(written_to(campaign).values()) == {1} and len(written_to(campaign)) == 20
