"""The pages of when: calendar, next times while typing, sending rules, dry run, uncertain deliveries."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, time, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from campaigns.models import Campaign
from campaigns.models.timing import Blackout, FrequencyCap, SendingRules
from generation.models import PieceEvent, Status
from tests.factories import (
    BlackoutFactory,
    CampaignFactory,
    DeliveryFactory,
    PieceFactory,
    RunFactory,
)

pytestmark = pytest.mark.django_db
ClientOf = Callable[[str], Client]


@pytest.fixture
def admin(client_of: ClientOf) -> Client:
    return client_of("superuser")


@pytest.mark.parametrize("view", ["month", "list"])
def test_the_calendar_shows_runs_times_to_come_and_blackouts(admin: Client, view: str) -> None:
    now = timezone.now()
    following = (now.replace(day=1) + timedelta(days=40)).replace(day=1)
    campaign = CampaignFactory(
        name="Every morning", schedule="daily", schedule_time=time(9), next_run_at=now + timedelta(days=1)
    )
    many = CampaignFactory(
        name="Too often",
        schedule="cron",
        schedule_cron="*/30 * * * *",
        next_run_at=now + timedelta(minutes=9),
    )
    CampaignFactory(name="Welcome", schedule="always_on", next_run_at=now)
    CampaignFactory(name="Sleeping", schedule="daily", schedule_time=time(9), status="paused")
    run = RunFactory(campaign=campaign, scheduled_for=following + timedelta(days=2))
    BlackoutFactory(name="Fair", first_day=following.date(), last_day=following.date())
    page = admin.get(f"/admin/campaigns/campaign/calendar/?month={following:%Y-%m}&view={view}")
    text = page.content.decode()
    assert page.status_code == 200
    assert text.count(">Every morning") + text.count("</b> Every morning") >= 28
    assert f"/admin/campaigns/run/{run.pk}/change/" in text and "Fair" in text
    assert text.count("48 times this day") >= 28 and f"/campaign/{many.pk}/" in text
    assert "always on: whenever somebody enters the segment" in text and "Sleeping" not in text


def test_a_calendar_of_nothing_says_what_to_do(admin: Client) -> None:
    for query in ("", "?month=2026-13", "?month=x&view=y", "?month=0001-01", "?month=9999-12"):
        assert (
            "Give a campaign a schedule"
            in admin.get(f"/admin/campaigns/campaign/calendar/{query}").content.decode()
        )


def test_next_times_while_typing(admin: Client) -> None:
    def ask(**query: Any) -> Any:
        return admin.get("/admin/campaigns/campaign/times/", query).json()

    found = ask(
        schedule="weekly", schedule_time="08:15:00", schedule_days=["1", "7"], schedule_time_zone="Asia/Tokyo"
    )
    assert len(found["times"]) == 5 and all("08:15 (JST)" in each for each in found["times"])
    assert found["words"] == "Every Monday and Sunday at 08:15 (Asia/Tokyo)."
    assert ask(schedule="weekly", schedule_time="08:15", schedule_time_zone="UTC")["error"].startswith(
        "Choose at least"
    )
    assert "time zone" in ask(schedule="daily", schedule_time="8:15", schedule_time_zone="Mars/Base")["error"]
    assert (
        "cannot be read" in ask(schedule="cron", schedule_cron="9 9 9 9 z", schedule_time_zone="UTC")["error"]
    )
    assert (
        ask(schedule="once", date="2020-01-01", time="09:00", schedule_time_zone="UTC")["error"]
        == "That time is past."
    )
    assert ask(schedule="x")["error"] and Campaign.objects.count() == 0


def form_of(page: Any) -> dict[str, Any]:
    """What a browser would post from the form as it stands."""
    form = page.context["adminform"].form
    posted: dict[str, Any] = {}
    for each in [form, *(f for s in page.context["inline_admin_formsets"] for f in s.formset.forms)]:
        for field in each:
            value = field.value()
            if hasattr(field.field.widget, "widgets"):
                parts = field.field.widget.decompress(value)
                posted |= {f"{field.html_name}_{n}": part or "" for n, part in enumerate(parts)}
            elif value is not None and value is not False:
                posted[field.html_name] = value
    for each in page.context["inline_admin_formsets"]:
        for field in each.formset.management_form:
            posted[field.html_name] = field.value()
    return posted


def test_a_schedule_is_saved_with_its_next_times_shown(admin: Client) -> None:
    campaign = CampaignFactory(status="draft")
    url = f"/admin/campaigns/campaign/{campaign.pk}/change/"
    posted = form_of(admin.get(url)) | {
        "schedule": "weekly", "schedule_time": "09:30", "schedule_days": ["2", "4"],
        "schedule_time_zone": "Europe/Berlin", "window_start": "08:00", "window_end": "20:00",
        "window_days": ["1", "2", "3", "4", "5"], "per_minute": "120", "missed_policy": "skip",
    }  # fmt: skip
    answer = admin.post(url, posted)
    assert answer.status_code == 302, [
        each.formset.errors for each in answer.context["inline_admin_formsets"]
    ]
    answer = admin.get(url)
    assert "Next times once it is started (Europe/Berlin): " in answer.content.decode()
    campaign.refresh_from_db()
    assert (campaign.schedule_days, campaign.window_days, campaign.per_minute) == (
        [2, 4],
        [1, 2, 3, 4, 5],
        120,
    )
    assert "Every Tuesday and Thursday at 09:30 (Europe/Berlin)" in admin.get(url).content.decode()
    refused = admin.post(url, posted | {"window_end": ""})
    assert "Sending hours have a beginning and an end." in refused.content.decode()


def test_sending_rules_are_one_page(admin: Client) -> None:
    assert (
        admin.get("/admin/campaigns/sendingrules/")["Location"] == "/admin/campaigns/sendingrules/1/change/"
    )
    url = "/admin/campaigns/sendingrules/1/change/"
    page = admin.get(url)
    assert page.status_code == 200 and not SendingRules.objects.exists()  # a look stores nothing
    posted = form_of(page) | {
        "quiet_from": "21:00", "quiet_until": "08:00", "per_minute": "600",
        "caps-TOTAL_FORMS": "1", "caps-0-channel": "email", "caps-0-most": "2", "caps-0-days": "7",
        "blackouts-TOTAL_FORMS": "1", "blackouts-0-name": "Christmas",
        "blackouts-0-first_day": "2026-12-24", "blackouts-0-last_day": "2026-12-26",
    }  # fmt: skip
    assert admin.post(url, posted).status_code == 302
    assert SendingRules.objects.get().quiet_until == time(8)
    assert (FrequencyCap.objects.get().most, Blackout.objects.get().last_day) == (2, date(2026, 12, 26))
    wrong = admin.post(url, posted | {"quiet_until": "", "blackouts-0-last_day": "2026-12-01"})
    text = wrong.content.decode()
    assert "Quiet hours have a beginning and an end." in text and "The last day is before the first." in text


def test_the_dry_run_page(admin: Client, world: SimpleNamespace) -> None:
    url = f"/admin/delivery/delivery/dry-run/{world.campaign.pk}/"
    page = admin.get(url).content.decode()
    assert "in the segment" in page and "would not, because" in page
    for query in ("?reason=no_consent&q=zz", "?at=2126-06-10T09:30", "?channel=x&reason=y&after=z&at=never"):
        assert admin.get(url + query).status_code == 200
    empty = CampaignFactory(channels=[], segment=None)
    assert "Choose a channel" in admin.get(f"/admin/delivery/delivery/dry-run/{empty.pk}/").content.decode()


def test_a_sender_decides_about_an_uncertain_delivery_and_the_trail_keeps_it(client_of: ClientOf) -> None:
    piece = PieceFactory(status=Status.UNKNOWN)
    row = DeliveryFactory(piece=piece, status="unknown", begun_at=timezone.now(), response="the line broke")
    sender, reader = client_of("Senders"), client_of("Reviewers")
    page = sender.get("/admin/delivery/delivery/uncertain/").content.decode()
    assert row.message_id.strip("<>") in page and "the line broke" in page
    settle = f"/admin/delivery/delivery/settle/{piece.pk}/"
    assert settle in page
    assert settle not in reader.get("/admin/delivery/delivery/uncertain/").content.decode()
    assert reader.post(settle, {"reason": "delivered"}).status_code == 403
    assert sender.get(settle).status_code == 200
    piece.refresh_from_db()
    assert piece.status == Status.UNKNOWN  # a look decides nothing
    sender.post(settle, {"reason": "send_again", "note": "not in the server's log"})
    piece.refresh_from_db()
    event = PieceEvent.objects.filter(piece_id=piece.pk).latest("id")
    assert (piece.status, event.note) == (Status.APPROVED, "not in the server's log")
    assert event.actor_name and event.to_status == Status.APPROVED
    assert "Nothing is uncertain" in sender.get("/admin/delivery/delivery/uncertain/").content.decode()
