"""When approved mail leaves: hours, quiet hours, blackouts, caps and throttle, looked at in the claim."""

from __future__ import annotations

import threading
import time as time_module
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from campaigns.models import Campaign, Profile, Run
from campaigns.timing import Limit
from delivery import refreshing, sending, throttle
from delivery.models import Delivery, DeliveryStatus, Hold, HoldReason, TokenBucket
from generation import drafting
from generation.models import Finding, Piece, Status
from generation.texts import text_hash
from personalize.core.errors import NotAllowed
from tests import factories
from tests.delivery import scenes
from tests.delivery.scenes import Sink

pytestmark = pytest.mark.django_db


@pytest.fixture
def smtp(settings: Any) -> Iterator[Sink]:
    with scenes.smtp_server(settings) as sink:
        yield sink


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def run_with(**campaign: Any) -> Run:
    return scenes.released_run(campaign=factories.CampaignFactory(**campaign))


def reader(**changes: Any) -> Profile:
    made: Profile = factories.ProfileFactory(consents=["email"], **changes)
    return made


def held(piece: Piece) -> tuple[str, datetime] | None:
    found = Hold.objects.filter(piece=piece).first()
    return (found.reason, found.until) if found else None


def test_each_reader_gets_it_in_their_own_morning(smtp: Sink) -> None:
    run = run_with(window_start=time(9), window_end=time(17), schedule_time_zone="Europe/Berlin")
    zones = ("Asia/Tokyo", "Europe/Berlin", "America/New_York", "")
    pieces = [scenes.approved(run, profile=reader(time_zone=zone))[0] for zone in zones]
    start = at("2126-06-10T07:30")  # 16:30 in Tokyo, 09:30 in Berlin, 03:30 in New York
    summary = sending.deliver_due(now=start)
    assert (summary.handed_over, summary.held) == (3, 1)
    assert held(pieces[2]) == (HoldReason.WINDOW, at("2126-06-10T13:00"))
    assert sending.deliver_due(now=at("2126-06-10T12:59")).handed_over == 0
    assert sending.deliver_due(now=at("2126-06-10T13:00")).handed_over == 1
    assert Hold.objects.count() == 0
    assert len(set(smtp.recipients)) == 4


def test_quiet_hours_and_blackouts_hold_and_a_change_of_the_rules_lets_go(smtp: Sink) -> None:
    rules = factories.SendingRulesFactory(quiet_from=time(21), quiet_until=time(8))
    factories.BlackoutFactory(rules=rules, first_day=date(2126, 6, 11), last_day=date(2126, 6, 12))
    (piece,) = scenes.approved(scenes.released_run(), profile=reader(time_zone="UTC"))
    night = at("2126-06-10T22:00")
    assert sending.deliver_due(now=night).held == 1
    assert held(piece) == (HoldReason.QUIET, at("2126-06-13T08:00"))
    with pytest.raises(sending.NotSent, match="13 June 2126, 08:00 UTC: quiet hours"):
        sending.deliver(piece_id=piece.pk, now=night)
    rules.quiet_from = rules.quiet_until = None
    rules.save()
    assert sending.deliver_due(now=night).handed_over == 1


def test_a_change_of_the_campaign_is_seen_at_once(smtp: Sink) -> None:
    run = run_with(window_start=time(9), window_end=time(10), schedule_time_zone="UTC")
    scenes.approved(run, profile=reader(time_zone=""))
    noon = at("2126-06-10T12:00")
    assert sending.deliver_due(now=noon).held == 1
    assert sending.deliver_due(now=noon).held == 0  # and it is not looked at again and again
    run.campaign.window_end = time(13)
    run.campaign.save()
    assert sending.deliver_due(now=noon).handed_over == 1


def test_an_offer_that_ends_before_its_hour_comes_goes_back_at_once(smtp: Sink) -> None:
    run = run_with(window_start=time(9), window_end=time(10), schedule_time_zone="UTC")
    run.campaign.values.filter(name="discount").update(valid_until=at("2126-06-11T00:00"))
    (piece,) = scenes.approved(run, profile=reader(time_zone="UTC"))
    assert sending.deliver_due(now=at("2126-06-10T12:00")).returned == 1
    piece.refresh_from_db()
    finding = Finding.objects.get(piece=piece, rule="facts.changed", revision=piece.revision)
    assert (piece.status, piece.warnings) == (Status.IN_REVIEW, 1)
    assert "discount was valid until 11 June 2126" in finding.message
    assert "could not leave before 11 June 2126, 09:00" in finding.message
    assert smtp.mails == []


def test_a_fact_has_its_own_end(smtp: Sink) -> None:
    run = scenes.released_run()
    fact = run.campaign.facts.get(text=run.brief["facts"][1]["text"])
    fact.valid_until = timezone.now() - timedelta(minutes=1)
    fact.save()
    ledger = [{"label": "", "sources": ["f2"], "text": "", "logprob": 0}]
    (piece,) = scenes.approved(run, ledger=ledger)
    sending.deliver_due()
    piece.refresh_from_db()
    assert piece.status == Status.IN_REVIEW and smtp.mails == []
    assert "fact 2 was true until" in piece.findings.get(rule="facts.changed").message


# -- caps --------------------------------------------------------------------------------------------


def sent(profile: Profile, when: datetime, **changes: Any) -> Delivery:
    piece = factories.PieceFactory(profile=profile, status=Status.DELIVERED)
    made: Delivery = factories.DeliveryFactory(piece=piece, finished_at=when, **changes)
    return made


def test_a_reader_who_had_enough_waits_until_the_cap_lets_one_through(smtp: Sink) -> None:
    factories.FrequencyCapFactory(channel="email", most=2, days=7)
    now = at("2126-06-10T12:00")
    full, free, old = reader(), reader(), reader()
    sent(full, now - timedelta(days=6)), sent(full, now - timedelta(days=1))
    (
        sent(free, now - timedelta(days=1)),
        sent(old, now - timedelta(days=8)),
        sent(old, now - timedelta(days=9)),
    )
    run = scenes.released_run()
    piece = scenes.approved(run, profile=full)[0]
    for person in (free, old):
        scenes.approved(run, profile=person)
    summary = sending.deliver_due(now=now)
    assert (summary.handed_over, summary.held) == (2, 1)
    assert held(piece) == (HoldReason.CAP, now + timedelta(days=1))
    piece.refresh_from_db()
    assert piece.status == Status.APPROVED  # it waits, it does not die
    assert sending.deliver_due(now=now + timedelta(days=1, seconds=1)).handed_over == 1


@pytest.mark.parametrize(
    ("status", "counts"),
    [("handed_over", True), ("unknown", True), ("claimed", True), ("failed", False), ("retry", False)],
)
def test_whatever_may_have_arrived_counts(smtp: Sink, status: str, counts: bool) -> None:
    factories.FrequencyCapFactory(channel="", most=1, days=1)
    person, now = reader(), timezone.now()
    sent(person, now - timedelta(hours=1), status=status)
    scenes.approved(scenes.released_run(), profile=person)
    assert sending.deliver_due(now=now).held == (1 if counts else 0)


def test_what_went_to_a_former_id_counts(smtp: Sink) -> None:
    factories.FrequencyCapFactory(channel="", most=1, days=1)
    former, person, now = reader(), reader(), timezone.now()
    sent(former, now - timedelta(hours=1))
    Profile.objects.filter(pk=former.pk).update(merged_into=person)
    scenes.approved(scenes.released_run(), profile=person)
    assert sending.deliver_due(now=now).held == 1


def test_two_campaigns_at_once_keep_the_cap_together(smtp: Sink) -> None:
    factories.FrequencyCapFactory(channel="email", most=1, days=7)
    people = [reader() for _ in range(5)]
    for _ in range(3):
        run = scenes.released_run()
        for person in people:
            scenes.approved(run, profile=person)
    summary = sending.deliver_due()
    assert (summary.handed_over, summary.held) == (5, 10)
    assert sorted(smtp.recipients) == sorted(person.email for person in people)


@pytest.mark.django_db(transaction=True)
def test_eight_workers_keep_the_cap(settings: Any) -> None:
    factories.FrequencyCapFactory(channel="email", most=1, days=7)
    people = [reader() for _ in range(12)]
    for _ in range(4):
        run = scenes.released_run()
        for person in people:
            scenes.approved(run, profile=person)
    with scenes.smtp_server(settings) as sink:
        start = threading.Barrier(8)

        def work() -> None:
            start.wait(10)
            sending.deliver_due()
            connection.close()

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        sending.deliver_due()
        assert sorted(sink.recipients) == sorted(person.email for person in people)
    assert Hold.objects.filter(reason=HoldReason.CAP).count() == 36


# -- throttle ----------------------------------------------------------------------------------------


def test_a_bucket_never_gives_more_than_the_limit_in_any_minute() -> None:
    for limit in (1, 2, 5, 6, 11, 12, 60, 61, 1000):
        size, refill = throttle.bucket(limit)
        assert size >= 1 and refill >= 1
        assert size + refill <= limit + (1 if limit < 12 else 0)


def test_it_takes_what_is_there_and_refills_by_the_clock() -> None:
    limits = [Limit("campaign-1", 60)]
    assert [throttle.take(limits, 4) for _ in range(4)] == [4, 4, 2, 0]
    TokenBucket.objects.update(refilled_at=timezone.now() - timedelta(seconds=6))
    assert throttle.take(limits, 25) == 5  # 50 a minute
    TokenBucket.objects.update(refilled_at=timezone.now() - timedelta(days=365))
    assert throttle.take(limits, 25) == 10  # never more than it holds
    throttle.give_back(limits, 4)
    assert throttle.take(limits, 25) == 4


def test_a_clock_that_went_back_stops_nothing_for_long() -> None:
    limits = [Limit("campaign-1", 60)]
    throttle.take(limits, 10)
    TokenBucket.objects.update(refilled_at=timezone.now() + timedelta(days=365), tokens=1)
    assert throttle.take(limits, 25) == 1
    assert TokenBucket.objects.get().refilled_at <= timezone.now()


def test_the_tighter_of_two_limits_holds_and_the_other_gets_its_tokens_back() -> None:
    limits = [Limit("campaign-1", 600), Limit("all", 60)]
    assert throttle.take(limits, 25) == 10
    assert 90 <= throttle.take(limits[:1], 100) <= 100  # 90, and what came in the meantime
    assert throttle.take(limits[1:], 25) < 10


def test_a_round_sends_what_the_limit_allows_and_the_rest_stays_due(smtp: Sink) -> None:
    run = run_with(per_minute=60)
    scenes.approved(run, 30)
    other = scenes.released_run()
    scenes.approved(other, 3)
    begun = time_module.monotonic()
    assert sending.deliver_due().handed_over >= 13
    sending.deliver_due()  # a moment later: what came since
    sent_of_run = Piece.objects.filter(run=run).exclude(status=Status.APPROVED).count()
    assert 10 <= sent_of_run <= 10 + 50 / 60 * (time_module.monotonic() - begun) + 1


@pytest.mark.django_db(transaction=True)
def test_all_workers_share_one_limit() -> None:
    limits = [Limit("all", 600)]
    taken: list[int] = []
    start = threading.Barrier(8)

    def work() -> None:
        start.wait(10)
        for _ in range(20):
            taken.append(throttle.take(limits, 3))
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(8)]
    begun = timezone.now()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    seconds = (timezone.now() - begun).total_seconds()
    assert 100 <= sum(taken) <= 100 + 500 / 60 * seconds + 1


# -- stopped in the middle -----------------------------------------------------------------------------


def test_cancelling_while_sending_leaves_nothing_behind(smtp: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    run = scenes.released_run()
    scenes.approved(run, 6)
    deliver, seen = sending.Mailer.send, 0

    def send(self: Any, message: Any) -> Any:
        nonlocal seen
        seen += 1
        if seen == 3:
            drafting.cancel(run=run, by=None)
        return deliver(self, message)

    monkeypatch.setattr(sending.Mailer, "send", send)
    sending.deliver_due()
    # The one in hand still goes; those claimed with it and not begun are withdrawn like all others.
    states = list(Piece.objects.filter(run=run).order_by("id").values_list("status", flat=True))
    assert states == [Status.DELIVERED] * 3 + [Status.WITHDRAWN] * 3
    assert not Delivery.objects.filter(status__in=(DeliveryStatus.RETRY, DeliveryStatus.CLAIMED)).exists()


def test_stale_again_is_one_finding(smtp: Sink) -> None:
    run = scenes.released_run()
    campaign: Campaign = run.campaign
    (piece,) = scenes.approved(run)
    for price in ("20%", "25%"):
        campaign.values.filter(name="discount").update(text=price)
        sending.deliver_due()
        piece.refresh_from_db()
        assert (piece.status, piece.warnings, piece.findings.filter(rule="facts.changed").count()) == (
            Status.IN_REVIEW, 1, 1,
        )  # fmt: skip
        Piece.objects.filter(pk=piece.pk).update(status=Status.APPROVED, approved_hash=piece.text_hash)


def test_a_changed_price_is_taken_into_the_run_and_looked_at_again(smtp: Sink) -> None:
    run = scenes.released_run()
    stale, waiting = scenes.approved(run, 2)
    untouched = scenes.approved(
        run, fields={**factories.EMAIL_FIELDS, "preheader": "Pans", "body": "Hello."}
    )[0]
    Piece.objects.filter(pk=untouched.pk).update(approved_hash=text_hash(untouched.fields))
    run.campaign.values.filter(name="discount").update(text="20%")
    sending.deliver_due(limit=1)  # the first is found stale
    who = factories.UserFactory(permissions=["campaigns.launch_campaign"])
    with pytest.raises(NotAllowed):
        refreshing.refresh(run=run, by=factories.UserFactory())
    done = refreshing.refresh(run=run, by=who)
    assert [(change.name, change.was, change.now) for change in done.changes] == [("discount", "15%", "20%")]
    assert (done.returned, done.cleared) == (1, 1)
    for piece in (stale, waiting, untouched):
        piece.refresh_from_db()
    assert (stale.status, stale.warnings, waiting.status) == (Status.IN_REVIEW, 0, Status.IN_REVIEW)
    assert untouched.status == Status.APPROVED  # it says nothing of the discount
    sending.deliver_due()
    assert len(smtp.mails) == 1
    Piece.objects.filter(pk=stale.pk).update(status=Status.APPROVED, approved_hash=stale.text_hash)
    sending.deliver_due()
    assert b"20%" in smtp.mails[1] or b"20=25" in smtp.mails[1]
    assert refreshing.refresh(run=run, by=who).changes == ()
