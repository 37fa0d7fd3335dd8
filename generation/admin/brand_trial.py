"""A sentence tried against a brand: what the checks would say of it, with the facts of a campaign if one is chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from campaigns import brand_access, briefs
from campaigns.models import Brand, Campaign
from generation import material
from generation.admin.queue import rule_in_words
from generation.writer import checks
from generation.writer.types import Channel, Reader
from personalize.core.admin_pages import need

if TYPE_CHECKING:
    from personalize.core.admin_pages import Page

MOST = 1_000  # characters of what is tried
CAMPAIGNS = 50


def page(of: Page, request: HttpRequest, pk: int) -> HttpResponse:
    """Asked for by GET with `sentence` and `campaign`: trying changes nothing, and an address can be shared."""
    need(request, "campaigns.view_brand")
    brand = brand_access.visible(Brand.objects.all(), request.user, "pk").filter(pk=pk).first()
    if brand is None:
        raise Http404
    campaigns = list(Campaign.objects.filter(brand=brand).order_by("-pk")[:CAMPAIGNS])
    chosen = next((c for c in campaigns if str(c.pk) == request.GET.get("campaign", "")), None)
    sentence = request.GET.get("sentence", "").replace("\r\n", "\n").strip()[:MOST]
    context = of.frame(
        request,
        title=f"Try a sentence: {brand.name}",
        brand=brand,
        campaigns=campaigns,
        chosen=chosen,
        sentence=sentence,
        most=MOST,
        found=tried(brand, chosen, sentence) if sentence else None,
    )
    return TemplateResponse(request, "admin/campaigns/brand/try.html", context)


def tried(brand: Brand, campaign: Campaign | None, sentence: str) -> list[dict[str, Any]]:
    """What points into the sentence. Rules about a piece as a whole, its lengths and its button, are left out."""
    frozen = briefs.freeze(campaign) if campaign else _bare(brand)
    fields: dict[str, str | list[str]] = {
        "subject": "",
        "preheader": "",
        "body": sentence,
        "cta": frozen["cta"],
    }
    reader = Reader(lifecycle="active", traits=())
    found = checks.check(material.brief(frozen), Channel.EMAIL, fields, reader)
    return [
        {
            "severity": finding.severity.value,
            "rule": rule_in_words(finding.rule),
            "message": finding.message,
            "quoted": sentence[finding.start : finding.end][:200],
        }
        for finding in found
        if finding.field == "body" and finding.end > finding.start and not finding.rule.startswith("length.")
    ]


def _bare(brand: Brand) -> dict[str, Any]:
    return {
        "brand": {"name": brand.name, "about": brand.about, "voice": brand.voice, "avoid": list(brand.avoid)},
        "goal": "",
        "facts": [],
        "values": [],
        "cta": "",
        "must_mention": [],
    }
