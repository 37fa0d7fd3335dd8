"""The page a reader leaves a list by. No login, no cookie, nothing loaded from elsewhere."""

from __future__ import annotations

import secrets

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from campaigns.models import Channel
from delivery import unsubscribe

_WORDS = {Channel.EMAIL: "e-mails", Channel.SMS: "text messages", Channel.PUSH: "push messages"}


@csrf_exempt  # the signed token authorises; a mail program's one-click POST (RFC 8058) has no cookie
@require_http_methods(["GET", "HEAD", "POST"])
def unsubscribe_page(request: HttpRequest, token: str) -> HttpResponse:
    """GET shows the form and changes nothing. Every POST leaves the list, but for the button that takes it back."""
    if token == unsubscribe.PREVIEW:
        return _page(request, "preview")
    place = unsubscribe.look_up(token)
    if place is None:
        return _page(request, "unknown", status=404)
    about = {
        "brand": place.brand_name,
        "messages": _WORDS.get(place.channel, "messages"),
        "here": f"/u/{token}/",
    }
    if place.profile is None:
        return _page(request, "gone", about)
    if request.method != "POST":
        return _page(request, "ask", about)
    if request.POST.get("action") == "undo":
        back = unsubscribe.come_back(place, request.POST.get("undo", ""))
        return _page(request, "back" if back else "too_late", about)
    return _page(request, "left", {**about, "undo": unsubscribe.leave(place)})


def _page(
    request: HttpRequest, state: str, about: dict[str, str] | None = None, *, status: int = 200
) -> HttpResponse:
    nonce = secrets.token_urlsafe(16)
    response = render(
        request, "public/unsubscribe.html", {"state": state, "nonce": nonce, **(about or {})}, status=status
    )
    response["Content-Security-Policy"] = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; form-action 'self'; frame-ancestors 'none'; "
        "base-uri 'none'"
    )
    response["Referrer-Policy"] = "no-referrer"  # the address is a key
    response["Cache-Control"] = "no-store"
    response["X-Robots-Tag"] = "noindex, nofollow"
    return response
