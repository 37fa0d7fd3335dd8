"""Around every request: its id, one log line, its time in the metrics, and problems instead of HTML for API clients."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable

import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponse

log = structlog.get_logger(__name__)

_SAFE_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_QUIET = ("/health", "/metrics", "/static/")
_CODES = {400: "bad_request", 403: "not_allowed", 404: "not_found", 413: "too_large", 500: "internal"}


class RequestContextMiddleware:
    """Takes a well-formed X-Request-ID from the proxy or makes one; never logs path parameters or bodies."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get("X-Request-ID", "")
        request_id = given if _SAFE_ID.fullmatch(given) else uuid.uuid4().hex
        started = time.perf_counter()
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            response = _as_problem(request, self.get_response(request))
            self._note(request, response, time.perf_counter() - started)
        response["X-Request-ID"] = request_id
        return response

    def _note(self, request: HttpRequest, response: HttpResponse, seconds: float) -> None:
        from personalize.core import (
            metrics,
        )  # here, so that only a process that answers requests keeps counters

        route = request.resolver_match.route if request.resolver_match else "unknown"
        metrics.note_request(
            method=str(request.method), route=route, status=response.status_code, seconds=seconds
        )
        if not request.path_info.startswith(_QUIET):
            log.info(
                "request",
                method=request.method,
                route=route,  # the template: the path itself may hold a person's id
                status=response.status_code,
                milliseconds=round(seconds * 1000, 1),
            )
        # Django would log the whole path of every 4xx; the line above replaces it.
        response._has_been_logged = True  # type: ignore[attr-defined]


def _as_problem(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """Errors that arose outside the API's views: no such address, a refused host, a crash in a middleware."""
    if response.status_code < 400 or not request.path_info.startswith("/api/"):
        return response
    if "json" in response.headers.get("Content-Type", "") or (settings.DEBUG and response.status_code == 500):
        return response
    from personalize.core import problems

    code = _CODES.get(response.status_code)
    return problems.plain_response(code) if code else response
