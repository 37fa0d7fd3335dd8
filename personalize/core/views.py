"""Pages of the system itself: health, metrics, and what a problem type means."""

from __future__ import annotations

import hmac
from dataclasses import asdict
from ipaddress import ip_address

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from personalize.core import health as checks
from personalize.core import metrics as pages
from personalize.core import problems


@never_cache
@require_safe
def health(request: HttpRequest) -> JsonResponse:
    """200: this process answers. With ?deep=1 the same as /health/ready."""
    if request.GET.get("deep") == "1":
        return _ready()
    return JsonResponse({"status": "ok"})


@never_cache
@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """200 when database, migrations and broker are fine, else 503 and which is not."""
    return _ready()


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """For the holder of METRICS_TOKEN; without that setting, for this machine only."""
    if not _may_read_metrics(request):
        return HttpResponse(
            "Set METRICS_TOKEN and send it as 'Authorization: Bearer TOKEN', or ask from this machine.\n",
            status=403,
            content_type="text/plain",
        )
    return HttpResponse(pages.render(), content_type=pages.CONTENT_TYPE)


@require_safe
def problem(request: HttpRequest, code: str) -> JsonResponse:
    """What a problem's `type` points to."""
    kind = problems.find_type(code)
    if kind is None:
        return JsonResponse({"detail": "There is no problem type of this name."}, status=404)
    return JsonResponse(asdict(kind))


def _ready() -> JsonResponse:
    found = checks.ready()
    ok = all(check.ok for check in found)
    return JsonResponse(
        {"status": "ok" if ok else "not ready", "checks": [asdict(check) for check in found]},
        status=200 if ok else 503,
    )


def _may_read_metrics(request: HttpRequest) -> bool:
    if settings.METRICS_TOKEN:
        given = request.headers.get("Authorization", "").encode()
        return hmac.compare_digest(given, f"Bearer {settings.METRICS_TOKEN}".encode())
    # Behind a proxy on this machine everybody seems to come from here.
    if "X-Forwarded-For" in request.headers or "Forwarded" in request.headers:
        return False
    try:
        return ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False
