"""A small world to call the API on, and the list of every operation with a request that works in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from campaigns import people, privacy
from campaigns.models import Campaign, Profile, Run
from delivery import exports
from delivery.models import Delivery, WebhookEndpoint
from generation.models import Piece, SamplePlan, SampleStratum
from tests.factories import (
    AttributeDefinitionFactory,
    CampaignFactory,
    DeliveryFactory,
    ExportFileFactory,
    PieceEventFactory,
    PieceFactory,
    ProductFactory,
    ProfileFactory,
    RunFactory,
    SamplePlanFactory,
    SampleStratumFactory,
    SuperuserFactory,
    WebhookEndpointFactory,
    WebhookMessageFactory,
)

WHEN = "2024-04-03T09:30:00Z"


@dataclass
class World:
    profile: Profile
    campaign: Campaign
    run: Run
    piece: Piece
    approved: Piece
    delivery: Delivery
    webhook: WebhookEndpoint
    sampled: Run
    plan: SamplePlan
    stratum: SampleStratum


def make_world() -> World:
    AttributeDefinitionFactory(name="lives_near", label="Lives near")
    agreed = people.ConsentInput(channel="email", status="given", source="form")
    items = [
        people.ProfileInput(
            external_id=f"c-{n}", email=f"c{n}@reader.example", first_name="Ada", consents=[agreed]
        )
        for n in range(3)
    ]
    people.upsert(items=items, source="test")
    readers = list(Profile.objects.order_by("external_id"))
    campaign = CampaignFactory(slug="spring", name="Spring", segment__slug="everybody", brand__slug="wren")
    run = RunFactory(campaign=campaign)
    ProductFactory(sku="POT-6")
    webhook = WebhookEndpointFactory()
    WebhookMessageFactory(endpoint=webhook, status="dead")
    sampled = RunFactory(
        campaign=CampaignFactory(slug="sampled", brand=campaign.brand, review_policy="by_sample")
    )
    PieceFactory(run=sampled, profile=readers[0])
    drawn = PieceFactory(run=run, profile=readers[1], channel="sms", status="approved")
    plan = SamplePlanFactory(run=RunFactory(campaign=sampled.campaign))
    stratum = SampleStratumFactory(plan=plan, piece=drawn)
    PieceEventFactory(piece=drawn, from_status="in_review", to_status="approved", text_hash=drawn.text_hash)
    return World(
        profile=readers[0],
        campaign=campaign,
        run=run,
        piece=PieceFactory(run=run, profile=readers[0]),
        approved=PieceFactory(run=run, profile=readers[1], status="approved"),
        delivery=DeliveryFactory(piece=PieceFactory(run=run, profile=readers[2], status="delivered")),
        webhook=webhook,
        sampled=sampled,
        plan=plan,
        stratum=stratum,
    )


def campaign_body(**changes: Any) -> dict[str, Any]:
    return {
        "name": "Summer pans",
        "brand": "wren",
        "goal": "invite friends of the shop to cook outdoors",
        "facts": ["all cast iron is {{discount}} off", "every pan comes seasoned"],
        "values": [
            {"name": "discount", "text": "15%", "kind": "percent", "valid_until": "2100-01-01T00:00:00Z"},
            {"name": "link", "text": "https://wren.example/pans", "kind": "link"},
        ],
        "cta": "See the pans",
        "must_mention": ["discount"],
        "channels": ["email"],
        "segment": "everybody",
        **changes,
    }


@dataclass(frozen=True)
class Operation:
    """`request` makes (path, body) for a world. `status` is what it answers then."""

    name: str
    method: str
    route: str  # as in the URLconf, below api/v1/
    scope: str
    permission: str
    status: int
    request: Callable[[World], tuple[str, Any]]


def _op(name: str, call: str, scope: str, permission: str, status: int, request: Any) -> Operation:
    method, route = call.split(" ")
    return Operation(name, method, route, scope, permission, status, request)


EDITED = {
    "subject": "Pans",
    "preheader": "For the fire",
    "body": "All is {{discount}} off.",
    "cta": "See the cast iron",
}
PROFILE = "profiles/<path:external_id>"
WEBHOOK = "webhooks/<int:endpoint_id>"
EVENT = {"message_id": "m-1", "external_id": "c-0", "name": "viewed", "occurred_at": WHEN, "sku": "POT-6"}


def released(world: World) -> int:
    """The id of a run whose ads may be exported."""
    person = SuperuserFactory()
    return RunFactory(campaign=world.campaign, released_at=timezone.now(), released_by=person).pk


def exported(run: Run) -> int:
    """The id of a file that lies in its place."""
    row = ExportFileFactory(run=run, path="exports/a.csv", finished_at=timezone.now())
    path = exports.location(row)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"Campaign")
    return row.pk


def archive() -> str:
    return str(privacy.ask(external_id="c-0", by=None).number)


def erasure() -> str:
    ProfileFactory(external_id="gone")
    return str(privacy.erase(external_id="gone", by=None).number)


OPERATIONS = [
    _op("upsert_profile", f"PUT {PROFILE}", "profiles:write", "campaigns.change_profile", 201,
        lambda w: ("profiles/new-1", {"email": "new@reader.example", "attributes": {"lives_near": "coast"}})),
    _op("get_profile", f"GET {PROFILE}", "profiles:read", "campaigns.view_profile", 200,
        lambda w: ("profiles/c-0", None)),
    _op("erase_profile", f"DELETE {PROFILE}", "profiles:write", "campaigns.delete_profile", 204,
        lambda w: ("profiles/c-0", None)),
    _op("upsert_profiles", "POST profiles/bulk", "profiles:write", "campaigns.change_profile", 200,
        lambda w: ("profiles/bulk", {"items": [{"external_id": "new-2", "first_name": "Bo"}]})),
    _op("record_consent", f"POST {PROFILE}/consents", "profiles:write", "campaigns.change_profile", 200,
        lambda w: ("profiles/c-0/consents", {"channel": "email", "status": "withdrawn", "source": "page"})),
    _op("suppress_address", "POST suppressions", "profiles:write", "campaigns.add_suppression", 200,
        lambda w: ("suppressions", {"address": "gone@reader.example", "reason": "bounced"})),
    _op("suppress_addresses", "POST suppressions/bulk", "profiles:write", "campaigns.add_suppression", 200,
        lambda w: ("suppressions/bulk", {"addresses": ["gone@reader.example", "no address"]})),
    _op("ask_for_archive", f"POST {PROFILE}/archive", "profiles:read", "campaigns.export_profile", 201,
        lambda w: ("profiles/c-0/archive", None)),
    _op("get_archive", "GET archives/<uuid:number>", "profiles:read", "campaigns.export_profile", 200,
        lambda w: (f"archives/{archive()}", None)),
    _op("get_erasure", "GET erasures/<uuid:number>", "profiles:read", "campaigns.view_erasure", 200,
        lambda w: (f"erasures/{erasure()}", None)),
    _op("record_events", "POST events", "profiles:write", "campaigns.change_profile", 200,
        lambda w: ("events", {"items": [EVENT]})),
    _op("upsert_products", "POST products", "profiles:write", "campaigns.change_product", 200,
        lambda w: ("products", {"items": [{"sku": "PAN-9", "name": "Pan", "price": "40.00", "currency": "GBP"}]})),
    _op("list_products", "GET products", "profiles:read", "campaigns.view_product", 200,
        lambda w: ("products?limit=2&is_available=true", None)),
    _op("create_campaign", "POST campaigns", "campaigns:write", "campaigns.add_campaign", 201,
        lambda w: ("campaigns", campaign_body())),
    _op("list_campaigns", "GET campaigns", "campaigns:read", "campaigns.view_campaign", 200,
        lambda w: ("campaigns?status=active&brand=wren", None)),
    _op("get_campaign", "GET campaigns/<slug:slug>", "campaigns:read", "campaigns.view_campaign", 200,
        lambda w: ("campaigns/spring", None)),
    _op("change_campaign", "PATCH campaigns/<slug:slug>", "campaigns:write", "campaigns.change_campaign", 200,
        lambda w: ("campaigns/spring", {"cta": "Look", "goal": "cook outdoors"})),
    _op("pause_campaign", "POST campaigns/<slug:slug>/pause", "campaigns:write", "campaigns.launch_campaign", 200,
        lambda w: ("campaigns/spring/pause", None)),
    _op("resume_campaign", "POST campaigns/<slug:slug>/resume", "campaigns:write", "campaigns.launch_campaign",
        200, lambda w: ("campaigns/spring/resume", None)),
    _op("launch_campaign", "POST campaigns/<slug:slug>/launch", "campaigns:write", "campaigns.launch_campaign",
        202, lambda w: ("campaigns/spring/launch", None)),
    _op("dry_run", "POST campaigns/<slug:slug>/dry-run", "campaigns:read", "campaigns.view_campaign", 200,
        lambda w: ("campaigns/spring/dry-run", {"channel": "email", "reason": "would", "search": "c-"})),
    _op("list_runs", "GET campaigns/<slug:slug>/runs", "campaigns:read", "campaigns.view_run", 200,
        lambda w: ("campaigns/spring/runs?status=open", None)),
    _op("get_run", "GET runs/<int:run_id>", "campaigns:read", "campaigns.view_run", 200,
        lambda w: (f"runs/{w.run.pk}", None)),
    _op("release_run", "POST runs/<int:run_id>/release", "campaigns:write", "campaigns.send_campaign", 200,
        lambda w: (f"runs/{w.run.pk}/release", None)),
    _op("pause_run", "POST runs/<int:run_id>/pause", "campaigns:write", "campaigns.launch_campaign", 200,
        lambda w: (f"runs/{w.run.pk}/pause", None)),
    _op("resume_run", "POST runs/<int:run_id>/resume", "campaigns:write", "campaigns.launch_campaign", 200,
        lambda w: (f"runs/{w.run.pk}/resume", None)),
    _op("cancel_run", "POST runs/<int:run_id>/cancel", "campaigns:write", "campaigns.launch_campaign", 200,
        lambda w: (f"runs/{w.run.pk}/cancel", None)),
    _op("approve_clean_pieces", "POST runs/<int:run_id>/approve-clean", "pieces:review", "generation.review_piece",
        200, lambda w: (f"runs/{w.run.pk}/approve-clean", {"note": "looked at"})),
    _op("list_run_pieces", "GET runs/<int:run_id>/pieces", "pieces:read", "generation.view_piece", 200,
        lambda w: (f"runs/{w.run.pk}/pieces?channel=email", None)),
    _op("list_pieces", "GET pieces", "pieces:read", "generation.view_piece", 200,
        lambda w: (f"pieces?status=in_review&campaign=spring&run={w.run.pk}&profile=c-0", None)),
    _op("list_audit_rows", "GET audit", "audit:read", "generation.export_pieceevent", 200,
        lambda w: ("audit?after=0&limit=10", None)),
    _op("get_piece", "GET pieces/<int:piece_id>", "pieces:read", "generation.view_piece", 200,
        lambda w: (f"pieces/{w.piece.pk}", None)),
    _op("decide_pieces", "POST pieces/decide", "pieces:review", "generation.review_piece", 200,
        lambda w: ("pieces/decide", {"verdict": "approve", "pieces": [{"id": w.piece.pk, "revision": 1}]})),
    _op("get_sample", "GET runs/<int:run_id>/sample", "pieces:read", "generation.view_piece", 200,
        lambda w: (f"runs/{w.sampled.pk}/sample?confidence=90", None)),
    _op("draw_sample", "POST runs/<int:run_id>/sample", "pieces:review", "generation.review_piece", 201,
        lambda w: (f"runs/{w.sampled.pk}/sample", {"confidence": "90", "bad_in_100": "10"})),
    _op("decide_sample_group", "POST sample-groups/<int:group_id>/decide", "pieces:review", "generation.review_piece",
        200, lambda w: (f"sample-groups/{w.stratum.pk}/decide", {"verdict": "pass", "note": "good"})),
    _op("drop_sample", "POST samples/<int:plan_id>/drop", "pieces:review", "generation.review_piece", 200,
        lambda w: (f"samples/{w.plan.pk}/drop", {"note": "other numbers"})),
    _op("approve_piece", "POST pieces/<int:piece_id>/approve", "pieces:review", "generation.review_piece", 200,
        lambda w: (f"pieces/{w.piece.pk}/approve", {"revision": 1})),
    _op("reject_piece", "POST pieces/<int:piece_id>/reject", "pieces:review", "generation.review_piece", 200,
        lambda w: (f"pieces/{w.piece.pk}/reject", {"revision": 1, "reason": "dull", "note": "again"})),
    _op("edit_piece", "POST pieces/<int:piece_id>/edit", "pieces:review", "generation.edit_piece", 200,
        lambda w: (f"pieces/{w.piece.pk}/edit", {"revision": 1, "fields": EDITED})),
    _op("write_piece_again", "POST pieces/<int:piece_id>/write-again", "pieces:review", "generation.review_piece",
        200, lambda w: (f"pieces/{w.piece.pk}/write-again", {"revision": 1, "steer": "shorter"})),
    _op("reopen_piece", "POST pieces/<int:piece_id>/reopen", "pieces:review", "generation.review_piece", 200,
        lambda w: (f"pieces/{w.approved.pk}/reopen", {"revision": 1})),
    _op("compose", "POST compose", "compose", "campaigns.launch_campaign", 202,
        lambda w: ("compose", {"campaign": "spring", "profile": "c-0", "channel": "email"})),
    _op("get_experiment", "GET campaigns/<slug:slug>/experiment", "campaigns:read", "campaigns.view_campaign", 200,
        lambda w: ("campaigns/spring/experiment", None)),
    _op("change_experiment", "PATCH campaigns/<slug:slug>/experiment", "campaigns:write",
        "campaigns.change_campaign", 200,
        lambda w: ("campaigns/spring/experiment", {"holdout_percent": 10, "variants": [
            {"name": "care", "steer": "speak of care"}]})),
    _op("get_run_results", "GET runs/<int:run_id>/results", "campaigns:read", "campaigns.view_run", 200,
        lambda w: (f"runs/{w.run.pk}/results", None)),
    _op("get_campaign_results", "GET campaigns/<slug:slug>/results", "campaigns:read", "campaigns.view_run", 200,
        lambda w: ("campaigns/spring/results", None)),
    _op("list_run_exports", "GET runs/<int:run_id>/exports", "campaigns:read", "campaigns.view_run", 200,
        lambda w: (f"runs/{w.run.pk}/exports", None)),
    _op("export_run", "POST runs/<int:run_id>/exports", "campaigns:write", "campaigns.send_campaign", 200,
        lambda w: (f"runs/{released(w)}/exports", None)),
    _op("get_export_file", "GET exports/<int:file_id>", "campaigns:write", "campaigns.send_campaign", 200,
        lambda w: (f"exports/{exported(w.run)}", None)),
    _op("record_outcomes", "POST outcomes", "outcomes:write", "delivery.add_outcome", 200,
        lambda w: ("outcomes", {"items": [{"event_id": "e-1", "kind": "clicked", "occurred_at": WHEN,
                                           "message_id": w.delivery.message_id}]})),
    _op("list_profiles", "GET profiles", "profiles:read", "campaigns.view_profile", 200,
        lambda w: ("profiles?email=C0@reader.example&updated_since=2024-01-01T00:00:00Z", None)),
    _op("record_consents", "POST consents/bulk", "profiles:write", "campaigns.change_profile", 200,
        lambda w: ("consents/bulk", {"items": [{"external_id": "c-0", "channel": "sms", "status": "given",
                                                "source": "page"}]})),
    _op("list_brands", "GET brands", "campaigns:read", "campaigns.view_brand", 200, lambda w: ("brands", None)),
    _op("list_segments", "GET segments", "campaigns:read", "campaigns.view_segment", 200,
        lambda w: ("segments", None)),
    _op("list_deliveries", "GET deliveries", "pieces:read", "delivery.view_delivery", 200,
        lambda w: (f"deliveries?status=handed_over&campaign=spring&run={w.run.pk}", None)),
    _op("create_webhook", "POST webhooks", "webhooks:write", "delivery.add_webhookendpoint", 201,
        lambda w: ("webhooks", {"name": "CRM", "url": "https://crm.example.com/hooks", "types": ["piece.approved"]})),
    _op("list_webhooks", "GET webhooks", "webhooks:read", "delivery.view_webhookendpoint", 200,
        lambda w: ("webhooks?limit=5", None)),
    _op("get_webhook", f"GET {WEBHOOK}", "webhooks:read", "delivery.view_webhookendpoint", 200,
        lambda w: (f"webhooks/{w.webhook.pk}", None)),
    _op("change_webhook", f"PATCH {WEBHOOK}", "webhooks:write", "delivery.change_webhookendpoint", 200,
        lambda w: (f"webhooks/{w.webhook.pk}", {"is_enabled": False})),
    _op("delete_webhook", f"DELETE {WEBHOOK}", "webhooks:write", "delivery.delete_webhookendpoint", 204,
        lambda w: (f"webhooks/{w.webhook.pk}", None)),
    _op("rotate_webhook_secret", f"POST {WEBHOOK}/rotate", "webhooks:write", "delivery.change_webhookendpoint",
        200, lambda w: (f"webhooks/{w.webhook.pk}/rotate", None)),
    _op("test_webhook", f"POST {WEBHOOK}/test", "webhooks:write", "delivery.change_webhookendpoint", 202,
        lambda w: (f"webhooks/{w.webhook.pk}/test", None)),
    _op("list_webhook_messages", f"GET {WEBHOOK}/messages", "webhooks:read", "delivery.view_webhookendpoint", 200,
        lambda w: (f"webhooks/{w.webhook.pk}/messages?status=dead", None)),
    _op("replay_webhook_messages", f"POST {WEBHOOK}/replay", "webhooks:write", "delivery.replay_webhookendpoint",
        200, lambda w: (f"webhooks/{w.webhook.pk}/replay", {})),
]  # fmt: skip

BY_NAME = {operation.name: operation for operation in OPERATIONS}
WRITES = [operation for operation in OPERATIONS if operation.method != "GET"]
READS = [operation for operation in OPERATIONS if operation.method == "GET"]
