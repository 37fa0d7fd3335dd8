"""Campaigns and runs over the API."""

from __future__ import annotations

import pytest

from campaigns.models import Campaign, Run, Segment
from tests.api.world import campaign_body
from tests.factories import CampaignFactory

pytestmark = pytest.mark.django_db


def test_created_campaign_reads_back_as_sent_and_can_be_launched(api, world, writer):
    sent = campaign_body(
        schedule={"kind": "once", "at": "2100-05-01T08:00:00Z", "time_zone": "Europe/Berlin"}
    )

    created = api.post("campaigns", sent)

    assert created.status_code == 201 and created["Location"] == "/api/v1/campaigns/summer-pans"
    shown = api.get("campaigns/summer-pans").json()
    for name in ("name", "brand", "goal", "facts", "cta", "must_mention", "channels", "segment"):
        assert shown[name] == sent[name], name
    assert [value["name"] for value in shown["values"]] == ["discount", "link"]
    assert shown["values"][0]["valid_until"] == "2100-01-01T00:00:00Z"
    assert (shown["schedule"]["kind"], shown["schedule"]["time_zone"]) == ("once", "Europe/Berlin")
    assert (shown["status"], shown["problems"]) == ("draft", [])
    launched = api.post("campaigns/summer-pans/launch")
    assert launched.status_code == 202 and launched.json()["counts"]["draft"] == 3


def test_problems_of_the_brief_are_shown_and_stop_a_launch_field_by_field(api, world, writer):
    created = api.post(
        "campaigns", campaign_body(facts=["it costs $9"], values=[], must_mention=["price"])
    ).json()

    refused = api.post("campaigns/summer-pans/launch")

    assert {problem["field"] for problem in created["problems"]} >= {"facts", "must_mention"}
    assert refused.status_code == 400 and refused.json()["type"] == "/problems/brief_incomplete"
    assert {error["field"] for error in refused.json()["errors"]} >= {"facts", "must_mention"}
    assert Run.objects.filter(campaign__slug="summer-pans").count() == 0


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"brand": "nobody"}, "brand"),
        ({"segment": "nobody"}, "segment"),
        ({"channels": []}, "channels"),
        ({"channels": ["email", "email"]}, "channels"),
        ({"channels": ["fax"]}, "channels.0"),
        ({"must_mention": ["Not A Name"]}, "must_mention.0"),
        ({"values": [{"name": "first_name", "text": "x"}]}, "values.0.name"),
        ({"values": [{"name": "a", "text": "x"}, {"name": "a", "text": "y"}]}, "values"),
        ({"facts": ["same", "same"]}, "facts"),
        ({"schedule": {"kind": "once"}}, "schedule.at"),
        ({"schedule": {"kind": "cron", "cron": "every day"}}, "schedule.cron"),
        ({"schedule": {"kind": "manual", "time_zone": "Mars/Base"}}, "schedule.time_zone"),
        ({"segment_filter": {}}, "segment_filter"),
        ({"goal": "x" * 301}, "goal"),
        ({"name": "!!!"}, "slug"),
    ],
)
def test_what_cannot_be_used_is_named_and_nothing_is_stored(changes, field, api, world):
    before = Campaign.objects.count()

    response = api.post("campaigns", campaign_body(**changes))

    assert response.status_code == 400 and field in [error["field"] for error in response.json()["errors"]]
    assert Campaign.objects.count() == before


def test_slug_is_taken_once(api, world):
    assert api.post("campaigns", campaign_body()).status_code == 201
    second = api.post("campaigns", campaign_body())

    assert second.status_code == 409 and second.json()["type"] == "/problems/slug_taken"
    assert api.post("campaigns", campaign_body(slug="summer-2")).status_code == 201


def test_inline_filter_becomes_the_campaigns_own_segment(api, world):
    body = campaign_body(segment_filter={})
    del body["segment"]

    created = api.post("campaigns", body).json()
    changed = api.patch(
        "campaigns/summer-pans",
        {"segment_filter": {"all": [{"field": "lifecycle", "op": "is", "value": "lapsed"}]}},
    )

    assert created["segment_filter"] == {}
    assert changed.json()["segment_filter"]["all"][0]["value"] == "lapsed"
    assert Segment.objects.filter(slug=created["segment"]).count() == 1


def test_filter_outside_the_allow_list_is_refused(api, world):
    tree = {"all": [{"field": "campaign__created_by__password", "op": "is", "value": "x"}]}

    response = api.patch("campaigns/spring", {"segment_filter": tree})

    assert response.status_code == 400 and response.json()["errors"][0]["field"].startswith("segment_filter")


def test_a_shared_segment_is_not_changed_through_another_campaign(api, world):
    Segment.objects.create(name="x", slug="spring-api-audience", filter={"all": []})
    CampaignFactory(segment=Segment.objects.get(slug="spring-api-audience"))

    assert api.patch("campaigns/spring", {"segment_filter": {}}).status_code == 400


def test_patch_changes_only_what_is_sent(api, world):
    before = api.get("campaigns/spring").json()

    after = api.patch("campaigns/spring", {"facts": ["every pan comes seasoned"]}).json()

    assert after["facts"] == ["every pan comes seasoned"]
    assert {n for n in after if after[n] != before[n]} <= {"facts", "updated_at", "problems"}
    assert api.patch("campaigns/spring", {"status": "archived"}).status_code == 400
    assert api.patch("campaigns/nobody", {}).status_code == 404


def test_new_schedule_of_an_active_campaign_counts_at_once(api, world, client_for):
    assert api.get("campaigns/spring").json()["schedule"]["next_run_at"] is None

    changed = api.patch("campaigns/spring", {"schedule": {"kind": "cron", "cron": "0 9 * * MON"}})

    assert changed.json()["schedule"]["next_run_at"] is not None
    writer_only = client_for(permissions=["campaigns.change_campaign"])
    refused = writer_only.patch("campaigns/spring", {"schedule": {"kind": "manual"}})
    assert refused.status_code == 403


def test_pause_and_resume_are_idempotent(api, world):
    for action, status in (
        ("pause", "paused"),
        ("pause", "paused"),
        ("resume", "active"),
        ("resume", "active"),
    ):
        assert api.post(f"campaigns/spring/{action}").json()["status"] == status
    Campaign.objects.update(status="archived")
    assert api.post("campaigns/spring/resume").status_code == 409
    assert api.patch("campaigns/spring", {"cta": "x"}).status_code == 409


def test_second_launch_within_the_minute_is_the_same_run(api, world, writer):
    first, second = api.post("campaigns/spring/launch"), api.post("campaigns/spring/launch")

    same_minute = first.json()["scheduled_for"] == second.json()["scheduled_for"]
    assert (first.json()["id"] == second.json()["id"]) is same_minute
    assert first["Location"] == f"/api/v1/runs/{first.json()['id']}"


def test_run_shows_counts_progress_and_who_was_left_out(api, world, writer):
    api.put("profiles/silent", {"email": "silent@reader.example"})
    run_id = api.post("campaigns/spring/launch").json()["id"]

    run = api.get(f"runs/{run_id}").json()

    assert (run["total"], run["written"], run["share"], run["counts"]["draft"]) == (3, 0, 0.0, 3)
    assert sum(run["excluded"].values()) == 1
    assert run["trigger"] == "api" and run["campaign"] == "spring"


def test_release_pause_resume_cancel(api, world):
    path = f"runs/{world.run.pk}"

    assert api.post(f"{path}/release").json()["released_at"] is not None
    assert api.post(f"{path}/pause").json()["status"] == "paused"
    assert api.post(f"{path}/resume").json()["status"] == "open"
    cancelled = api.post(f"{path}/cancel").json()
    assert cancelled["status"] == "cancelled"
    assert cancelled["counts"]["withdrawn"] == 3 and cancelled["counts"]["delivered"] == 1
    assert api.post(f"{path}/resume").status_code == 409
    assert api.get("runs/999999").status_code == 404


def test_pages_hold_every_row_once_while_rows_are_added(api, world):
    made = {CampaignFactory().slug for _ in range(7)} | {"spring", "sampled"}
    seen, cursor = [], ""

    while True:
        answer = api.get(f"campaigns?limit=3&cursor={cursor}")
        seen += [item["slug"] for item in answer.json()["items"]]
        cursor = answer.json()["next"]
        CampaignFactory()
        if not cursor:
            break
        assert f"cursor={cursor}" in answer["Link"].replace("%3A", ":")

    assert len(seen) == len(set(seen)) == 9 and set(seen) == made


def test_cursor_of_another_list_or_made_up_is_refused(api, world):
    CampaignFactory.create_batch(3)
    cursor = api.get("campaigns?limit=1").json()["next"]

    assert api.get(f"campaigns?limit=1&status=active&cursor={cursor}").status_code == 400
    assert api.get(f"products?limit=1&cursor={cursor}").status_code == 400
    assert api.get(f"campaigns?cursor={cursor[:-1]}x").status_code == 400
    assert api.get(f"campaigns?limit=2&cursor={cursor}").status_code == 200


def test_sending_as_approved_needs_the_right_to_send(api, world, client_for):
    campaign = CampaignFactory()
    writer_key = client_for(permissions=["campaigns.change_campaign"])

    answer = writer_key.patch(f"campaigns/{campaign.slug}", {"send_policy": "when_approved"})

    assert answer.status_code == 403
    campaign.refresh_from_db()
    assert campaign.send_policy == "release"
    sender_key = client_for(permissions=["campaigns.change_campaign", "campaigns.send_campaign"])
    assert sender_key.patch(f"campaigns/{campaign.slug}", {"send_policy": "when_approved"}).status_code == 200
