"""From a change to the receiver: written with the change, signed, in order, tried again, given up, replayed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import transaction
from django.utils import timezone
from standardwebhooks import Webhook, WebhookVerificationError

from campaigns import people
from campaigns.models import SuppressionReason
from delivery import stopping
from delivery.models import MessageStatus, WebhookEndpoint, WebhookMessage
from delivery.webhooks import catalogue, endpoints, sending, signing, telling
from generation import review
from generation.models import Piece, Status
from generation.transitions import advance, advance_many
from personalize.core import outbox
from personalize.core.models import OutboxEvent
from tests import factories
from tests.delivery.receiver import Receiver, Taken, receiving

pytestmark = pytest.mark.django_db

ALL = [name for name, _ in catalogue.CHOICES]


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    settings.WEBHOOK_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    settings.WEBHOOK_TIMEOUT = 2
    with receiving() as found:
        yield found


def listening(receiver: Receiver, **options: Any) -> WebhookEndpoint:
    options.setdefault("types", ALL)
    return endpoints.create(name="CRM", url=receiver.url, by=None, **options)


def tell(endpoint: WebhookEndpoint) -> sending.Drained:
    telling.fan_out()
    return sending.drain(endpoint_id=endpoint.pk)


def bodies(receiver: Receiver) -> list[dict[str, Any]]:
    return [json.loads(taken.body) for taken in receiver.taken]


def test_what_happened_arrives_signed_and_thin(receiver: Receiver) -> None:
    endpoint = listening(receiver)
    piece = factories.PieceFactory(status=Status.IN_REVIEW, blocking=0)
    review.approve(piece_id=piece.pk, revision=piece.revision, by=factories.SuperuserFactory())

    assert tell(endpoint).delivered == 1
    (taken,) = receiver.taken
    verified = Webhook(signing.secret(endpoint)).verify(taken.body, taken.headers)
    assert verified == {
        "type": "piece.approved",
        "timestamp": verified["timestamp"],
        "sequence": 1,
        "data": {
            "piece": piece.pk,
            "run": piece.run_id,
            "campaign": piece.run.campaign.slug,
            "channel": piece.channel,
            "profile": piece.profile.external_id,
            "revision": piece.revision,
        },
    }
    for secret in (piece.profile.email, piece.profile.first_name, *map(str, piece.fields.values())):
        assert secret not in taken.body.decode()
    with pytest.raises(WebhookVerificationError):
        Webhook(signing.secret(endpoint)).verify(taken.body + b" ", taken.headers)


def test_a_change_that_is_taken_back_tells_nothing(receiver: Receiver) -> None:
    listening(receiver)
    piece = factories.PieceFactory(status=Status.IN_REVIEW)

    with pytest.raises(RuntimeError), transaction.atomic():
        advance(piece, Status.REJECTED)
        raise RuntimeError

    assert not OutboxEvent.objects.exists()


def test_only_what_somebody_wants_is_written_down(receiver: Receiver) -> None:
    piece = factories.PieceFactory(status=Status.IN_REVIEW)
    advance(piece, Status.REJECTED)
    assert not OutboxEvent.objects.exists()

    endpoint = listening(receiver, types=["piece.withdrawn"])
    advance(piece, Status.IN_REVIEW)
    advance(piece, Status.WITHDRAWN)
    assert [event.type for event in OutboxEvent.objects.all()] == ["piece.withdrawn"]

    endpoints.change(endpoint_id=endpoint.pk, is_enabled=False)
    assert not outbox.is_heard("piece.withdrawn")


def test_many_at_once_are_told_one_by_one_and_planted_ones_never(receiver: Receiver) -> None:
    endpoint = listening(receiver, types=["piece.withdrawn"])
    run = factories.RunFactory()
    made = [factories.PieceFactory(run=run, status=Status.IN_REVIEW) for _ in range(20)]
    factories.PieceFactory(run=run, status=Status.IN_REVIEW, planted=True)

    advance_many(Piece.everything.filter(run=run), Status.WITHDRAWN, was=Status.IN_REVIEW)
    assert tell(endpoint).delivered == 20
    assert {body["data"]["piece"] for body in bodies(receiver)} == {piece.pk for piece in made}
    assert {body["sequence"] for body in bodies(receiver)} == set(range(1, 21))


def test_every_endpoint_counts_for_itself_and_gets_what_it_wants(receiver: Receiver) -> None:
    one = listening(receiver, types=["piece.rejected"])
    other = listening(receiver, types=["piece.rejected", "piece.reopened"])
    piece = factories.PieceFactory(status=Status.IN_REVIEW)
    advance(piece, Status.REJECTED)
    advance(piece, Status.IN_REVIEW)
    telling.fan_out()

    def told(endpoint: WebhookEndpoint) -> list[tuple[int, str]]:
        return list(endpoint.messages.order_by("sequence").values_list("sequence", "type"))

    assert told(one) == [(1, "piece.rejected")]
    assert told(other) == [(1, "piece.rejected"), (2, "piece.reopened")]


def test_in_order_the_next_waits_for_the_one_before(receiver: Receiver) -> None:
    endpoint = listening(receiver, in_order=True)
    piece = factories.PieceFactory(status=Status.IN_REVIEW)
    for to in (Status.REJECTED, Status.IN_REVIEW, Status.REJECTED):
        advance(piece, to)
    receiver.answer = lambda taken: 500

    assert tell(endpoint) == sending.Drained(delivered=0, failed=1)
    receiver.answer = lambda taken: 200
    assert sending.drain(endpoint_id=endpoint.pk).delivered == 0  # its pause is not over
    with time_machine.travel(timezone.now() + timedelta(minutes=1), tick=True):
        assert sending.drain(endpoint_id=endpoint.pk).delivered == 3
    assert [body["sequence"] for body in bodies(receiver)] == [1, 1, 2, 3]
    assert receiver.taken[0].headers["webhook-id"] == receiver.taken[1].headers["webhook-id"]


def test_what_never_arrives_is_given_up_and_can_be_replayed(receiver: Receiver) -> None:
    endpoint = listening(receiver)
    message = endpoints.send_test(endpoint_id=endpoint.pk)
    receiver.answer = lambda taken: 500
    waits = []

    for _ in range(len(sending.BACKOFF) + 1):
        WebhookEndpoint.objects.update(quiet_until=None, failing_since=None)
        WebhookMessage.objects.filter(status="pending").update(next_at=timezone.now())
        assert sending.drain(endpoint_id=endpoint.pk).failed == 1
        message.refresh_from_db()
        if message.next_at:
            waits.append((message.next_at - timezone.now()).total_seconds())

    assert message.status == MessageStatus.DEAD and message.error == "It answered 500."
    assert len(waits) == len(sending.BACKOFF)
    for wait, planned in zip(waits, sending.BACKOFF, strict=True):
        assert 0.75 * planned <= wait <= 1.25 * planned
    WebhookEndpoint.objects.update(quiet_until=None)
    assert sending.drain(endpoint_id=endpoint.pk) == sending.Drained()

    receiver.answer = lambda taken: 200
    assert endpoints.replay(endpoint_id=endpoint.pk) == 1
    assert sending.drain(endpoint_id=endpoint.pk).delivered == 1
    message.refresh_from_db()
    assert message.status == MessageStatus.DELIVERED and message.log[-1]["status"] == 200
    assert len({taken.headers["webhook-id"] for taken in receiver.taken}) == 1
    with pytest.raises(endpoints.NothingToReplay):
        endpoints.replay(endpoint_id=endpoint.pk, message_ids=[message.pk])


def test_one_bad_message_does_not_hold_up_the_others(receiver: Receiver) -> None:
    endpoint = listening(receiver)
    for _ in range(3):
        endpoints.send_test(endpoint_id=endpoint.pk)
    receiver.answer = lambda taken: 400 if json.loads(taken.body)["sequence"] == 2 else 200

    assert sending.drain(endpoint_id=endpoint.pk) == sending.Drained(delivered=2, failed=1)
    endpoint.refresh_from_db()
    assert endpoint.quiet_until is None and endpoint.delivered_at


def test_an_endpoint_that_answers_nothing_is_left_alone_longer_each_time(receiver: Receiver) -> None:
    endpoint = listening(receiver)
    receiver.answer = lambda taken: (429, {"Retry-After": "90"})
    endpoints.send_test(endpoint_id=endpoint.pk)

    sending.drain(endpoint_id=endpoint.pk)
    endpoint.refresh_from_db()
    assert endpoint.quiet_until and endpoint.quiet_until > timezone.now() + timedelta(seconds=80)
    assert telling.due_endpoints(now=timezone.now() + timedelta(seconds=60)) == []
    assert telling.due_endpoints(now=timezone.now() + timedelta(seconds=120)) == [endpoint.pk]


def test_after_days_of_nothing_it_is_disabled_and_after_gone_at_once(receiver: Receiver) -> None:
    endpoint = listening(receiver)
    receiver.answer = lambda taken: 500
    endpoints.send_test(endpoint_id=endpoint.pk)
    WebhookEndpoint.objects.update(failing_since=timezone.now() - timedelta(days=6))
    sending.drain(endpoint_id=endpoint.pk)
    endpoint.refresh_from_db()
    assert not endpoint.is_enabled and "5 days" in endpoint.disabled_because

    endpoints.change(endpoint_id=endpoint.pk, is_enabled=True)
    receiver.answer = lambda taken: 410
    endpoints.send_test(endpoint_id=endpoint.pk)
    sending.drain(endpoint_id=endpoint.pk)
    endpoint.refresh_from_db()
    assert not endpoint.is_enabled and "410" in endpoint.disabled_because
    assert not outbox.is_heard("piece.approved")


def test_two_workers_at_one_endpoint_are_one(receiver: Receiver) -> None:
    endpoint = listening(receiver)
    endpoints.send_test(endpoint_id=endpoint.pk)
    WebhookEndpoint.objects.update(claimed_until=timezone.now() + timedelta(seconds=30))

    assert sending.drain(endpoint_id=endpoint.pk) == sending.Drained()
    endpoint.refresh_from_db()
    assert endpoint.claimed_until  # the lease of the other is left as it is

    with time_machine.travel(timezone.now() + timedelta(minutes=1), tick=True):  # that one died
        assert sending.drain(endpoint_id=endpoint.pk).delivered == 1
    endpoint.refresh_from_db()
    assert endpoint.claimed_until is None


def test_a_worker_that_lost_its_lease_neither_renews_nor_ends_it(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = listening(receiver)
    for _ in range(sending.LANES + 1):
        outbox.add("piece.written", {"piece": 1})
    telling.fan_out()
    others = timezone.now() + timedelta(seconds=90)
    post_all = sending._post_all

    def outlast_the_lease(*args: Any) -> list[sending.Result]:
        WebhookEndpoint.objects.update(claimed_until=others)
        return post_all(*args)

    monkeypatch.setattr(sending, "_post_all", outlast_the_lease)

    drained = sending.drain(endpoint_id=endpoint.pk)

    endpoint.refresh_from_db()
    assert drained == sending.Drained(delivered=sending.LANES)
    assert endpoint.claimed_until == others


def test_while_a_secret_changes_both_verify_and_then_only_the_new_one(receiver: Receiver) -> None:
    endpoint = listening(receiver)
    old = signing.secret(endpoint)
    endpoint = endpoints.rotate_secret(endpoint_id=endpoint.pk)
    new = signing.secret(endpoint)
    assert old != new

    def signed() -> Taken:
        endpoints.send_test(endpoint_id=endpoint.pk)
        assert sending.drain(endpoint_id=endpoint.pk).delivered == 1
        return receiver.taken[-1]

    during = signed()
    for secret in (old, new):
        Webhook(secret).verify(during.body, during.headers)
    WebhookEndpoint.objects.update(old_secret_until=timezone.now())
    after = signed()
    Webhook(new).verify(after.body, after.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(old).verify(after.body, after.headers)


def test_a_person_erased_before_it_is_sent_is_named_to_nobody(receiver: Receiver) -> None:
    endpoint = listening(receiver)
    profile = factories.ProfileFactory(external_id="crm-erase-me")
    stopping.stop(
        profile=profile,
        channel="email",
        reason=SuppressionReason.UNSUBSCRIBED,
        source="link",
        at=timezone.now(),
    )
    telling.fan_out()
    assert "crm-erase-me" not in json.dumps(list(WebhookMessage.objects.values_list("refs", flat=True)))
    people.erase(external_id="crm-erase-me", by=None)

    sending.drain(endpoint_id=endpoint.pk)
    (body,) = bodies(receiver)
    assert body["type"] == "profile.unsubscribed"
    assert body["data"] == {"profile": None, "channel": "email", "reason": "unsubscribed"}


def test_leaving_is_told_once(receiver: Receiver) -> None:
    endpoint = listening(receiver)
    profile = factories.ProfileFactory()
    for _ in range(2):
        stopping.stop(
            profile=profile,
            channel="email",
            reason=SuppressionReason.COMPLAINED,
            source="x",
            at=timezone.now(),
        )
    tell(endpoint)

    assert [body["data"]["reason"] for body in bodies(receiver)] == ["complained"]
    assert bodies(receiver)[0]["data"]["profile"] == profile.external_id


def test_a_run_is_written_and_finished_once(receiver: Receiver) -> None:
    endpoint = listening(receiver, types=["run.written", "run.finished"])
    run = factories.RunFactory()
    piece = factories.PieceFactory(run=run, status=Status.IN_REVIEW)
    draft = factories.PieceFactory(run=run, status=Status.DRAFT)
    now = timezone.now()

    assert telling.mark_milestones(now=now) == 0
    advance(draft, Status.WITHDRAWN)
    assert telling.mark_milestones(now=now) == 1
    advance(piece, Status.REJECTED)
    assert telling.mark_milestones(now=now) == 1
    assert telling.mark_milestones(now=now) == 0
    tell(endpoint)
    told = [(body["type"], body["data"]) for body in bodies(receiver)]
    data = {"run": run.pk, "campaign": run.campaign.slug}
    assert sorted(told) == [("run.finished", data), ("run.written", data)]


def test_old_messages_go(receiver: Receiver) -> None:
    for status, days in (("delivered", 15), ("delivered", 10), ("dead", 15), ("dead", 100)):
        finished = timezone.now() - timedelta(days=days)
        factories.WebhookMessageFactory(status=status, finished_at=finished)

    assert telling.purge(now=timezone.now()) == 2
    assert set(WebhookMessage.objects.values_list("status", flat=True)) == {"delivered", "dead"}
