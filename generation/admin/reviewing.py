"""For those who lead the review: how each person reads, and how many planted pieces a campaign gets."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_GET, require_POST

from campaigns.models import Campaign, CampaignStatus
from generation import planting, reviewers
from generation.models import Outcome, Plant
from generation.models.planting import MOST_PERCENT
from personalize.core.admin_pages import ReadOnlyPage, attempt, log, need, person

DAYS = (7, 30, 90, 365)
CAMPAIGNS_SHOWN = 50
LEAST_RATE = 0.8  # a catch rate below that is shown as bad, once LEAST_MET pieces were met
LEAST_MET = 5


@admin.register(Plant)
class ReviewersPage(ReadOnlyPage):
    """The list is the page of reviewers: which pieces are planted is nobody's to browse before they are decided."""

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).exclude(outcome=Outcome.OPEN)

    def pages(self) -> list[URLPattern]:
        return [self.at("rate/<int:pk>/", self.rate, "generation_plant_rate")]

    @method_decorator(require_GET)
    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        if not self.has_view_permission(request):
            raise PermissionDenied
        days = next((d for d in DAYS if str(d) == request.GET.get("days")), 30)
        rows = reviewers.since(timezone.now() - timedelta(days=days))
        context = self.frame(
            request,
            title="Reviewers",
            days=days,
            choices=DAYS,
            rows=[_shown(row) for row in rows],
            campaigns=_campaigns(),
            most=MOST_PERCENT,
            may_plant=request.user.has_perm(planting.PLANT),
        )
        return TemplateResponse(request, "admin/generation/plant/reviewers.html", context)

    @method_decorator(require_POST)
    def rate(self, request: HttpRequest, pk: int) -> HttpResponse:
        need(request, planting.PLANT, "generation.view_plant")
        campaign = Campaign.objects.filter(pk=pk).first()
        given = request.POST.get("percent", "")
        back = HttpResponseRedirect(reverse("admin:generation_plant_changelist"))
        if campaign is None or not (given.isascii() and given.isdecimal() and len(given) < 4):
            messages.error(request, f"Write a whole number from 0 to {MOST_PERCENT}.")
            return back
        percent = int(given)
        done = (
            f"“{campaign.name}” gets {percent} planted of a hundred." if percent else "No more are planted."
        )
        by = person(request)
        if attempt(request, lambda: planting.set_rate(campaign=campaign, percent=percent, by=by), done=done):
            log(request, campaign, f"Planted pieces: {percent} of a hundred.")
        return back


def _shown(row: reviewers.Reviewer) -> dict[str, Any]:
    rate, interval = row.catch_rate, row.interval
    enough = row.met >= LEAST_MET
    tone = "quiet" if rate is None or not enough else "bad" if rate < LEAST_RATE else "good"
    share = row.hasty_share
    return {
        "row": row,
        "rate": "—" if rate is None else f"{rate:.0%}",
        "interval": f"{interval[0]:.0%} to {interval[1]:.0%}" if interval else "",
        "tone": tone,
        "hasty": "—" if share is None else f"{share:.0%}",
        "hasty_tone": "warn" if share and share > 0.2 else "plain",
        "median": "—" if row.median_seconds is None else f"{row.median_seconds:.0f} s",
    }


def _campaigns() -> list[dict[str, Any]]:
    known = (
        Campaign.objects.exclude(status=CampaignStatus.ARCHIVED)
        .select_related("planting__set_by")
        .order_by("-pk")[:CAMPAIGNS_SHOWN]
    )
    ids = [campaign.pk for campaign in known]
    counted = {
        row["run__campaign"]: row
        for row in Plant.objects.filter(run__campaign__in=ids)
        .values("run__campaign")
        .annotate(total=Count("pk"), open=Count("pk", filter=Q(outcome=Outcome.OPEN)))
        .order_by()
    }
    return [
        {"campaign": c, "rate": getattr(c, "planting", None), "counted": counted.get(c.pk)} for c in known
    ]
