"""Sending: everything checked again, once, and each answer of a real mail server read right."""

from __future__ import annotations

import email
import email.policy
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, connections
from django.utils import timezone

from campaigns import consent
from campaigns.models import CampaignStatus, RunStatus, Suppression
from delivery import claiming, rendering, sending, stopping
from delivery.models import Delivery, DeliveryStatus
from generation.models import Piece, PieceEvent, Status
from personalize.core.errors import InvalidInput, NotAllowed
from tests import factories
from tests.delivery import scenes
from tests.delivery.scenes import Sink

pytestmark = pytest.mark.django_db


@pytest.fixture
def smtp(settings: Any) -> Iterator[Sink]:
    with scenes.smtp_server(settings) as sink:
        yield sink


def last_note(piece: Piece) -> str:
    return PieceEvent.objects.filter(piece_id=piece.pk).latest("id").note


# -- the happy way -----------------------------------------------------------------------------------


def test_200_mails_arrive_once_each_whole_and_named(smtp: Sink) -> None:
    run = scenes.released_run()
    pieces = scenes.approved(run, 200)

    summary = sending.deliver_due()
    again = sending.deliver_due()

    assert summary.handed_over == 200
    assert again == sending.Summary()
    assert sorted(smtp.recipients) == sorted(piece.profile.email for piece in pieces)
    assert Piece.objects.filter(status=Status.DELIVERED, delivered_at__isnull=False).count() == 200
    assert (
        Delivery.objects.filter(status=DeliveryStatus.HANDED_OVER, finished_at__isnull=False).count() == 200
    )
    by_id = {row.message_id: row for row in Delivery.objects.select_related("piece__profile")}
    for raw in smtp.mails:
        mail = email.message_from_bytes(raw, policy=email.policy.default)
        delivery = by_id.pop(str(mail["Message-ID"]))
        assert mail["To"] == delivery.piece.profile.email
        assert mail["From"].addresses[0].addr_spec == "hello@wrenandember.example"
        assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert str(mail["List-Unsubscribe"]).strip().startswith("<http")
        assert rendering.piece_of_reference(str(mail["X-Personalize-Piece"])) == delivery.piece_id
        assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
        assert "15% off until 5 July" in mail.get_body(("plain",)).get_content()
    assert by_id == {}


def test_every_step_is_in_the_audit_trail(smtp: Sink) -> None:
    [piece] = scenes.approved(scenes.released_run())

    sending.deliver_due()

    steps = (
        PieceEvent.objects.filter(piece_id=piece.pk).order_by("id").values_list("from_status", "to_status")
    )
    assert list(steps) == [("approved", "delivering"), ("delivering", "delivered")]


def test_nothing_due_opens_no_connection(settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_PORT = 1  # nobody listens

    assert sending.deliver_due() == sending.Summary()


def test_a_small_run_does_not_wait_for_a_large_one(smtp: Sink) -> None:
    large = scenes.released_run()
    scenes.approved(large, sending.BATCH * 2)
    small = scenes.released_run()
    scenes.approved(small, 3)

    sending.deliver_due(limit=sending.BATCH + 3)

    assert small.pieces.filter(status=Status.DELIVERED).count() == 3
    assert large.pieces.filter(status=Status.DELIVERED).count() == sending.BATCH


def test_deliver_sends_one_piece_and_says_why_not(smtp: Sink) -> None:
    run = scenes.released_run()
    piece, other = scenes.approved(run, 2)

    assert sending.deliver(piece_id=piece.pk).status == DeliveryStatus.HANDED_OVER
    with pytest.raises(sending.NotSent, match="Delivered"):
        sending.deliver(piece_id=piece.pk)
    with pytest.raises(sending.NotSent, match="no such piece"):
        sending.deliver(piece_id=10**9)

    other.refresh_from_db()
    assert other.status == Status.APPROVED
    assert len(smtp.mails) == 1


# -- still true when it leaves -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda run: type(run).objects.filter(pk=run.pk).update(status=RunStatus.PAUSED), "paused"),
        (lambda run: type(run).objects.filter(pk=run.pk).update(status=RunStatus.CANCELLED), "closed"),
        (
            lambda run: type(run).objects.filter(pk=run.pk).update(released_at=None, released_by=None),
            "released",
        ),
        (lambda run: type(run.campaign).objects.update(status=CampaignStatus.PAUSED), "paused"),
        (lambda run: type(run.campaign).objects.update(status=CampaignStatus.ARCHIVED), "closed"),
    ],
)
def test_a_stopped_run_keeps_its_pieces_approved(smtp: Sink, change: Any, why: str) -> None:
    run = scenes.released_run()
    [piece] = scenes.approved(run)
    change(run)

    sending.deliver_due()
    with pytest.raises(sending.NotSent, match=why):
        sending.deliver(piece_id=piece.pk)

    piece.refresh_from_db()
    assert (piece.status, smtp.mails) == (Status.APPROVED, [])


def test_consent_withdrawn_after_approval_stops_the_mail(smtp: Sink) -> None:
    [piece] = scenes.approved(scenes.released_run())
    consent.record(
        profile_id=piece.profile_id, channel="email", status="withdrawn", source="phone", at=timezone.now()
    )

    summary = sending.deliver_due()

    piece.refresh_from_db()
    assert (piece.status, summary.withdrawn, smtp.mails) == (Status.WITHDRAWN, 1, [])
    assert "consent is not given" in last_note(piece)


def test_a_suppressed_address_gets_nothing(smtp: Sink) -> None:
    [piece] = scenes.approved(scenes.released_run())
    consent.suppress(address=piece.profile.email.upper(), channel="email", reason="complained")

    sending.deliver_due()

    piece.refresh_from_db()
    assert (piece.status, smtp.mails) == (Status.WITHDRAWN, [])
    assert "suppressed" in last_note(piece)


def test_a_price_that_changed_sends_the_piece_back(smtp: Sink) -> None:
    run = scenes.released_run()
    changed, other = scenes.approved(run, 2)
    other.fields["body"] = "Hello {{first_name}},\n\nEvery pan comes seasoned."
    other.fields["preheader"] = "Cast iron"
    other.text_hash = other.approved_hash = claiming.content_hash(other.fields)
    other.save()
    run.campaign.values.filter(name="discount").update(text="10%")

    summary = sending.deliver_due()

    changed.refresh_from_db()
    assert (changed.status, changed.approved_hash, changed.reviewed_by) == (Status.IN_REVIEW, "", None)
    assert "discount" in last_note(changed)
    assert (summary.returned, summary.handed_over) == (1, 1)  # who says nothing of it still gets theirs
    assert smtp.recipients == [other.profile.email]


def test_a_fact_that_the_campaign_no_longer_says_sends_the_piece_back(smtp: Sink) -> None:
    run = scenes.released_run()
    told, other = scenes.approved(run, 2)
    first = run.brief["facts"][0]
    run.campaign.facts.all().delete()
    for position, fact in enumerate(run.brief["facts"][1:]):
        factories.FactFactory(campaign=run.campaign, text=fact["text"], position=position)
    Piece.objects.filter(pk=told.pk).update(ledger=[{"label": "1", "sources": [first["id"]], "text": "x"}])
    Piece.objects.filter(pk=other.pk).update(ledger=[{"label": "1", "sources": ["r1"], "text": "x"}])

    summary = sending.deliver_due()

    told.refresh_from_db()
    assert (told.status, told.approved_hash) == (Status.IN_REVIEW, "")
    assert "fact" in last_note(told)
    assert (summary.returned, smtp.recipients) == (1, [other.profile.email])


def test_one_piece_that_breaks_the_rendering_stops_no_other(
    smtp: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, fine = scenes.approved(scenes.released_run(), 2)
    render = rendering.render_email

    def render_all_but_one(piece: Piece, **options: object) -> object:
        if piece.pk == broken.pk:
            raise UnicodeEncodeError("ascii", "münchen", 1, 2, "ordinal not in range")
        return render(piece, **options)

    monkeypatch.setattr(sending, "render_email", render_all_but_one)

    sending.deliver_due()

    broken.refresh_from_db()
    assert broken.status == Status.IN_REVIEW
    assert "UnicodeEncodeError" in last_note(broken) and "münchen" not in last_note(broken)
    assert smtp.recipients == [fine.profile.email]


def test_an_offer_that_expired_is_not_sent(smtp: Sink) -> None:
    now = timezone.now()
    run = scenes.released_run()
    [piece] = scenes.approved(run)
    run.campaign.values.filter(name="end_date").update(valid_until=now)

    sending.deliver_due(now=now - timedelta(seconds=1), limit=0)
    sending.deliver_due(now=now)

    piece.refresh_from_db()
    assert (piece.status, smtp.mails) == (Status.IN_REVIEW, [])
    assert "valid until" in last_note(piece)


def test_a_link_that_moved_is_not_sent(smtp: Sink) -> None:
    run = scenes.released_run()
    [piece] = scenes.approved(run)
    run.campaign.values.filter(name="link").delete()

    sending.deliver_due()

    piece.refresh_from_db()
    assert (piece.status, smtp.mails) == (Status.IN_REVIEW, [])


def test_a_text_nobody_approved_does_not_leave(smtp: Sink) -> None:
    [piece] = scenes.approved(scenes.released_run())
    Piece.objects.filter(pk=piece.pk).update(
        fields={**piece.fields, "body": "Hello, something else entirely."}
    )

    sending.deliver_due()

    piece.refresh_from_db()
    assert (piece.status, smtp.mails) == (Status.IN_REVIEW, [])
    assert "not the one that was approved" in last_note(piece)


def test_a_piece_that_cannot_be_rendered_goes_to_a_person(smtp: Sink) -> None:
    run = scenes.released_run()
    fields = {**factories.EMAIL_FIELDS, "body": "We told {{first_name}} about cast iron."}
    [piece] = scenes.approved(
        run, fields=fields, profile=factories.ProfileFactory(first_name="", consents=["email"])
    )

    sending.deliver_due()

    piece.refresh_from_db()
    assert (piece.status, smtp.mails) == (Status.IN_REVIEW, [])
    assert "first name" in last_note(piece)


# -- what the server says ----------------------------------------------------------------------------


def one(smtp: Sink) -> tuple[Piece, str]:
    [piece] = scenes.approved(scenes.released_run())
    return piece, piece.profile.email


def after(piece: Piece) -> tuple[str, Delivery]:
    piece.refresh_from_db()
    return piece.status, Delivery.objects.get(piece=piece)


def test_no_such_mailbox_fails_and_suppresses(smtp: Sink) -> None:
    piece, address = one(smtp)
    smtp.answers[address] = f"550 5.1.1 <{address}>: no such user"
    [queued] = scenes.approved(
        piece.run.__class__.objects.get(pk=scenes.released_run().pk), profile=piece.profile
    )
    claiming_run_first = piece.run_id < queued.run_id

    sending.deliver_due(limit=1)

    assert claiming_run_first
    status, delivery = after(piece)
    assert (status, delivery.status) == (Status.FAILED, DeliveryStatus.FAILED)
    assert delivery.response == "550 5.1.1 …: no such user"  # the address is not kept
    assert consent.is_suppressed(address=address, channel="email")
    queued.refresh_from_db()
    assert queued.status == Status.WITHDRAWN


def test_being_blocked_fails_but_costs_no_address(smtp: Sink) -> None:
    piece, address = one(smtp)
    smtp.answers[address] = "550 5.7.1 Blocked by policy"

    sending.deliver_due()

    assert after(piece)[0] == Status.FAILED
    assert not Suppression.objects.exists()


@pytest.mark.parametrize("where", ["rcpt", "data"])
def test_a_passing_refusal_is_tried_again_later_with_the_same_message_id(smtp: Sink, where: str) -> None:
    piece, address = one(smtp)
    (smtp.answers if where == "rcpt" else smtp.data_answers)[address] = "450 4.2.1 Try again later"

    sending.deliver_due()
    status, first = after(piece)
    waiting = sending.deliver_due()
    smtp.answers.clear()
    smtp.data_answers.clear()
    later = sending.deliver_due(now=timezone.now() + timedelta(minutes=5))

    assert (status, first.status) == (Status.APPROVED, DeliveryStatus.RETRY)
    assert timedelta(seconds=50) < first.retry_after - timezone.now() < timedelta(minutes=2)
    assert (waiting, later.handed_over) == (sending.Summary(), 1)
    status, second = after(piece)
    assert (status, second.attempts, second.message_id) == (Status.DELIVERED, 2, first.message_id)
    assert len(smtp.mails) == 1


def test_tries_come_to_an_end(smtp: Sink) -> None:
    piece, address = one(smtp)
    smtp.answers[address] = "450 4.2.1 Try again later"
    now = timezone.now()

    for _ in range(sending.MOST_TRIES):
        now += timedelta(hours=6)
        sending.deliver_due(now=now)

    status, delivery = after(piece)
    assert (status, delivery.status, delivery.attempts) == (
        Status.FAILED,
        DeliveryStatus.FAILED,
        sending.MOST_TRIES,
    )


def test_a_text_refused_after_data_is_refused(smtp: Sink) -> None:
    piece, address = one(smtp)
    smtp.data_answers[address] = "554 5.6.0 Not accepted"

    sending.deliver_due()

    assert after(piece)[0] == Status.FAILED
    assert not Suppression.objects.exists()


def test_a_line_cut_after_the_mail_went_out_is_uncertain_and_never_sent_again(smtp: Sink) -> None:
    piece, address = one(smtp)
    [other] = scenes.approved(piece.run)
    smtp.cut_in_data.add(address)

    summary = sending.deliver_due()
    for hours in (1, 24):
        sending.sweep(now=timezone.now() + timedelta(hours=hours))
        sending.deliver_due(now=timezone.now() + timedelta(hours=hours))

    status, delivery = after(piece)
    assert (status, delivery.status, summary.unknown) == (Status.UNKNOWN, DeliveryStatus.UNKNOWN, 1)
    assert smtp.recipients.count(address) == 1
    assert after(other)[0] == Status.DELIVERED  # on a new connection


def test_a_line_cut_before_the_mail_is_tried_again_at_once(smtp: Sink) -> None:
    piece, address = one(smtp)
    smtp.cut_before_data.add(address)

    sending.deliver_due()

    status, delivery = after(piece)
    assert (status, delivery.attempts) == (Status.DELIVERED, 1)
    assert smtp.recipients == [address]


def test_a_refused_sender_is_our_fault_and_stops_the_round(smtp: Sink) -> None:
    pieces = scenes.approved(scenes.released_run(), 5)
    smtp.sender_answer = "550 5.7.1 Sender not authorised"

    summary = sending.deliver_due()

    assert "Sender not authorised" in summary.trouble
    assert Piece.objects.filter(status=Status.APPROVED).count() == len(pieces)
    assert set(Delivery.objects.values_list("status", flat=True)) == {DeliveryStatus.RETRY}


def test_a_server_that_is_away_leaves_everything_as_it_was(settings: Any) -> None:
    [piece] = scenes.approved(scenes.released_run())
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1

    summary = sending.deliver_due()

    piece.refresh_from_db()
    assert "refused" in summary.trouble.lower()
    assert piece.status == Status.APPROVED
    assert not Delivery.objects.exists()


# -- sweeping and resolving --------------------------------------------------------------------------


def test_a_pause_is_seen_before_each_mail(smtp: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    run = scenes.released_run()
    pieces = scenes.approved(run, 4)
    begin = sending.begin

    def pause_after_the_second(ready: claiming.Ready[Any]) -> bool:
        begun = begin(ready)
        if ready.piece_id == pieces[1].pk:
            type(run).objects.filter(pk=run.pk).update(status=RunStatus.PAUSED)
        return begun

    monkeypatch.setattr(sending, "begin", pause_after_the_second)

    sending.deliver_due()

    assert len(smtp.mails) == 2
    assert Piece.objects.filter(status=Status.APPROVED).count() == 2
    assert not Delivery.objects.filter(status=DeliveryStatus.CLAIMED).exists()
    type(run).objects.filter(pk=run.pk).update(status=RunStatus.OPEN)
    sending.deliver_due()
    assert sorted(smtp.recipients) == sorted(piece.profile.email for piece in pieces)


def test_what_was_refused_is_sent_again_when_a_sender_says_so(smtp: Sink) -> None:
    piece, address = one(smtp)
    smtp.data_answers[address] = "554 5.7.1 Listed"
    sending.deliver_due()
    assert after(piece)[0] == Status.FAILED
    smtp.data_answers.clear()
    with pytest.raises(NotAllowed):
        sending.send_failed_again(piece_id=piece.pk, by=factories.UserFactory())
    sender = factories.UserFactory(permissions=["campaigns.send_campaign"])

    sending.send_failed_again(piece_id=piece.pk, by=sender, note="taken off the list")

    assert sending.deliver_due().handed_over == 1
    assert smtp.recipients.count(address) == len(smtp.recipients)
    assert after(piece)[0] == Status.DELIVERED
    with pytest.raises(sending.NotSent):
        sending.send_failed_again(piece_id=piece.pk, by=sender)


def claim(piece: Piece) -> claiming.Ready[rendering.Rendered]:
    [ready] = sending._claim(run_id=piece.run_id, now=timezone.now(), limit=1).ready
    return ready


def test_a_claim_not_begun_goes_back_and_one_begun_is_uncertain(smtp: Sink) -> None:
    run = scenes.released_run()
    not_begun, begun = scenes.approved(run, 2)
    claim(not_begun)
    assert sending.begin(claim(begun))

    early = sending.sweep()
    late = sending.sweep(now=timezone.now() + timedelta(hours=1))

    assert not any(early.values())
    assert late == {"given_back": 1, "unknown": 1, "files": 0}
    assert after(not_begun)[0] == Status.APPROVED
    assert after(begun)[0] == Status.UNKNOWN


def test_who_lost_the_claim_may_not_begin_and_settles_nothing(smtp: Sink) -> None:
    piece, _ = one(smtp)
    lost = claim(piece)
    sending.sweep(now=timezone.now() + timedelta(hours=1))
    held = claim(piece)

    assert not sending.begin(lost)
    assert claiming.settle(ready=[lost], status=DeliveryStatus.FAILED, response="late") == []
    assert sending.begin(held)
    assert claiming.settle(ready=[held], status=DeliveryStatus.HANDED_OVER) == [piece.pk]


def test_a_slow_worker_may_still_say_that_its_mail_left(smtp: Sink) -> None:
    piece, _ = one(smtp)
    slow = claim(piece)
    sending.begin(slow)
    sending.sweep(now=timezone.now() + timedelta(hours=1))

    claiming.settle(ready=[slow], status=DeliveryStatus.HANDED_OVER)

    status, delivery = after(piece)
    assert (status, delivery.status) == (Status.DELIVERED, DeliveryStatus.HANDED_OVER)


@pytest.fixture
def uncertain(smtp: Sink) -> Piece:
    piece, _ = one(smtp)
    sending.begin(claim(piece))
    sending.sweep(now=timezone.now() + timedelta(hours=1))
    return piece


@pytest.mark.parametrize(
    ("verdict", "status", "mails"),
    [
        ("delivered", Status.DELIVERED, 0),
        ("send_again", Status.DELIVERED, 1),
        ("withdraw", Status.WITHDRAWN, 0),
    ],
)
def test_a_person_resolves_an_uncertain_end(
    smtp: Sink, uncertain: Piece, verdict: str, status: Status, mails: int
) -> None:
    person = factories.UserFactory(permissions=["campaigns.send_campaign"])

    sending.resolve_unknown(piece_id=uncertain.pk, by=person, verdict=verdict, note="asked the provider")
    sending.deliver_due(now=timezone.now() + timedelta(seconds=1))

    assert after(uncertain)[0] == status
    assert len(smtp.mails) == mails
    event = PieceEvent.objects.get(piece_id=uncertain.pk, from_status="unknown")
    assert (event.actor_name, event.note) == (person.username, "asked the provider")


def test_resolving_needs_the_right_a_known_word_and_an_uncertain_piece(smtp: Sink, uncertain: Piece) -> None:
    person = factories.UserFactory(permissions=["campaigns.send_campaign"])

    with pytest.raises(NotAllowed):
        sending.resolve_unknown(piece_id=uncertain.pk, by=factories.UserFactory(), verdict="delivered")
    with pytest.raises(InvalidInput):
        sending.resolve_unknown(piece_id=uncertain.pk, by=person, verdict="maybe")
    sending.resolve_unknown(piece_id=uncertain.pk, by=person, verdict="withdraw")
    with pytest.raises(sending.NotSent):
        sending.resolve_unknown(piece_id=uncertain.pk, by=person, verdict="send_again")


def test_what_was_withdrawn_while_it_waited_is_not_tried_again(smtp: Sink) -> None:
    piece, address = one(smtp)
    smtp.answers[address] = "450 4.2.1 Try again later"
    sending.deliver_due()

    stopping.withdraw_pieces(profile_id=piece.profile_id, channel=piece.channel, note="Unsubscribed")
    smtp.answers.clear()
    sending.deliver_due(now=timezone.now() + timedelta(hours=1))

    status, delivery = after(piece)
    assert (status, delivery.status, smtp.mails) == (Status.WITHDRAWN, DeliveryStatus.FAILED, [])


# -- many at once ------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_eight_workers_send_each_piece_once(settings: Any) -> None:
    run = scenes.released_run()
    pieces = scenes.approved(run, 120)
    barrier = threading.Barrier(8)

    def work(_: int) -> int:
        barrier.wait()
        try:
            return sending.deliver_due().handed_over
        finally:
            connections.close_all()

    with scenes.smtp_server(settings) as sink, ThreadPoolExecutor(8) as pool:
        counts = list(pool.map(work, range(8)))

    assert sum(counts) == 120
    assert sorted(sink.recipients) == sorted(piece.profile.email for piece in pieces)
    assert PieceEvent.objects.filter(to_status=Status.DELIVERED).count() == 120
    assert connection.vendor == "postgresql"
