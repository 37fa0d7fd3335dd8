"""Every address of the admin, found by walking its resolver, so that a new page cannot stay untested."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.urls import URLPattern, URLResolver, reverse

DEFAULT = ("changelist", "add", "history", "delete", "change", "password_change")


def named() -> Iterator[tuple[str, list[str]]]:
    """(name, names of its arguments) of every address; those without a name are redirects of Django's."""

    def walk(patterns: list[Any], before: list[str]) -> Iterator[tuple[str, list[str]]]:
        for pattern in patterns:
            arguments = [*before, *pattern.pattern.regex.groupindex]
            if isinstance(pattern, URLResolver):
                yield from walk(pattern.url_patterns, arguments)
            elif isinstance(pattern, URLPattern) and pattern.name:
                yield str(pattern.name), arguments

    yield from walk(admin.site.get_urls(), [])


def own() -> set[str]:
    """Names of the pages that are not Django's: each needs a row in the table of who may."""
    models = {f"{m._meta.app_label}_{m._meta.model_name}" for m in admin.site._registry}
    theirs = {f"{model}_{kind}" for model in models for kind in DEFAULT}
    site = {"index", "login", "logout", "password_change", "password_change_done", "autocomplete", "jsi18n"}
    return (
        {name for name, _ in named()}
        - theirs
        - site
        - {"view_on_site", "app_list", "search"}
        - {"auth_user_password_change"}
    )


def rows(world: SimpleNamespace) -> dict[str, int]:
    """The id that stands in an address, by the beginning of its name; the longest beginning counts."""
    user, _ = User.objects.get_or_create(username="shown")
    return {
        "campaigns_campaign": world.campaign.pk,
        "campaigns_campaign_launch": world.campaign.pk,
        "campaigns_run": world.run.pk,
        "campaigns_brand": world.brand.pk,
        "campaigns_segment": world.segment.pk,
        "campaigns_sendingrules": 1,
        "campaigns_product": world.product.pk,
        "campaigns_profile": world.profile.pk,
        "campaigns_traitrule": world.rule.pk,
        "campaigns_traitrule_restore": world.rule_version.pk,
        "campaigns_trackedmessage": world.tracked.pk,
        "campaigns_attributedefinition": world.attribute.pk,
        "campaigns_suppression": world.suppression.pk,
        "campaigns_purpose": world.purpose.pk,
        "campaigns_erasure": world.erasure.pk,
        "campaigns_retentionrule": world.retention.pk,
        "campaigns_import": world.importing.pk,
        "generation_piece": world.piece.pk,
        "generation_brand_try": world.brand.pk,
        "generation_sampleplan": world.plan.pk,
        "generation_sampleplan_of_run": world.run.pk,
        "generation_sampleplan_draw": world.run.pk,
        "generation_sampleplan_certificate": world.run.pk,
        "generation_sampleplan_next": world.stratum.pk,
        "generation_sampleplan_pass": world.stratum.pk,
        "generation_sampleplan_fail": world.stratum.pk,
        "generation_modelversion": world.version.pk,
        "generation_pieceevent": world.audited.pk,
        "generation_plant": world.plant.pk,
        "generation_plant_rate": world.campaign.pk,
        "delivery_delivery": world.delivery.pk,
        "delivery_campaign_dry_run": world.campaign.pk,
        "delivery_reporttally": world.tally.pk,
        "delivery_piece_preview": world.piece.pk,
        "delivery_piece_settle": world.unknown.pk,
        "delivery_piece_send_again": world.unknown.pk,
        "delivery_run_export": world.run.pk,
        "delivery_run_ads": world.run.pk,
        "delivery_run_refresh": world.run.pk,
        "delivery_export_file": world.export.pk,
        "delivery_webhookendpoint": world.webhook.pk,
        "delivery_webhookmessage": world.webhook_message.pk,
        "core_apikey": world.key.pk,
        "auth_user": user.pk,
        "auth_group": Group.objects.get_or_create(name="shown")[0].pk,
    }


def address(name: str, arguments: list[str], world: SimpleNamespace) -> str:
    given: dict[str, Any] = {}
    for argument in arguments:
        match argument:
            case "kind":
                given[argument] = "profiles"
            case "way":
                given[argument] = "up"
            case "token":
                given[argument] = "a" * 32
            case "app_label":
                given[argument] = "campaigns"
            case "content_type_id":
                given[argument] = 1
            case _:
                known = rows(world)
                start = max((begin for begin in known if name.startswith(begin)), key=len, default=None)
                given[argument] = known[start] if start else 1
    return reverse(f"admin:{name}", kwargs=given)
