"""The dry run says what a launch and a delivery then do, person by person."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from campaigns.models import Campaign, Profile
from delivery import dry_run, sending
from delivery.dry_run import DryRun
from delivery.models import Delivery, Hold
from generation import drafting
from generation.models import Piece, Status
from generation.texts import text_hash
from tests import factories
from tests.api.client import make_client
from tests.delivery import scenes
from tests.delivery.scenes import Sink

pytestmark = pytest.mark.django_db

AT = datetime(2126, 6, 10, 7, 30, tzinfo=UTC)


@pytest.fixture
def smtp(settings: Any) -> Iterator[Sink]:
    with scenes.smtp_server(settings) as sink:
        yield sink


def person(name: str, **changes: Any) -> Profile:
    made: Profile = factories.ProfileFactory(
        external_id=name, **{"consents": ["email"], "time_zone": "Europe/Berlin", **changes}
    )
    return made


@pytest.fixture
def campaign() -> Campaign:
    """One person for each answer there is. At AT it is 09:30 in Berlin, 03:30 in New York, 16:30 in Tokyo."""
    factories.ModelVersionFactory(state="active")
    made: Campaign = factories.CampaignFactory(
        slug="spring", window_start=time(9), window_end=time(22), schedule_time_zone="Europe/Berlin"
    )
    factories.SendingRulesFactory(quiet_from=time(16), quiet_until=time(17))
    factories.FrequencyCapFactory(channel="email", most=1, days=2)
    person("now"), person("window", time_zone="America/New_York"), person("quiet", time_zone="Asia/Tokyo")
    had = factories.PieceFactory(profile=person("cap"), status=Status.DELIVERED)
    factories.DeliveryFactory(piece=had, finished_at=AT - timedelta(days=1))
    person("no_consent", consents=[])
    factories.ConsentFactory(profile=person("consent_withdrawn", consents=[]), status="withdrawn")
    person("no_address", email="", email_hash="")
    factories.SuppressionFactory(address=person("suppressed").email)
    first = Profile.objects.get(external_id="now")
    person("same_address", email=first.email)
    return made


def reasons(run: DryRun, **query: Any) -> dict[str, str]:
    lines, after = run.people(channel="email", **query)
    assert after is None
    return {line.external_id: line.reason for line in lines}


def test_each_person_with_their_reason_and_time(campaign: Campaign) -> None:
    run = DryRun(campaign, at=AT)
    found = reasons(run)
    assert found == {name: name for name in found} and len(found) == 9
    report = run.report()
    (channel,) = report.channels
    assert (report.audience, report.would, report.would_not, report.problems) == (9, 4, 5, ())
    assert channel.would == {"now": 1, "window": 1, "quiet": 1, "cap": 1}
    assert channel.would_not == dict.fromkeys(
        ("no_consent", "consent_withdrawn", "no_address", "suppressed", "same_address"), 1
    )
    lines, _ = run.people(channel="email", reason="window")
    assert [line.at for line in lines] == [datetime(2126, 6, 10, 13, tzinfo=UTC)]
    assert lines[0].words.startswith("would get it later: when the campaign's sending hours begin")
    lines, _ = run.people(channel="email", reason="no_consent")
    assert lines[0].words == "would not, because they never agreed to this channel"


def test_every_reason_lists_exactly_those_it_counts(campaign: Campaign) -> None:
    run = DryRun(campaign, at=AT)
    (channel,) = run.report().channels
    for reason in dry_run.CHOICES:
        listed = reasons(run, reason=reason)
        counts = {"would": channel.gets, "would_not": channel.gets_not}
        expected = counts.get(reason, channel.would.get(reason, channel.would_not.get(reason, 0)))
        assert len(listed) == expected, reason
    assert set(reasons(run, reason="would")) == {"now", "window", "quiet", "cap"}


def test_another_purpose_is_another_question(campaign: Campaign) -> None:
    factories.PurposeFactory(slug="news")
    agreed, asked = Profile.objects.get(external_id="now"), Profile.objects.get(external_id="no_consent")
    factories.ConsentFactory(profile=agreed, purpose="news", status="withdrawn")
    factories.ConsentFactory(profile=asked, purpose="news", status="given")
    found = reasons(DryRun(campaign, at=AT))
    assert (found["now"], found["no_consent"]) == ("now", "no_consent")


def test_search_and_pages(campaign: Campaign) -> None:
    run = DryRun(campaign, at=AT)
    assert set(reasons(run, search="no_")) == {"no_consent", "no_address"}
    first, after = run.people(channel="email", limit=5)
    assert after == first[-1].profile_id
    rest, last = run.people(channel="email", limit=5, after=after)
    assert last is None and len({line.profile_id for line in [*first, *rest]}) == 9


def test_what_it_says_is_what_happens(campaign: Campaign, smtp: Sink) -> None:
    factories.ExperimentFactory(campaign=campaign, holdout_percent=40, generic_percent=0)
    for number in range(12):
        person(f"more-{number}")
    run = DryRun(campaign, at=AT)
    assert "held_out" in reasons(run).values()
    would, now = reasons(run, reason="would"), reasons(run, reason="now")
    at = {line.external_id: line.at for line in run.people(channel="email", reason="would")[0]}
    before = Piece.objects.count(), Delivery.objects.count()
    run.report()
    assert (Piece.objects.count(), Delivery.objects.count()) == before  # nothing was written

    launched = drafting.launch(campaign=campaign, by=None, queue=False)
    made = Piece.objects.filter(run=launched)
    assert set(made.values_list("profile__external_id", flat=True)) == set(would)
    # As if written, approved and released.
    fields = factories.EMAIL_FIELDS
    made.update(
        status=Status.APPROVED, fields=fields, text_hash=text_hash(fields), approved_hash=text_hash(fields)
    )
    who = scenes.somebody()
    type(launched).objects.filter(pk=launched.pk).update(released_at=AT, released_by=who)
    sending.deliver_due(now=AT)
    delivered = made.filter(status=Status.DELIVERED).values_list("profile__external_id", flat=True)
    assert set(delivered) == set(now)
    for hold in Hold.objects.select_related("piece__profile"):
        assert hold.piece.profile is not None
        name = hold.piece.profile.external_id
        assert (hold.reason, hold.until) == (would[name], at[name])


def test_always_on_knows_who_had_it(campaign: Campaign) -> None:
    Campaign.objects.filter(pk=campaign.pk).update(schedule="always_on", reentry_days=30)
    campaign.refresh_from_db()
    assert set(reasons(DryRun(campaign, at=AT)).values()) == {"present_before"}  # nobody enters by the start
    Campaign.objects.filter(pk=campaign.pk).update(takes_present=True)
    campaign.refresh_from_db()
    for name, days in (("now", 10), ("quiet", 40)):
        factories.EntryFactory(
            campaign=campaign, profile__external_id=name,
            profile=Profile.objects.get(external_id=name), times=1, started_at=AT - timedelta(days=days),
        )  # fmt: skip
    found = reasons(DryRun(campaign, at=AT))
    assert (found["now"], found["quiet"]) == ("had_it", "quiet")


def test_what_stops_all_of_it_is_said_first(campaign: Campaign) -> None:
    campaign.values.filter(name="discount").update(valid_until=AT - timedelta(hours=1))
    Campaign.objects.filter(pk=campaign.pk).update(status="paused")
    campaign.refresh_from_db()
    problems = DryRun(campaign, at=AT).report().problems
    assert "paused" in problems[0] and "discount is valid until" in problems[1]


def test_the_command(campaign: Campaign, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("dry_run", "spring", "--at", AT.isoformat())
    text = capsys.readouterr().out
    assert "E-mail: 4 would get it, 5 would not" in text
    assert "1  would not, because they never agreed to this channel" in text
    call_command("dry_run", "spring", "--at", AT.isoformat(), "--format", "csv", "--reason", "would_not")
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert {row["profile"] for row in rows} == {row["reason"] for row in rows} and len(rows) == 5
    call_command("dry_run", "spring", "--at", AT.isoformat(), "--format", "json", "--people", "--limit", "2")
    shown = json.loads(capsys.readouterr().out)
    assert shown["channels"][0]["would"] == {"now": 1, "window": 1, "quiet": 1, "cap": 1}
    assert len(shown["people"]) == 2
    for wrong in (("nowhere",), ("spring", "--at", "soon"), ("spring", "--at", "2126-06-10T09:00")):
        with pytest.raises(CommandError):
            call_command("dry_run", *wrong)


def test_the_api_says_the_same(campaign: Campaign) -> None:
    api = make_client(["campaigns:read"])
    answer = api.post("campaigns/spring/dry-run", {"at": AT.isoformat(), "reason": "would_not", "limit": 2})
    assert answer.status_code == 200
    found = answer.json()
    assert (found["audience"], found["would"], found["would_not"], found["problems"]) == (9, 4, 5, [])
    assert len(found["people"]) == 2 and found["people"][0]["would"] is False
    body = {"at": AT.isoformat(), "reason": "would_not", "after": found["next"]}
    rest = api.post("campaigns/spring/dry-run", body).json()
    assert len(rest["people"]) == 3 and rest["next"] is None
    assert api.post("campaigns/spring/dry-run", {"channel": "sms"}).status_code == 400
    assert api.post("campaigns/spring/dry-run", {"reason": "luck"}).status_code == 400
    assert api.post("campaigns/nowhere/dry-run", {}).status_code == 404
