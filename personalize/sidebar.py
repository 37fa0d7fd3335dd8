"""The sidebar, grouped as a marketer thinks. Each entry shows only to those who may open it."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from django.urls import reverse

from campaigns import brand_access

# group -> (title, icon, address name, permission to see it)
GROUPS: tuple[tuple[str, tuple[tuple[str, str, str, str], ...]], ...] = (
    (
        "",
        (
            ("Today", "today", "index", ""),
            ("Review queue", "rate_review", "generation_piece_changelist", "generation.view_piece"),
        ),
    ),
    (
        "Campaigns",
        (
            ("Campaigns", "campaign", "campaigns_campaign_changelist", "campaigns.view_campaign"),
            ("Calendar", "calendar_month", "campaigns_campaign_calendar", "campaigns.view_run"),
            ("Runs", "play_circle", "campaigns_run_changelist", "campaigns.view_run"),
            ("Samples", "checklist", "generation_sampleplan_changelist", "generation.view_piece"),
            ("Deliveries", "outgoing_mail", "delivery_delivery_changelist", "delivery.view_delivery"),
            ("Uncertain deliveries", "help", "delivery_delivery_uncertain", "delivery.view_delivery"),
            (
                "Sending rules",
                "schedule_send",
                "campaigns_sendingrules_changelist",
                "campaigns.view_sendingrules",
            ),
            ("Brands", "storefront", "campaigns_brand_changelist", "campaigns.view_brand"),
        ),
    ),
    (
        "Readers",
        (
            ("People", "group", "campaigns_profile_changelist", "campaigns.view_profile"),
            ("Segments", "filter_alt", "campaigns_segment_changelist", "campaigns.view_segment"),
            ("Catalogue", "inventory_2", "campaigns_product_changelist", "campaigns.view_product"),
            ("Imports", "upload_file", "campaigns_import_changelist", "campaigns.view_import"),
            (
                "Tracked calls",
                "sensors",
                "campaigns_trackedmessage_changelist",
                "campaigns.view_trackedmessage",
            ),
        ),
    ),
    (
        "What may be said",
        (
            ("Trait rules", "rule", "campaigns_traitrule_changelist", "campaigns.view_traitrule"),
            (
                "Kept attributes",
                "fact_check",
                "campaigns_attributedefinition_changelist",
                "campaigns.view_attributedefinition",
            ),
            ("Purposes", "handshake", "campaigns_purpose_changelist", "campaigns.view_purpose"),
            ("Suppressions", "block", "campaigns_suppression_changelist", "campaigns.view_suppression"),
        ),
    ),
    (
        "System",
        (
            (
                "Writer versions",
                "neurology",
                "generation_modelversion_changelist",
                "generation.view_modelversion",
            ),
            ("Reviewers", "visibility", "generation_plant_changelist", "generation.view_plant"),
            ("Audit trail", "link", "generation_pieceevent_changelist", "generation.view_pieceevent"),
            (
                "Provider reports",
                "mark_email_read",
                "delivery_reporttally_changelist",
                "delivery.view_reporttally",
            ),
            ("Erasures", "delete_forever", "campaigns_erasure_changelist", "campaigns.view_erasure"),
            (
                "Retention",
                "auto_delete",
                "campaigns_retentionrule_changelist",
                "campaigns.view_retentionrule",
            ),
            ("API keys", "key", "core_apikey_changelist", "core.view_apikey"),
            (
                "Webhooks",
                "webhook",
                "delivery_webhookendpoint_changelist",
                "delivery.view_webhookendpoint",
            ),
            ("Users", "person", "auth_user_changelist", "auth.view_user"),
            ("Groups", "groups", "auth_group_changelist", "auth.view_group"),
        ),
    ),
)


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    user = request.user
    if isinstance(user, AnonymousUser):
        return []
    groups: list[dict[str, Any]] = []
    for title, entries in GROUPS:
        items = [
            {"title": label, "icon": icon, "link": reverse(f"admin:{name}")} | _badge(name, user)
            for label, icon, name, permission in entries
            if not permission or user.has_perm(permission)
        ]
        if items:
            groups.append({"title": title, "items": items, "separator": bool(title)})
    _mark_where_one_is(request.path, groups)
    return groups


def _mark_where_one_is(path: str, groups: list[dict[str, Any]]) -> None:
    """One entry at most is active: the longest address the page lies below. The start page only by itself."""
    items = [item for group in groups for item in group["items"]]
    index = reverse("admin:index")
    above = [i["link"] for i in items if path.startswith(i["link"]) and (i["link"] != index or path == index)]
    here = max(above, key=len, default=None)
    for item in items:
        item["active"] = item["link"] == here


def _badge(name: str, user: Any) -> dict[str, Any]:
    if name == "delivery_delivery_uncertain":
        from delivery.models import Delivery, DeliveryStatus

        rows = brand_access.visible(Delivery.objects.all(), user, "piece__run__campaign__brand")
        uncertain = rows.filter(status=DeliveryStatus.UNKNOWN).count()
        return {"badge": uncertain, "badge_variant": "danger"} if uncertain else {}
    if name != "generation_piece_changelist":
        return {}
    from generation.admin.queue import waiting

    count = waiting(user)
    return {"badge": count, "badge_variant": "primary"} if count else {}
