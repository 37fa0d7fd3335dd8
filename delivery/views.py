"""What readers and providers open: leaving a list, preferences, a mail in the browser, links, reports.

No login, no cookie, nothing loaded from elsewhere. A GET changes nothing but the count of a click or an opening.
"""

from __future__ import annotations

import secrets
from typing import Any

import structlog
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe

from campaigns.models import Channel
from delivery import clicks, links, preferences, providers, rendering, reports, unsubscribe
from generation.models import Piece, Status
from personalize.core.errors import DomainError

log = structlog.get_logger(__name__)

_WORDS = {Channel.EMAIL: "e-mails", Channel.SMS: "text messages", Channel.PUSH: "push messages"}
_LEFT = (Status.DELIVERING, Status.DELIVERED, Status.UNKNOWN)


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
        "preferences": f"/p/{token}/",
    }
    if place.profile is None:
        return _page(request, "gone", about)
    if request.method != "POST":
        return _page(request, "ask", about)
    if request.POST.get("action") == "undo":
        back = unsubscribe.come_back(place, request.POST.get("undo", ""))
        return _page(request, "back" if back else "too_late", about)
    return _page(request, "left", {**about, "undo": unsubscribe.leave(place)})


@csrf_exempt  # the signed token authorises
@require_http_methods(["GET", "HEAD", "POST"])
def preferences_page(request: HttpRequest, token: str) -> HttpResponse:
    """GET shows what the reader gets. POST turns off what they unticked, or takes that back."""
    place = unsubscribe.look_up(token)
    if place is None:
        return _page(request, "unknown", status=404)
    about: dict[str, Any] = {"brand": place.brand_name, "here": f"/p/{token}/"}
    if place.profile is None:
        return _page(request, "gone", about)
    if request.method == "POST":
        match request.POST.get("action"):
            case "undo":
                channel = request.POST.get("channel", "")
                if channel in _WORDS:
                    back = unsubscribe.come_back(place.on(Channel(channel)), request.POST.get("undo", ""))
                    about["said"] = "back" if back else "too_late"
            case "everything":
                about["left"] = preferences.turn_off(place, channels=list(_WORDS))
            case "save":
                shown = set(request.POST.getlist("shown"))  # a channel that was turned on meanwhile stays on
                about["left"] = preferences.turn_off(
                    place, channels=shown - set(request.POST.getlist("keep"))
                )
                about["said"] = "saved"
    undo = {left.channel: left.undo for left in about.get("left", ())}
    about["rows"] = [
        {
            "channel": choice.channel.value,
            "words": _WORDS[choice.channel].capitalize(),
            "on": choice.on,
            "undo": undo.get(choice.channel, ""),
        }
        for choice in preferences.choices(place)
    ]
    about["any_on"] = any(row["on"] for row in about["rows"])
    return _page(request, "choose", about)


@require_safe
def view_in_browser(request: HttpRequest, token: str) -> HttpResponse:
    """The mail as it was sent, for those whose program shows it badly; for links.VIEW_DAYS."""
    piece_id = links.viewed(token)
    piece = (
        Piece.objects.select_related("run__campaign__brand", "profile")
        .filter(pk=piece_id, channel=Channel.EMAIL, status__in=_LEFT)
        .first()
        if piece_id is not None
        else None
    )
    if piece is None:
        return _page(request, "no_mail", status=404)
    try:
        html = rendering.render_email(piece, counting_opens=False).html
    except DomainError:  # its values were changed since
        return _page(request, "no_mail", status=404)
    return _careful(
        HttpResponse(html),
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'; "
        "sandbox allow-popups allow-popups-to-escape-sandbox allow-top-navigation-by-user-activation",
    )


@require_safe
def follow_link(request: HttpRequest, token: str) -> HttpResponse:
    """On to where the link leads, which is looked up and never taken from the request."""
    where = clicks.follow(token, headers=request.headers, look=request.method == "HEAD")
    if not where:
        return _page(request, "unknown", status=404)
    return _careful(HttpResponseRedirect(where), "default-src 'none'")


@require_safe
def open_pixel(request: HttpRequest, token: str) -> HttpResponse:
    if request.method == "GET":
        clicks.opened(token, agent=request.headers.get("User-Agent", ""))
    return _careful(HttpResponse(links.PIXEL, content_type="image/gif"), "default-src 'none'")


@csrf_exempt  # the provider's signature or the shared secret authorises
@require_http_methods(["GET", "HEAD", "POST"])
def provider_report(request: HttpRequest, name: str) -> HttpResponse:
    """Reports of a mail provider, checked and read by django-anymail. Unknown mails are answered 200 and counted."""
    provider = providers.PROVIDERS.get(name)
    if provider is None:
        return HttpResponse("There is no such provider.", status=404, content_type="text/plain")
    if request.method != "POST":  # some providers look whether anybody is there
        return HttpResponse(f"Reports of {provider.name} are taken here by POST.", content_type="text/plain")
    if not providers.is_open(provider):
        log.warning("provider_report_refused", provider=name, missing=providers.missing(provider))
        return HttpResponse(
            f"Set {providers.missing(provider)} in ANYMAIL first.", status=403, content_type="text/plain"
        )

    if providers.wants_challenge(request):
        return HttpResponse(status=401, headers={"WWW-Authenticate": 'Basic realm="mail reports"'})
    try:
        events = providers.read(provider, request)
    except providers.WrongSecret as error:
        log.warning("provider_report_refused", provider=name, missing="")
        return HttpResponse(str(error), status=403, content_type="text/plain")
    except providers.Unreadable as error:
        # What cannot be read now cannot be read later: 400, so that it is not brought for days.
        log.warning(
            "provider_report_unreadable", provider=name, error=str(error.__cause__.__class__.__name__)
        )
        return HttpResponse(str(error), status=400, content_type="text/plain")
    if events:
        reports.record(events=events, provider=name)
    return HttpResponse()


def _page(
    request: HttpRequest, state: str, about: dict[str, Any] | None = None, *, status: int = 200
) -> HttpResponse:
    nonce = secrets.token_urlsafe(16)
    response = render(
        request, "public/page.html", {"state": state, "nonce": nonce, **(about or {})}, status=status
    )
    return _careful(
        response,
        f"default-src 'none'; style-src 'nonce-{nonce}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    )


def _careful(response: HttpResponse, policy: str) -> HttpResponse:
    response["Content-Security-Policy"] = policy
    response["Referrer-Policy"] = "no-referrer"  # the address is a key
    response["Cache-Control"] = "no-store"
    response["X-Robots-Tag"] = "noindex, nofollow"
    return response
