"""Today: what waits, what runs, what the checks find, what left. The admin's first page."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db.models import Count, F, Q
from django.db.models.functions import TruncDate
from django.http import HttpRequest
from django.utils import timezone

from campaigns import brand_access
from campaigns.models import Brand, Campaign, CampaignStatus, Profile, Run, RunStatus
from delivery.models import Delivery, DeliveryStatus
from generation import versions
from generation.admin.queue import rule_in_words
from generation.models import Finding, Piece, Status

RUNS_SHOWN, RULES_SHOWN, DAYS_SHOWN = 5, 7, 14


def today(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """The dashboard's context. Each part only for those who may open its pages."""
    user = request.user
    now = timezone.now()
    context["title"] = "Today"
    context["now"] = now
    if user.has_perm("generation.view_piece"):
        counts = _counts(user)
        context |= {
            "counts": counts,
            "rules": _rules(user),
            "writer": versions.in_use(),
        }
    if user.has_perm("campaigns.view_run"):
        context["runs"] = _runs(user)
    if user.has_perm("delivery.view_delivery"):
        context["days"] = _days(now)
        context["uncertain"] = Piece.objects.filter(status=Status.UNKNOWN).count()
    if user.has_perm("campaigns.view_campaign"):
        campaigns = brand_access.visible(Campaign.objects.all(), user, "brand")
        context["due"] = (
            campaigns.filter(status=CampaignStatus.ACTIVE, next_run_at__isnull=False)
            .order_by("next_run_at")
            .only("name", "next_run_at")[:5]
        )
        context["held"] = campaigns.exclude(held_because="").only("name", "held_because")[:5]
        context["steps"] = _steps(user.has_perm)
        context["all_done"] = all(step["done"] for step in context["steps"])
    return context


def _counts(user: brand_access.Person) -> dict[str, int]:
    pieces = brand_access.visible(Piece.objects.all(), user, "run__campaign__brand")
    found = dict(pieces.values_list("status").annotate(n=Count("pk")).order_by())
    review = pieces.filter(status=Status.IN_REVIEW).aggregate(
        blocked=Count("pk", filter=Q(blocking__gt=0)),
        warned=Count("pk", filter=Q(blocking=0, warnings__gt=0)),
        clean=Count("pk", filter=Q(blocking=0, warnings=0)),
    )
    held = pieces.filter(status=Status.APPROVED, run__released_at__isnull=True).count()
    return {
        **{status.value: found.get(status.value, 0) for status in Status},
        **review,
        "held": held,
        "to_write": found.get(Status.DRAFT, 0) + found.get(Status.GENERATING, 0),
    }


def _runs(user: brand_access.Person) -> list[dict[str, Any]]:
    newest = list(
        brand_access.visible(Run.objects.exclude(status=RunStatus.CANCELLED), user, "campaign__brand")
        .select_related("campaign")
        .order_by("-created_at")[:RUNS_SHOWN]
    )
    rows = (
        Piece.objects.filter(run__in=newest).values_list("run", "status").annotate(n=Count("pk")).order_by()
    )
    counts: dict[int, dict[str, int]] = {run.pk: {} for run in newest}
    for run_id, status, n in rows:
        counts[run_id][status] = n
    shown = []
    for run in newest:
        held = counts[run.pk]
        total = sum(held.values())
        left = held.get(Status.DRAFT, 0) + held.get(Status.GENERATING, 0)
        shown.append(
            {
                "run": run,
                "total": total,
                "written": total - left,
                "percent": round(100 * (total - left) / total) if total else 100,
                "waiting": held.get(Status.IN_REVIEW, 0),
                "sent": held.get(Status.DELIVERED, 0),
            }
        )
    return shown


def _rules(user: brand_access.Person) -> list[dict[str, Any]]:
    current = Finding.objects.filter(piece__status=Status.IN_REVIEW, revision=F("piece__revision"))
    rows = list(
        brand_access.visible(current, user, "piece__run__campaign__brand")
        .values_list("rule", "severity")
        .annotate(n=Count("piece", distinct=True))
        .order_by("-n", "rule")[:RULES_SHOWN]
    )
    most = max((n for _, _, n in rows), default=0)
    return [
        {
            "rule": rule,
            "words": rule_in_words(rule),
            "severity": severity,
            "count": n,
            "share": 100 * n // most,
        }
        for rule, severity, n in rows
    ]


def _days(now: Any) -> list[dict[str, Any]]:
    first = (now - timedelta(days=DAYS_SHOWN - 1)).date()
    rows = dict(
        Delivery.objects.filter(status=DeliveryStatus.HANDED_OVER, finished_at__date__gte=first)
        .annotate(day=TruncDate("finished_at"))
        .values_list("day")
        .annotate(n=Count("pk"))
        .order_by()
    )
    days = [first + timedelta(days=i) for i in range(DAYS_SHOWN)]
    most = max(rows.values(), default=0)
    return [
        {"day": d, "count": rows.get(d, 0), "height": 100 * rows.get(d, 0) // most if most else 0}
        for d in days
    ]


def _steps(may: Callable[[str], bool]) -> list[dict[str, Any]]:
    """The road of a newcomer: each step, whether it was gone, and a link for those who may go it."""
    runs, pieces = Run.objects.all(), Piece.objects.all()
    steps = (
        (
            Brand.objects.exists(),
            "Describe your brand",
            "voice, words to avoid, sender and postal address",
            "campaigns_brand_changelist",
            "campaigns.add_brand",
        ),
        (
            Profile.objects.exists(),
            "Bring people in",
            "a CSV file, or the API",
            "campaigns_import_upload",
            "campaigns.add_import",
        ),
        (
            Campaign.objects.exists(),
            "Write a brief",
            "goal, facts, and every price and date as a value",
            "campaigns_campaign_changelist",
            "campaigns.view_campaign",
        ),
        (
            runs.exists(),
            "Launch it",
            "you see first how many pieces it would write",
            "campaigns_campaign_changelist",
            "campaigns.view_campaign",
        ),
        (
            pieces.filter(reviewed_at__isnull=False).exists(),
            "Read and decide",
            "nothing leaves that nobody decided on",
            "generation_piece_changelist",
            "generation.view_piece",
        ),
        (
            runs.filter(released_at__isnull=False).exists(),
            "Release the run",
            "approved pieces wait until somebody says so",
            "campaigns_run_changelist",
            "campaigns.view_run",
        ),
    )
    return [
        {"done": done, "words": words, "help": help, "link": f"admin:{name}" if may(permission) else ""}
        for done, words, help, name, permission in steps
    ]
