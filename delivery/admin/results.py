"""What a run or campaign did, as a page, a picture and a file. Reads only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, reverse
from django.views.decorators.http import require_GET

from campaigns import brand_access
from campaigns.models import Campaign, Run
from delivery.results import exporting, report
from delivery.results.report import LABELS, NAMES, SUMS, Measure, Report
from generation.models import Reward
from personalize.core.admin_pages import Page, need

_TONE = {"more": "good", "less": "bad", "open": "plain", "too_few": "quiet"}
_WORDS = {"more": "More", "less": "Less", "open": "No difference shown", "too_few": "Not enough data"}


def pages(page: Page) -> list[URLPattern]:
    def at(what: str, name: str, find: Callable[[HttpRequest, int], Report]) -> list[URLPattern]:
        def show(request: HttpRequest, pk: int) -> HttpResponse:
            return TemplateResponse(
                request, "admin/delivery/results/page.html", _context(page, request, find(request, pk), name)
            )

        def picture(request: HttpRequest, pk: int) -> HttpResponse:
            found = find(request, pk)
            return _file(exporting.png(found), "image/png", f"{found.campaign.slug}-results.png")

        def table(request: HttpRequest, pk: int) -> HttpResponse:
            found = find(request, pk)
            return _file(
                exporting.csv_file(found), "text/csv; charset=utf-8", f"{found.campaign.slug}-results.csv"
            )

        return [
            page.at(f"results/{what}/<int:pk>/", require_GET(show), name),
            page.at(f"results/{what}/<int:pk>/chart.png", require_GET(picture), f"{name}_png"),
            page.at(f"results/{what}/<int:pk>/results.csv", require_GET(table), f"{name}_csv"),
        ]

    return [
        *at("run", "campaigns_run_results", _of_run),
        *at("campaign", "campaigns_campaign_results", _of_campaign),
    ]


def _of_run(request: HttpRequest, pk: int) -> Report:
    need(request, "campaigns.view_run", "delivery.view_delivery")
    run = (
        brand_access.visible(Run.objects.select_related("campaign__brand"), request.user, "campaign__brand")
        .filter(pk=pk)
        .first()
    )
    if run is None:
        raise Http404
    return report.of_run(run)


def _of_campaign(request: HttpRequest, pk: int) -> Report:
    need(request, "campaigns.view_run", "delivery.view_delivery")
    campaign = (
        brand_access.visible(Campaign.objects.select_related("brand"), request.user, "brand")
        .filter(pk=pk)
        .first()
    )
    if campaign is None:
        raise Http404
    return report.of_campaign(campaign)


def _file(content: bytes, kind: str, name: str) -> HttpResponse:
    return HttpResponse(
        content,
        content_type=kind,
        headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"},
    )


def _context(page: Page, request: HttpRequest, found: Report, name: str) -> dict[str, Any]:
    pk = found.run.pk if found.run else found.campaign.pk
    pairs: dict[str, list[dict[str, Any]]] = {}
    for one in found.compared:
        pairs.setdefault(one.title, []).append(
            {
                "label": one.label,
                "sentence": one.sentence,
                "verdict": _WORDS[one.found.verdict],
                "tone": _TONE[one.found.verdict],
                "always": one.span(one.found.always),
                "once": one.span(one.found.once),
                "extra": f"{one.extra:+,.0f}" if one.found.enough else "",
            }
        )
    return page.frame(
        request,
        title=f"Results: {found.campaign.name}",
        report=found,
        campaign=found.campaign,
        run=found.run,
        arms=[_arm_row(arm, counts) for arm, counts in found.arms],
        columns=[LABELS[measure] for measure in Measure],
        pairs=pairs.items(),
        chart=exporting.svg(found) if found.compared else "",
        variants=found.variants,
        reward=Reward(found.experiment.reward).label.lower(),
        png=reverse(f"admin:{name}_png", args=[pk]),
        csv=reverse(f"admin:{name}_csv", args=[pk]),
        may_set_up=request.user.has_perm("campaigns.view_campaign"),
    )


def _arm_row(arm: Any, counts: Any) -> dict[str, Any]:
    cells = []
    for measure in Measure:
        sums = SUMS[measure](counts)
        nobody_could = arm == "holdout" and measure in (Measure.CLICKS, Measure.OPENS)
        if nobody_could:
            cells.append(("—", ""))
        elif measure == Measure.REVENUE:
            cells.append((f"{sums.mean:,.2f}", f"{sums.total:,.2f}"))
        else:
            cells.append((f"{100 * sums.mean:.2f} %", f"{sums.doers:,}"))
    return {"name": NAMES[arm], "people": counts.people, "got": counts.got, "cells": cells}
