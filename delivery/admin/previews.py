"""A piece as its reader sees it, in a document that can do nothing: no script, no form, no request, no origin."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.template.loader import render_to_string

from campaigns import brand_access
from campaigns.models import Channel
from delivery import rendering
from generation.models import Piece
from personalize.core.admin_pages import need
from personalize.core.errors import DomainError

# The frame's own policy: even if a text got through every escape, nothing of it could run, load or leave.
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'self'; sandbox"
)


LOOKS = frozenset({"light", "dark"})


def preview(request: HttpRequest, pk: int) -> HttpResponse:
    """The piece with its values in; `look` is light or dark. What cannot be rendered says why, in the same frame."""
    need(request, "generation.view_piece")
    if request.method not in ("GET", "HEAD"):
        return HttpResponse(status=405, headers={"Allow": "GET, HEAD"})
    known = brand_access.visible(Piece.everything.all(), request.user, "run__campaign__brand")
    piece = known.select_related("run__campaign__brand", "profile").filter(pk=pk).first()
    if piece is None:
        raise Http404
    look = request.GET.get("look", "light")
    look = look if look in LOOKS else "light"
    try:
        html = rendering.preview_html(piece) if piece.channel == Channel.EMAIL else _lookalike(piece, look)
    except DomainError as error:
        html = render_to_string("admin/delivery/preview_error.html", {"message": str(error), "look": look})
    response = HttpResponse(html)
    response["Content-Security-Policy"] = POLICY
    response["Referrer-Policy"] = "no-referrer"
    response["Cache-Control"] = "no-store"
    return response


def _lookalike(piece: Piece, look: str) -> str:
    """Simple look-alikes of what the platforms show; what they combine or cut is their own affair."""
    fields: dict[str, Any] = dict(rendering.fill(piece))
    address = ""
    if piece.channel in (Channel.GOOGLE_RSA, Channel.META_AD, Channel.LINKEDIN_AD):
        address = rendering.link(piece).split("://", 1)[-1]
    return render_to_string(
        f"admin/delivery/preview_{piece.channel}.html",
        {
            "fields": fields,
            "look": look,
            "brand": piece.run.campaign.brand.name,
            "initial": piece.run.campaign.brand.name[:1],
            "address": address,
            "host": address.split("/", 1)[0],
            "cta": piece.run.brief.get("cta", ""),
            "shown": " | ".join(fields.get("headlines", [])[:3]),
            "said": " ".join(fields.get("descriptions", [])[:2]),
        },
    )
