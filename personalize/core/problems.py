"""Every error of the API as one problem document (RFC 9457), and the list of what can go wrong."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from django.conf import settings
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import DatabaseError, InterfaceError, OperationalError
from django.http import Http404, HttpResponse, JsonResponse, UnreadablePostError
from kombu.exceptions import OperationalError as BrokerError
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import set_rollback

from personalize.core.errors import DomainError, InvalidInput, TransientFailure

log = structlog.get_logger(__name__)

CONTENT_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class ProblemType:
    """One kind of problem. `code` is stable and is the end of its type URI, `/problems/{code}`."""

    code: str
    status: int
    title: str
    remedy: str


# What the frame of the API itself can answer; the kinds of the services are DomainError's subclasses.
TYPES: dict[str, ProblemType] = {
    kind.code: kind
    for kind in (
        ProblemType("not_json", 400, "The body is not usable JSON", "Send one JSON document, UTF-8."),
        ProblemType(
            "invalid", 400, "Something sent cannot be used", "Each entry of 'errors' names a field and why."
        ),
        ProblemType("bad_request", 400, "The request is malformed", "Look at 'detail'."),
        ProblemType(
            "not_authenticated",
            401,
            "No API key was sent",
            "Send 'Authorization: Bearer pk_…' with each call.",
        ),
        ProblemType("key_refused", 401, "The API key is not accepted", "Ask an operator for a new key."),
        ProblemType(
            "not_allowed",
            403,
            "This key or its person may not do this",
            "'detail' names the scope or permission that is missing.",
        ),
        ProblemType("not_found", 404, "There is no such thing", "Check the address and the id in it."),
        ProblemType(
            "method_not_allowed", 405, "The address has no such method", "The header Allow lists the methods."
        ),
        ProblemType("not_acceptable", 406, "Only JSON is answered", "Send 'Accept: application/json'."),
        ProblemType("conflict", 409, "It is not in a state that allows this", "Read it again, then decide."),
        ProblemType(
            "idempotency_in_progress",
            409,
            "The first request with this Idempotency-Key is still at work",
            "Try again after the seconds in Retry-After; the stored answer will be replayed.",
        ),
        ProblemType(
            "precondition_failed",
            412,
            "It is not in the version that If-Match or If-None-Match names",
            "Read it again, then repeat the change on what it is now.",
        ),
        ProblemType("too_large", 413, "The body is too large", "Send less at once."),
        ProblemType(
            "unsupported_media_type", 415, "The body is not JSON", "Send 'Content-Type: application/json'."
        ),
        ProblemType(
            "idempotency_key_reused",
            422,
            "The Idempotency-Key was used for another request",
            "Make a new key for each new request; repeat one only with the same request.",
        ),
        ProblemType(
            "precondition_required",
            428,
            "This system wants changes to name the version that was seen",
            "Send If-Match with the ETag of what you read.",
        ),
        ProblemType("throttled", 429, "Too many requests", "Wait the seconds in Retry-After."),
        ProblemType("internal", 500, "The server failed", "Report 'instance', the id of the request."),
        ProblemType(
            "unavailable",
            503,
            "Something the server needs is not reachable",
            "Nothing is known to be stored; try again after Retry-After with the same Idempotency-Key.",
        ),
    )
}

_REST_CODES: dict[type[exceptions.APIException], str] = {
    exceptions.ParseError: "not_json",
    exceptions.ValidationError: "invalid",
    exceptions.NotAuthenticated: "not_authenticated",
    exceptions.AuthenticationFailed: "key_refused",
    exceptions.PermissionDenied: "not_allowed",
    exceptions.NotFound: "not_found",
    exceptions.MethodNotAllowed: "method_not_allowed",
    exceptions.NotAcceptable: "not_acceptable",
    exceptions.UnsupportedMediaType: "unsupported_media_type",
    exceptions.Throttled: "throttled",
}


def find_type(code: str) -> ProblemType | None:
    """The kind with this code, also those that services define beside what raises them."""
    if code in TYPES:
        return TYPES[code]
    for error in _domain_errors(DomainError):
        if error.code == code:
            meaning = (error.__doc__ or "").strip().split("\n")[0].rstrip(".")
            return ProblemType(code, error.status, meaning or code, "'detail' says what to do.")
    return None


def problem_response(exc: Exception, context: Mapping[str, Any]) -> Response:
    """REST framework's exception handler: any exception becomes a problem, none shows its insides."""
    set_rollback()
    body, headers = describe(exc)
    if body["status"] >= 500:
        if settings.DEBUG and body["type"] == "/problems/internal":
            raise exc
        _log_failure(exc, body["status"])
    return Response(body, status=body["status"], headers=headers, content_type=CONTENT_TYPE)


def plain_response(code: str, *, detail: str = "") -> HttpResponse:
    """The same document for errors that arise outside a view: no such address, a refused host, a crash."""
    kind = TYPES[code]
    body = _document(code, kind.status, detail or kind.remedy)
    return JsonResponse(body, status=kind.status, content_type=CONTENT_TYPE)


def describe(exc: Exception) -> tuple[dict[str, Any], dict[str, str]]:
    """The problem document of an exception, and the headers that go with it."""
    match exc:
        case InvalidInput():
            document = _document(exc.code, exc.status, str(exc))
            if exc.field:
                document["errors"] = [_entry(_path_of(exc), exc.field, str(exc))]
            return document, {}
        case DomainError():
            document = _document(exc.code, exc.status, str(exc))
            if found := getattr(exc, "problems", ()):  # of a brief, each with its field
                document["errors"] = [_entry((p.field,), p.field, p.message) for p in found]
            document |= getattr(exc, "members", {})  # of its kind alone (RFC 9457, section 3.2)
            return document, getattr(exc, "headers", {})
        case exceptions.APIException():
            return _describe_rest(exc)
        case Http404():
            return _document("not_found", 404, TYPES["not_found"].remedy), {}
        case PermissionDenied():
            return _document("not_allowed", 403, "This is not allowed."), {}
        case RequestDataTooBig():
            limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
            return _document("too_large", 413, f"A body may have at most {limit} bytes."), {}
        case UnreadablePostError():
            return _document("bad_request", 400, "The body broke off."), {}
        case SuspiciousOperation():
            return _document("bad_request", 400, "The request is malformed."), {}
        case TransientFailure() | BrokerError() | OperationalError() | InterfaceError():
            return _document("unavailable", 503, TYPES["unavailable"].remedy), {"Retry-After": "5"}
    return _document("internal", 500, TYPES["internal"].remedy), {}


def _describe_rest(exc: exceptions.APIException) -> tuple[dict[str, Any], dict[str, str]]:
    code = next((code for kind, code in _REST_CODES.items() if isinstance(exc, kind)), "bad_request")
    headers: dict[str, str] = {}
    if header := getattr(exc, "auth_header", None):
        headers["WWW-Authenticate"] = header
    if (wait := getattr(exc, "wait", None)) is not None:  # Throttled
        headers["Retry-After"] = str(max(1, round(wait)))
    if isinstance(exc, exceptions.ValidationError):
        errors = list(entries(exc.detail))
        count = len(errors)
        detail = "One field cannot be used." if count == 1 else f"{count} fields cannot be used."
        document = _document(code, exc.status_code, detail)
        document["errors"] = errors
        return document, headers
    detail = TYPES[code].remedy if code == "not_authenticated" else str(exc.detail)
    return _document(code, exc.status_code, detail), headers


def entries(detail: Any, path: tuple[str | int, ...] = ()) -> Iterator[dict[str, str]]:
    """Flatten REST framework's nested messages into `errors` entries with JSON pointers (RFC 6901)."""
    if isinstance(detail, dict):
        for key, inner in detail.items():
            here = key == api_settings.NON_FIELD_ERRORS_KEY
            yield from entries(inner, path if here else (*path, key))
    elif isinstance(detail, list):
        for index, inner in enumerate(detail):
            # A list of messages is about this place; a list of dictionaries is about its items.
            nested = isinstance(inner, dict | list)
            yield from entries(inner, (*path, index) if nested else path)
    else:
        yield _entry(path, ".".join(str(part) for part in path), str(detail))


def _entry(path: tuple[str | int, ...], field: str, message: str) -> dict[str, str]:
    escaped = (str(part).replace("~", "~0").replace("/", "~1") for part in path)
    return {"pointer": "#" + "".join(f"/{part}" for part in escaped), "field": field, "message": message}


def _path_of(exc: InvalidInput) -> tuple[str | int, ...]:
    names: list[str | int] = [part for part in exc.field.split(".") if part]
    return tuple(names) if exc.row is None else (exc.row, *names)


def _document(code: str, status: int, detail: str) -> dict[str, Any]:
    kind = find_type(code)
    return {
        "type": f"/problems/{code}",
        "title": kind.title if kind else code.replace("_", " ").capitalize(),
        "status": status,
        "detail": detail,
        "instance": f"urn:request:{structlog.contextvars.get_contextvars().get('request_id', 'none')}",
    }


def _log_failure(exc: Exception, status: int) -> None:
    """Where it failed, never with what: messages of database errors quote rows, and rows are people."""
    frames = [f"{f.filename}:{f.lineno}:{f.name}" for f in traceback.extract_tb(exc.__traceback__)[-12:]]
    sqlstate = getattr(exc.__cause__, "sqlstate", None) if isinstance(exc, DatabaseError) else None
    log.error("api_failed", status=status, error=type(exc).__name__, sqlstate=sqlstate, frames=frames)


def _domain_errors(root: type[DomainError]) -> Iterator[type[DomainError]]:
    for kind in root.__subclasses__():
        yield kind
        yield from _domain_errors(kind)
