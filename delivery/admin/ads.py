"""A run's ads as they will look, each held to its platform's limits, with the files to upload."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse

from campaigns import brand_access
from campaigns.models import Channel, Run
from campaigns.models.channels import AD_CHANNELS
from delivery import ads, rendering
from delivery.models import ExportFile
from generation.models import Piece, Status
from generation.writer import channels
from generation.writer.types import Channel as WritersChannel
from personalize.core.admin_pages import Page, need
from personalize.core.errors import DomainError

_READY = (Status.APPROVED, Status.DELIVERING, Status.DELIVERED)
_HIDDEN = (Status.DRAFT, Status.GENERATING, Status.WITHDRAWN, Status.REJECTED)


def run_ads(page: Page, request: HttpRequest, pk: int) -> HttpResponse:
    need(request, "generation.view_piece", "campaigns.view_run")
    if request.method not in ("GET", "HEAD"):
        return HttpResponse(status=405, headers={"Allow": "GET, HEAD"})
    run = (
        brand_access.visible(Run.objects.select_related("campaign__brand"), request.user, "campaign__brand")
        .filter(pk=pk)
        .first()
    )
    if run is None:
        raise Http404
    pieces = list(
        Piece.objects.filter(run=run, channel__in=AD_CHANNELS)
        .exclude(status__in=_HIDDEN)
        .select_related("run__campaign__brand")
        .order_by("channel", "pk")[:50]
    )
    may_export = request.user.has_perm("campaigns.send_campaign")
    files = ExportFile.objects.ready().filter(run=run, channel__in=AD_CHANNELS).order_by("-created_at")[:20]
    context = page.frame(
        request,
        title=f"Ads: {run.campaign.name}",
        run=run,
        audience=str(run.brief.get("audience") or run.campaign.audience),
        ads=[_shown(piece) for piece in pieces],
        files=files if may_export else (),
        may_export=may_export,
        export=reverse("admin:delivery_run_export", args=[pk]),
    )
    return TemplateResponse(request, "admin/delivery/ads/page.html", context)


def _shown(piece: Piece) -> dict[str, Any]:
    address = reverse("admin:delivery_piece_preview", args=[piece.pk])
    shown: dict[str, Any] = {
        "piece": piece,
        "channel": piece.get_channel_display(),
        "tone": "good" if piece.status in _READY else "warn",
        "frames": (
            ("Light", f"{address}?look=light", 460),
            ("Dark", f"{address}?look=dark", 460),
            ("Narrow", f"{address}?look=light", 320),
        ),
        "lines": [],
        "problems": [],
        "broken": "",
    }
    try:
        fields = rendering.fill(piece)
    except DomainError as error:
        return {**shown, "broken": str(error)}
    channel = Channel(piece.channel)
    for spec in channels.SPECS[WritersChannel(channel.value)].fields:
        for text in filter(None, channels.items(fields.get(spec.name, ""))):
            length = channels.length(text, spec.measure)
            shown["lines"].append(
                {
                    "field": spec.name.replace("_", " "),
                    "text": text,
                    "length": length,
                    "limit": spec.limit,
                    "tone": "quiet" if length <= spec.limit else "bad" if spec.hard else "warn",
                }
            )
    return {**shown, "problems": list(ads.check(channel, fields))}
