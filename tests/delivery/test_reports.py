"""Reports of every provider, through the door they come by, to the outcome of the right delivery."""

from __future__ import annotations

import base64
from collections import Counter
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from campaigns import consent
from campaigns.models import Profile, Suppression
from delivery import providers, reports
from delivery.models import Delivery, DeliveryStatus, Outcome, ReportTally
from generation.models import Piece, Status
from tests import factories
from tests.delivery import esp, scenes

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.filterwarnings("ignore:django-anymail has dropped official support for SendGrid"),
]

CASES = [(provider, kind) for provider, kinds in esp.REPORTS.items() for kind in kinds]
every = pytest.mark.parametrize("provider", esp.REPORTS)
KINDS = {"hard": "bounced", "soft": "bounced"}
STOP = {"hard": "bounced", "complained": "complained", "unsubscribed": "unsubscribed"}


@pytest.fixture
def delivery() -> Delivery:
    """One that the provider calls 4711. Another lies beside it, which no report is about."""
    factories.DeliveryFactory(piece__reviewed_by=scenes.somebody(), response="815")
    row: Delivery = factories.DeliveryFactory(piece__reviewed_by=scenes.somebody(), response="4711")
    return row


@pytest.fixture(autouse=True)
def anymail(settings: Any, request: pytest.FixtureRequest) -> None:
    provider = (
        request.node.callspec.params.get("provider", "postmark")
        if hasattr(request.node, "callspec")
        else "postmark"
    )
    settings.ANYMAIL = esp.settings_of(provider)


def may_get_mail(delivery: Delivery) -> bool:
    people = Profile.objects.filter(pk=delivery.piece.profile_id)
    return consent.may_receive(people, channel="email").exists()


def counts() -> dict[str, int]:
    found: Counter[str] = Counter()
    for row in ReportTally.objects.all():
        found[row.verdict] += row.count
    return dict(found)


def test_every_provider_of_anymail_that_reports_is_here() -> None:
    import anymail.urls

    theirs = {str(found.pattern).split("/")[0] for found in anymail.urls.urlpatterns}
    assert set(providers.PROVIDERS) == theirs - {"^mailgun", "sendinblue"}  # Brevo's old name
    assert set(esp.REPORTS) == set(providers.PROVIDERS)


@pytest.mark.parametrize(("provider", "kind"), CASES)
def test_a_report_becomes_an_outcome_and_is_acted_on(provider: str, kind: str, delivery: Delivery) -> None:
    waiting = [
        factories.PieceFactory(profile=delivery.piece.profile, status=status)
        for status in (Status.DRAFT, Status.IN_REVIEW, Status.APPROVED)
    ]

    answers = [esp.send(provider, esp.REPORTS[provider][kind](delivery)) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 200], answers[0].content
    outcome = Outcome.objects.get()
    assert (outcome.delivery, outcome.kind) == (delivery, KINDS.get(kind, kind))
    assert outcome.counted is (kind != "soft")
    assert outcome.occurred_at <= timezone.now()
    assert counts() == {"stored": 1, "repeated": 1}
    stopped = kind in STOP
    assert may_get_mail(delivery) is not stopped
    assert [row.reason for row in Suppression.objects.all()] == ([STOP[kind]] if stopped else [])
    for piece in waiting:
        was = piece.status
        piece.refresh_from_db()
        assert piece.status == (Status.WITHDRAWN if stopped else was)


@every
def test_a_forged_report_is_refused(provider: str, delivery: Delivery) -> None:
    answer = esp.send(provider, esp.REPORTS[provider]["hard"](delivery), forged=True)

    assert answer.status_code == 403
    assert may_get_mail(delivery)
    assert not Outcome.objects.exists() and not ReportTally.objects.exists()


@every
def test_without_its_secret_a_door_is_shut(provider: str, delivery: Delivery, settings: Any) -> None:
    settings.ANYMAIL = {}

    answer = esp.send(provider, esp.REPORTS[provider]["hard"](delivery))

    assert answer.status_code == 403
    assert "in ANYMAIL" in answer.content.decode()
    assert may_get_mail(delivery)


@every
def test_what_is_no_report_is_said_to_be_none(provider: str, delivery: Delivery) -> None:
    for body in (b"", b"[]x", b"\xff\xfe", b"null", b'{"a": 1}', b"[1]"):
        answer = Client().post(
            f"/hooks/mail/{provider}/",
            body,
            content_type="application/json",
            headers={"Authorization": "Basic " + base64.b64encode(esp.SECRET.encode()).decode()},
        )
        assert answer.status_code in (400, 403) or (
            answer.status_code == 200 and not Outcome.objects.exists()
        )


@every
def test_opening_the_door_changes_nothing(provider: str) -> None:
    for method in ("get", "head"):
        assert getattr(Client(), method)(f"/hooks/mail/{provider}/").status_code == 200
    assert not ReportTally.objects.exists()


def test_there_is_no_other_door() -> None:
    for name in ("acme", "sendinblue", "base", "test"):
        assert Client().post(reverse("provider-report", args=[name])).status_code == 404


def test_a_provider_that_waits_to_be_asked_is_asked() -> None:
    answer = Client().post("/hooks/mail/postmark/", "{}", content_type="application/json")

    assert answer.status_code == 401
    assert answer["WWW-Authenticate"].startswith("Basic")


def test_reports_about_mails_of_others_are_counted_and_change_nothing(delivery: Delivery) -> None:
    others = esp.REPORTS["postmark"]["hard"](delivery)
    for ids in ({}, {"delivery": "999999", "mail": "x"}, {"delivery": str(delivery.pk)}, {"delivery": "١"}):
        others["Metadata"] = ids
        assert esp.send("postmark", others).status_code == 200
    # The number of a mail that another server sent by the same account.
    others["Metadata"] = {"delivery": str(delivery.pk), "mail": "00000000-0000-0000-0000-000000000000"}
    assert esp.send("postmark", others).status_code == 200

    assert counts() == {"unknown": 5}
    assert may_get_mail(delivery)


@pytest.mark.parametrize("name", ["Message-ID", "the provider's own"])
def test_a_report_without_our_ids_is_found_by_the_mails(name: str, delivery: Delivery) -> None:
    report = esp.REPORTS["postmark"]["hard"](delivery)
    report["Metadata"] = {}
    report["MessageID"] = delivery.message_id if name == "Message-ID" else delivery.response

    esp.send("postmark", report)

    assert Outcome.objects.get().delivery == delivery


@pytest.mark.parametrize("kind", ["delivered", "soft"])
def test_any_report_makes_an_uncertain_end_certain(kind: str, delivery: Delivery) -> None:
    Delivery.objects.filter(pk=delivery.pk).update(status=DeliveryStatus.UNKNOWN, finished_at=None)
    Piece.objects.filter(pk=delivery.piece_id).update(status=Status.UNKNOWN, delivered_at=None)

    esp.send("postmark", esp.REPORTS["postmark"][kind](delivery))

    delivery.refresh_from_db()
    assert delivery.status == DeliveryStatus.HANDED_OVER
    assert Piece.objects.get(pk=delivery.piece_id).status == Status.DELIVERED


def test_waiting_and_answering_machines_are_counted_and_no_more(delivery: Delivery) -> None:
    for kind in ("Transient", "AutoResponder"):
        esp.send("postmark", esp._postmark("Bounce", delivery, Type=kind, ID=5))

    assert counts() == {"ignored": 2}
    assert not Outcome.objects.exists()


def test_a_scanners_click_is_kept_and_not_counted(delivery: Delivery) -> None:
    report = esp.REPORTS["postmark"]["clicked"](delivery)
    esp.send("postmark", report | {"UserAgent": "Barracuda Sentinel (EE)"})
    esp.send(
        "postmark", report | {"UserAgent": "Mozilla/5.0 Firefox", "OriginalLink": "https://shop.example/b"}
    )

    assert list(Outcome.objects.order_by("pk").values_list("counted", "detail")) == [
        (False, "link scanner"),
        (True, ""),
    ]


def test_a_thousand_events_at_once_are_a_few_statements(
    delivery: Delivery, django_assert_max_num_queries: Any, settings: Any
) -> None:
    settings.ANYMAIL = esp.settings_of("sendgrid")
    one = esp.REPORTS["sendgrid"]["delivered"](delivery)[0]

    with django_assert_max_num_queries(20):
        esp.send("sendgrid", [one | {"sg_event_id": f"sg-{number}"} for number in range(1000)])

    assert counts() == {"stored": 1000}


def test_nothing_personal_is_kept_of_a_report(delivery: Delivery) -> None:
    esp.send("postmark", esp.REPORTS["postmark"]["hard"](delivery) | {"Details": f"550 {esp.READER} unknown"})

    kept = [str(vars(row)) for model in (Outcome, ReportTally) for row in model.objects.all()]
    assert kept and not any("postbox" in text for text in kept)


def test_meaning_of_what_a_provider_refused_itself() -> None:
    from anymail.signals import AnymailTrackingEvent

    def says(**values: Any) -> tuple[str, bool]:
        found = reports.meaning(AnymailTrackingEvent(**values), "acme")
        return str(found.kind), found.permanent

    assert says(event_type="rejected", reject_reason="bounced") == ("bounced", True)
    assert says(event_type="rejected", reject_reason="unsubscribed") == ("unsubscribed", True)
    assert says(event_type="rejected", reject_reason="spam") == ("bounced", False)
    assert says(event_type="bounced", reject_reason="timed_out") == ("bounced", False)
    assert says(event_type="bounced", mta_response="550 5.1.1 no such user") == ("bounced", True)
    assert says(event_type="failed") == ("bounced", False)
    assert says(event_type="sent") == ("None", True)
