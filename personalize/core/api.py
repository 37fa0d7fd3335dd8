"""What every operation of the API shares: strict input, problems, pages, and writes that are safe to repeat."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, cast

from django.contrib.auth.models import User
from django.db import OperationalError, transaction
from django.db.models import Model, QuerySet
from django.http import Http404
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.encoders import JSONEncoder
from rest_framework.views import APIView

from personalize.core import idempotency, pagination, preconditions, problems, ratelimits
from personalize.core.models import ApiKey, IdempotencyRecord, Scope
from personalize.core.parsing import StrictJSONParser, check_text

WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_DEADLOCK_TRIES = 4


class ApiView(APIView):
    """One operation per method. Declare `required_scopes` and `required_permissions` for each: without, it is shut.

    A write runs in one transaction with the stored answer of its Idempotency-Key, and again if the database
    chose it as the victim of a deadlock.
    """

    parser_classes = [StrictJSONParser]
    required_scopes: ClassVar[Mapping[str, Scope]] = {}
    required_permissions: ClassVar[Mapping[str, str]] = {}
    rate_policies: ClassVar[tuple[str, ...]] = (ratelimits.REQUESTS,)
    standings: Sequence[ratelimits.Standing] = ()  # of the key, once this request is counted
    tagged: ClassVar[bool] = False  # GET answers one thing, with an ETag, and 304 to who has it already

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if isinstance(request.auth, ApiKey):
            self.standings = ratelimits.charge(
                key=request.auth, policies=ratelimits.policies_of(request.auth, self.rate_policies)
            )
        if any("\x00" in str(value) for value in kwargs.values()):
            raise Http404
        for name, value in request.query_params.items():
            check_text(name)
            check_text(str(value))

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        self.args, self.kwargs = args, kwargs
        request = self.initialize_request(request, *args, **kwargs)
        self.request, self.headers = request, self.default_response_headers
        self.standings = ()
        try:
            self.initial(request, *args, **kwargs)
            known = request.method.lower() in self.http_method_names
            handler = getattr(self, request.method.lower(), None) if known else None
            handler = handler or self.http_method_not_allowed
            if request.method in WRITES and handler != self.http_method_not_allowed:
                response = self._write(request, lambda: handler(request, *args, **kwargs))
            else:
                response = self._tag(request, handler(request, *args, **kwargs))
        except Exception as error:
            self.standings = getattr(error, "standings", self.standings)
            response = self.handle_exception(error)
        for name, value in ratelimits.headers_of(self.standings).items():
            response[name] = value
        self.response = self.finalize_response(request, response, *args, **kwargs)
        return self.response

    def after_commit(self, request: Request, response: Response) -> Response:
        """What the client gets, once the work is done and its answer stored; also of a replayed answer.

        For operations that wait for something, or whose answer holds what should not be stored.
        """
        return response

    def _tag(self, request: Request, response: Response) -> Response:
        if not self.tagged or response.status_code != 200:
            return response
        tag = preconditions.etag(response.data)
        if preconditions.names_none(request.headers, tag):
            response = Response(status=304)
        response["ETag"] = tag
        return response

    def _write(self, request: Request, work: Callable[[], Response]) -> Response:
        claim = self._claim(request)
        if isinstance(claim, IdempotencyRecord):
            return self._replay(request, claim)
        try:
            response = self._attempt(work, claim)
        except idempotency.InProgress as error:
            return self.handle_exception(
                error
            )  # the key is another request's now: nothing to store or release
        except Exception as error:
            response = self.handle_exception(error)
            if claim is not None:
                self._settle(claim, response)
            return response
        return self.after_commit(request, response)

    def _replay(self, request: Request, record: IdempotencyRecord) -> Response:
        assert record.status_code is not None
        response = Response(record.body, status=record.status_code, headers=record.headers)
        if record.status_code < 400:
            response = self.after_commit(request, response)
        else:
            response.content_type = problems.CONTENT_TYPE
        response[idempotency.REPLAYED] = "true"
        return response

    def _claim(self, request: Request) -> idempotency.Claim | IdempotencyRecord | None:
        header = request.headers.get(idempotency.HEADER)
        if header is None:
            return None
        assert isinstance(request.auth, ApiKey)
        hashed = idempotency.hash_request(
            method=str(request.method), path=request.get_full_path() + _conditions(request), data=request.data
        )
        return idempotency.begin(api_key=request.auth, key=idempotency.read_key(header), request_hash=hashed)

    def _attempt(self, work: Callable[[], Response], claim: idempotency.Claim | None) -> Response:
        for left in reversed(range(_DEADLOCK_TRIES)):
            try:
                with transaction.atomic():
                    response = work()
                    if claim is not None:
                        self._settle(claim, response)
                    return response
            except OperationalError as error:
                retryable = getattr(error.__cause__, "sqlstate", None) in {"40P01", "40001"}
                if not (retryable and left):
                    raise
        raise AssertionError("unreachable")

    def _settle(self, claim: idempotency.Claim, response: Response) -> None:
        if response.status_code >= 500:
            idempotency.release(claim)
        else:
            idempotency.store(
                claim,
                status_code=response.status_code,
                body=json.loads(json.dumps(response.data, cls=JSONEncoder)),
                headers=dict(response.items()),
            )


def _conditions(request: Request) -> str:
    """What makes it another request although address and body are the same."""
    sent = [request.headers.get(name) for name in ("If-Match", "If-None-Match")]
    return f"\n{json.dumps(sent)}" if any(sent) else ""


# Comments, not docstrings: the API's description would show them for every schema.
class Input(serializers.Serializer[Any]):
    # Input that refuses fields it does not know: a misspelt one would otherwise be lost in silence.

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            fields = {name for name, field in self.fields.items() if not field.read_only}
            if unknown := [name for name in data if name not in fields]:
                known = ", ".join(sorted(fields))
                raise serializers.ValidationError(
                    {str(name): [f"There is no field of this name here. Known: {known}."] for name in unknown}
                )
        return super().to_internal_value(data)


class Output(serializers.Serializer[Any]):
    # Output with explicit fields.
    pass


class ListQuery(Input):
    """The query of a list. Subclasses add filters, each a named field: nothing else reaches the database."""

    limit = serializers.IntegerField(
        min_value=1, max_value=pagination.MAX_LIMIT, default=pagination.DEFAULT_LIMIT
    )
    cursor = serializers.CharField(
        default="", allow_blank=True, max_length=400, help_text="`next` of the page before"
    )


def person(request: Request) -> User:
    """Who the key acts as; the permission class let nobody else in."""
    return cast(User, request.user)


def read(kind: type[serializers.Serializer[Any]], request: Request, **context: Any) -> dict[str, Any]:
    """The checked body of a request."""
    if not isinstance(request.data, Mapping):
        raise serializers.ValidationError("Send one JSON object.")
    checked = kind(data=request.data, context=context)
    checked.is_valid(raise_exception=True)
    return dict(checked.validated_data)


def read_query(kind: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
    """The checked query of a request; a name given twice is refused."""
    if twice := [name for name, values in request.query_params.lists() if len(values) > 1]:
        raise serializers.ValidationError({name: ["Give it once."] for name in twice})
    checked = kind(data=request.query_params.dict())
    checked.is_valid(raise_exception=True)
    return dict(checked.validated_data)


def list_response(
    rows: QuerySet[Any],
    *,
    query: Mapping[str, Any],
    output: type[serializers.Serializer[Any]],
    request: Request,
    newest_first: bool = True,
    prepare: Callable[[Sequence[Any]], None] | None = None,
) -> Response:
    """A page of rows as {"items", "next"}, with a Link header to the following page (RFC 8288)."""
    filters = {name: str(value) for name, value in query.items() if name not in {"limit", "cursor"}}
    about = json.dumps([request.path, filters], sort_keys=True)
    found = pagination.page(
        rows, limit=query["limit"], cursor=query["cursor"], about=about, newest_first=newest_first
    )
    if prepare:
        prepare(found.items)
    response = Response({"items": output(found.items, many=True).data, "next": found.next})
    if found.next:
        following = request.query_params.copy()
        following["cursor"] = found.next
        response["Link"] = f'<{request.path}?{following.urlencode()}>; rel="next"'
    return response


def one(rows: QuerySet[Any], **by: Any) -> Any:
    """The row, or 404."""
    row: Model | None = rows.filter(**by).first()
    if row is None:
        raise Http404
    return row
