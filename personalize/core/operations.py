"""How an operation of the API describes itself to OpenAPI: one decorator, so that none forgets its problems."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache, wraps
from http import HTTPStatus
from typing import Any, TypeVar

from django.utils.http import http_date
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers

from personalize.core import idempotency, problems

Method = TypeVar("Method", bound=Callable[..., Any])
Serializer = serializers.Serializer[Any]

MIN_NOTICE = timedelta(days=180)  # between saying that an operation goes and its going
_ALWAYS = (400, 401, 403, 429)
_MEANING = {
    400: "Something sent cannot be used; `errors` names each field.",
    401: "No API key, or one that is not accepted.",
    403: "The key lacks the scope, or its person the permission.",
    404: "There is no such thing.",
    409: "Its state does not allow it, or the first request of this Idempotency-Key is still at work.",
    412: "It is not in the version that If-Match or If-None-Match names.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    422: "The Idempotency-Key was used for another request.",
    428: "This system wants If-Match.",
    429: "The key has used up what it may ask for now; wait the seconds in Retry-After.",
}
_IDEMPOTENCY_KEY = OpenApiParameter(
    name=idempotency.HEADER,
    type=OpenApiTypes.STR,
    location=OpenApiParameter.HEADER,
    description=(
        "A new UUID for each new request. Repeated within 24 hours with the same request, it gets the stored "
        "answer and the header Idempotent-Replayed: true; nothing is done twice."
    ),
)
_IF_MATCH = OpenApiParameter(
    name="If-Match",
    type=OpenApiTypes.STR,
    location=OpenApiParameter.HEADER,
    description="The ETag of the version you saw: refused with 412 if it is another one by now.",
)
_IF_NONE_MATCH = OpenApiParameter(
    name="If-None-Match",
    type=OpenApiTypes.STR,
    location=OpenApiParameter.HEADER,
    description="An ETag you have: a GET answers 304 if it is still that. With * a write happens only if it is new.",
)


@dataclass(frozen=True, slots=True)
class Deprecation:
    """An operation that is to go: since when that is said, when it goes, and what to call instead."""

    since: date
    sunset: date
    instead: str  # an address, such as /problems/… or a page

    def __post_init__(self) -> None:
        if self.sunset - self.since < MIN_NOTICE:
            raise ValueError(f"An operation is announced at least {MIN_NOTICE.days} days before it goes.")

    def headers(self) -> dict[str, str]:
        """RFC 9745, RFC 8594 and RFC 8288."""
        since = datetime.combine(self.since, time(), UTC)
        sunset = datetime.combine(self.sunset, time(), UTC)
        return {
            "Deprecation": f"@{int(since.timestamp())}",
            "Sunset": http_date(sunset.timestamp()),
            "Link": f'<{self.instead}>; rel="successor-version"',
        }


class NamedChoice(serializers.ChoiceField):
    """A choice that is one named schema wherever it is used."""

    def __init__(self, choices: Any, *, schema: str, **options: Any) -> None:
        self.schema_name = schema
        super().__init__(choices, **options)


class ProblemError(serializers.Serializer[Any]):
    pointer = serializers.CharField(help_text="JSON pointer into the body, as a fragment: #/items/3/email")
    field = serializers.CharField(help_text="The same place with dots: items.3.email")
    message = serializers.CharField()


class Problem(serializers.Serializer[Any]):
    """RFC 9457."""

    type = serializers.CharField(help_text="Stable: /problems/{code}; the address explains it")
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    instance = serializers.CharField(help_text="urn:request:{X-Request-ID}; the log line has the same id")
    errors = ProblemError(many=True, required=False)  # type: ignore[assignment]


def operation(
    name: str,
    *,
    tag: str,
    summary: str,
    answers: Mapping[int | tuple[int, str], Any],
    body: Any = None,
    query: type[Serializer] | None = None,
    problem_statuses: Sequence[int] = (),
    write: bool = False,
    example: Any = None,
    answer_example: Any = None,
    headers: Sequence[OpenApiParameter] = (),
    conditional: bool = False,
    tagged: bool = False,
    deprecated: Deprecation | None = None,
) -> Callable[[Method], Method]:
    """Describe one method of a view. The docstring of the method is the description.

    `conditional`: a write that takes If-Match; `tagged`: a GET with an ETag. A `deprecated` one says so itself.
    """
    parameters: list[Any] = [query] if query else []
    parameters += headers
    statuses = {*_ALWAYS, *problem_statuses}
    if write:
        parameters.append(_IDEMPOTENCY_KEY)
        statuses |= {409, 413, 415, 422}
    if conditional:
        parameters += [_IF_MATCH, _IF_NONE_MATCH]
        statuses |= {412, 428}
    if tagged:
        parameters.append(_IF_NONE_MATCH)
    responses: dict[Any, Any] = {}
    answered = {key[0] if isinstance(key, tuple) else key: key for key in answers}
    for status, key in answered.items():
        responses[key] = OpenApiResponse(answers[key], description=f"{HTTPStatus(status).phrase}.")
    if tagged:
        responses[304] = OpenApiResponse(
            description="You have it: the ETag of If-None-Match is the present one."
        )
    for status in sorted(statuses - set(answered)):
        responses[status, problems.CONTENT_TYPE] = OpenApiResponse(Problem, description=_MEANING[status])
    responses[414] = OpenApiResponse(
        description="The address is too long: the web server itself says so, in HTML."
    )
    examples = []
    if example is not None:
        examples.append(OpenApiExample("Example", value=example, request_only=True))
    if answer_example is not None:
        codes = [str(status) for status in answered]
        examples.append(
            OpenApiExample("Answer", value=answer_example, response_only=True, status_codes=codes)
        )

    def describe(method: Method) -> Method:
        described: Method = extend_schema(
            operation_id=name,
            summary=summary,
            description=inspect.getdoc(method) or f"{summary}.",
            tags=[tag],
            request=body,
            responses=responses,
            parameters=parameters,
            examples=examples,
            deprecated=deprecated is not None,
        )(_announcing(method, deprecated) if deprecated else method)
        return described

    return describe


def _announcing(method: Any, deprecated: Deprecation) -> Any:
    @wraps(method)
    def announce(*args: Any, **kwargs: Any) -> Any:
        response = method(*args, **kwargs)
        for name, value in deprecated.headers().items():
            response[name] = value
        return response

    return announce


@cache
def page_of(item: type[Serializer]) -> type[Serializer]:
    """The schema of a page of items."""
    name = f"{item.__name__}Page"
    fields = {
        "items": item(many=True),
        "next": serializers.CharField(allow_null=True, help_text="Cursor of the following page; null: last"),
        "__module__": item.__module__,
    }
    return type(name, (serializers.Serializer,), fields)
