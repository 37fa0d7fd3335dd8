"""The page of a dry run: counts by reason, and each person with theirs."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.http import Http404, HttpRequest
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.dateparse import parse_datetime
from django.utils.timezone import get_current_timezone, is_naive, make_aware

from campaigns import brand_access, schedules
from campaigns.models import Campaign, Channel
from delivery import dry_run
from personalize.core.admin_pages import Page, need
from personalize.core.errors import DomainError

SHOWN = 50


def page(model_page: Page, request: HttpRequest, pk: int) -> TemplateResponse:
    """`?channel=&reason=&q=&after=&at=`; what is not one of the choices is left out. Reads only."""
    need(request, "campaigns.view_campaign", "campaigns.view_profile")
    campaign = (
        brand_access.visible(Campaign.objects.select_related("segment", "brand"), request.user, "brand")
        .filter(pk=pk)
        .first()
    )
    if campaign is None:
        raise Http404
    given = _at(request.GET.get("at", ""))
    run = dry_run.DryRun(campaign, at=given)
    channel = _one_of(request.GET.get("channel", ""), run.personal)
    reason = _one_of(request.GET.get("reason", ""), [str(choice) for choice in dry_run.CHOICES])
    search = request.GET.get("q", "").replace("\x00", "")[:100]
    after = request.GET.get("after", "")
    context: dict[str, Any] = {
        "campaign": campaign,
        "schedule": schedules.describe(campaign),
        "at": given,
        "search": search,
        "reason": reason,
        "reason_words": dry_run.WORDS.get(
            reason, {"would": "would get it", "would_not": "would not"}.get(reason, "")
        ),
        "channel": channel,
    }
    try:
        report = run.report()
        context["report"] = report
        here = reverse("admin:delivery_campaign_dry_run", args=[pk])
        kept = {"at": request.GET["at"]} if given else {}
        context["channels"] = [
            {
                "channel": each,
                "would": _links(here, kept, each.channel, each.would),
                "would_not": _links(here, kept, each.channel, each.would_not),
                "all_would": _link(here, kept, each.channel, dry_run.WOULD),
                "all_would_not": _link(here, kept, each.channel, dry_run.WOULD_NOT),
            }
            for each in report.channels
        ]
        context["ads"] = [Channel(ad).label for ad in report.ads]
        shown = channel or (run.personal[0] if run.personal else "")
        if shown:
            lines, following = run.people(
                channel=shown,
                reason=reason,
                search=search,
                after=int(after) if after.isdecimal() and len(after) < 18 else 0,
                limit=SHOWN,
            )
            query = {**kept, "channel": shown, "reason": reason, "q": search, "after": str(following)}
            context |= {
                "lines": lines,
                "shown": Channel(shown).label,
                "channel": shown,
                "next": f"{here}?{urlencode(query)}#people" if following else "",
                "everybody": _link(here, kept, shown, ""),
            }
    except DomainError as error:
        context["problem"] = str(error)
    return TemplateResponse(
        request, "admin/delivery/dry_run.html", model_page.frame(request, title="Dry run", **context)
    )


def _links(here: str, kept: dict[str, str], channel: str, counts: dict[str, int]) -> list[dict[str, Any]]:
    return [
        {"words": words, "people": people, "link": _link(here, kept, channel, reason)}
        for reason, words, people in dry_run.words_of(counts)
    ]


def _link(here: str, kept: dict[str, str], channel: str, reason: str) -> str:
    return f"{here}?{urlencode({**kept, 'channel': channel, 'reason': reason})}#people"


def _one_of(text: str, choices: list[str]) -> str:
    return text if text in choices else ""


def _at(text: str) -> Any:
    """The time of `<input type=datetime-local>`, in the product's zone."""
    try:
        found = parse_datetime(text.strip()) if text else None
    except ValueError:
        return None
    if found is None:
        return None
    return make_aware(found, get_current_timezone()) if is_naive(found) else found
