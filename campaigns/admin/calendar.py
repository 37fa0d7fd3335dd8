"""The calendar of runs, by month or as a list, and the next times of a schedule that is being typed."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from django.http import HttpRequest, JsonResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone

from campaigns import planned, schedules
from campaigns.models import Campaign, CampaignStatus, ScheduleKind
from personalize.core.admin_pages import Page, need
from personalize.core.errors import DomainError, InvalidInput

VIEWS = ("month", "list")


def calendar(page: Page, request: HttpRequest) -> TemplateResponse:
    """`?month=2026-11&view=list`; whatever else stands there means the present month."""
    need(request, "campaigns.view_campaign", "campaigns.view_run")
    zone = timezone.get_current_timezone()
    today = timezone.localdate()
    first = _month(request.GET.get("month", ""), today)
    after = (first + timedelta(days=32)).replace(day=1)
    last = after - timedelta(days=1)
    view = request.GET.get("view") if request.GET.get("view") in VIEWS else VIEWS[0]
    # Whole weeks, so that the grid has no holes.
    found = planned.days(
        first=first - timedelta(days=first.weekday()),
        last=last + timedelta(days=6 - last.weekday()),
        zone=zone,
    )
    days = [
        {
            "date": day.date,
            "inside": first <= day.date <= last,
            "today": day.date == today,
            "blackouts": day.blackouts,
            "items": [_item(item, zone) for item in day.items],
        }
        for day in found
    ]
    here = reverse("admin:campaigns_campaign_calendar")
    always_on = Campaign.objects.filter(status=CampaignStatus.ACTIVE, schedule=ScheduleKind.ALWAYS_ON)
    context = page.frame(
        request,
        title="Calendar",
        month=first,
        view=view,
        weeks=[days[place : place + 7] for place in range(0, len(days), 7)],
        busy=[day for day in days if day["inside"] and (day["items"] or day["blackouts"])],
        always_on=[(each, schedules.describe(each)) for each in always_on.order_by("name")[:50]],
        zone=str(zone),
        before=f"{here}?month={first - timedelta(days=1):%Y-%m}&view={view}",
        after=f"{here}?month={after:%Y-%m}&view={view}",
        now=f"{here}?view={view}",
        other=f"{here}?month={first:%Y-%m}&view={'list' if view == 'month' else 'month'}",
    )
    return TemplateResponse(request, "admin/campaigns/campaign/calendar.html", context)


def _item(item: planned.Item, zone: Any) -> dict[str, Any]:
    link = (
        reverse("admin:campaigns_run_change", args=[item.run_id])
        if item.run_id
        else reverse("admin:campaigns_campaign_change", args=[item.campaign_id])
    )
    return {
        "at": item.at.astimezone(zone),
        "name": item.name,
        "note": item.note,
        "link": link,
        "is_run": item.run_id is not None,
    }


def _month(text: str, today: date) -> date:
    try:
        found = datetime.strptime(text, "%Y-%m").date()
    except ValueError:
        found = today
    # The neighbours must be dates too.
    return found.replace(day=1) if 1970 <= found.year <= 2200 else today.replace(day=1)


_TYPED = ("schedule", "schedule_cron", "schedule_time_zone", "entry", "entry_event")


def times(request: HttpRequest) -> JsonResponse:
    """The next five times of what stands in the form, before it is saved. Nothing is stored."""
    need(request, "campaigns.view_campaign")
    campaign = Campaign(channels=[], **{name: request.GET.get(name, "")[:100] for name in _TYPED})
    try:
        if campaign.schedule not in ScheduleKind.values:
            raise InvalidInput("Choose when it runs.")
        campaign.schedule_days = [
            int(day) for day in request.GET.getlist("schedule_days") if day in "1234567"
        ]
        campaign.schedule_time = _clock(request.GET.get("schedule_time", ""))
        campaign.schedule_at = _moment(request.GET.get("date", ""), request.GET.get("time", ""))
        if again := request.GET.get("reentry_days", ""):
            campaign.reentry_days = int(again) if again.isdigit() else 0
        schedules.check_campaign(campaign)
        found = schedules.upcoming(campaign, count=5)
    except DomainError as error:
        return JsonResponse({"error": str(error), "times": []})
    words = schedules.describe(campaign)
    return JsonResponse(
        {
            "error": "" if found or campaign.schedule != ScheduleKind.ONCE else "That time is past.",
            "words": words[:1].upper() + words[1:] + ".",
            "times": [f"{when:%A, %d %B %Y, %H:%M} ({when.tzname()})" for when in found],
        }
    )


def _clock(text: str) -> Any:
    for form in ("%H:%M:%S", "%H:%M"):
        try:
            return datetime.strptime(text.strip(), form).time()
        except ValueError:
            continue
    return None


def _moment(day: str, clock: str) -> datetime | None:
    try:
        found = datetime.strptime(day.strip(), "%Y-%m-%d")
    except ValueError:
        return None
    at = _clock(clock)
    return timezone.make_aware(datetime.combine(found.date(), at)) if at else None
