"""One piece with everything about it, and writing one now."""

from __future__ import annotations

import re
import threading
import time
from typing import Any

from django.conf import settings
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from campaigns import brand_access
from campaigns.api.campaigns import find as find_campaign
from campaigns.api.people import find as find_profile
from campaigns.api.people import personal_channel
from campaigns.models import Channel
from delivery import rendering
from delivery.models import Delivery, DeliveryStatus
from generation import drafting
from generation.api.pieces import PieceItem, find
from generation.models import Finding, Piece, PieceEvent, Severity, Status
from personalize.core import ratelimits
from personalize.core.api import ApiView, Input, Output, person, read
from personalize.core.errors import DomainError
from personalize.core.models import Scope
from personalize.core.operations import NamedChoice, operation

MOST_WAIT_SECONDS = 20  # below the web server's own limit for one request
CLAIM_SECONDS = 1.0  # within which a writer that is warm and has nothing else to do takes a piece up
MOST_WAITING = 2  # requests that wait, of each web process: the other threads must stay free to answer
_LOOK_EVERY_SECONDS = 0.2
_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,6})\"?(?:$|[,;\s])", re.IGNORECASE)
_waiting = threading.BoundedSemaphore(MOST_WAITING)
_ASYNC = re.compile(r"(?:^|[,;\s])respond-async(?:$|[,;\s])", re.IGNORECASE)
_UNWRITTEN = (Status.DRAFT, Status.GENERATING)


class FindingOutput(Output):
    rule = serializers.CharField()
    severity = NamedChoice(Severity.choices, schema="Severity")
    field = serializers.CharField()
    index = serializers.IntegerField(help_text="Item of a list field")
    start = serializers.IntegerField(help_text="Characters, from 0")
    end = serializers.IntegerField()
    message = serializers.CharField()


class EventOutput(Output):
    at = serializers.DateTimeField()
    by = serializers.CharField(source="actor_name", help_text="Empty: the system")
    from_status = serializers.CharField()
    to_status = NamedChoice(Status.choices, schema="PieceStatus")
    revision = serializers.IntegerField()
    reason = serializers.CharField()
    note = serializers.CharField()


class DeliveryOutput(Output):
    id = serializers.IntegerField()
    status = NamedChoice(DeliveryStatus.choices, schema="DeliveryStatus")
    message_id = serializers.CharField()
    attempts = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


class PieceOutput(PieceItem):
    filled = serializers.DictField(
        allow_null=True, help_text="The text as it leaves, values and name put in; null if it cannot be"
    )
    filled_problem = serializers.CharField(allow_blank=True, help_text="Why it cannot be filled")
    findings = FindingOutput(
        many=True, source="current_findings", help_text="What the checks say of this revision"
    )
    ledger = serializers.JSONField(help_text="Each sentence and the facts, traits and products it rests on")
    reader = serializers.JSONField(help_text="All that the writer was told of the reader")
    steer = serializers.CharField()
    model_version = serializers.CharField(source="model_version.name", default=None, allow_null=True)
    prompt_version = serializers.CharField()
    seed = serializers.IntegerField()
    reviewed_by = serializers.CharField(source="reviewed_by.username", default=None, allow_null=True)
    edited_by = serializers.CharField(source="edited_by.username", default=None, allow_null=True)
    error = serializers.CharField(help_text="Why writing or delivery failed")
    delivery = DeliveryOutput(allow_null=True, source="handed_over")
    history = EventOutput(many=True, help_text="The audit trail, the oldest first")


def shown(piece_id: int, *, by: brand_access.Person) -> dict[str, Any]:
    """Everything about a piece, fresh from the database."""
    piece: Any = find(piece_id, by=by)
    piece.filled, piece.filled_problem = _filled(piece)
    piece.handed_over = Delivery.objects.filter(piece=piece).first()
    piece.history = list(PieceEvent.objects.filter(piece_id=piece.pk).order_by("id"))
    current = Finding.objects.filter(piece=piece, revision=piece.revision).order_by("id")
    piece.current_findings = list(current)
    return dict(PieceOutput(piece).data)


def _filled(piece: Piece) -> tuple[dict[str, Any] | None, str]:
    if not piece.fields:
        return None, ""
    try:
        return dict(rendering.fill(piece)), ""
    except DomainError as error:
        return None, str(error)


class PieceView(ApiView):
    tagged = True
    required_scopes = {"GET": Scope.PIECES_READ}
    required_permissions = {"GET": "generation.view_piece"}

    @operation(
        "get_piece",
        tag="Pieces",
        summary="Everything about one piece",
        answers={200: PieceOutput},
        problem_statuses=(404,),
        tagged=True,
    )
    def get(self, request: Request, piece_id: int) -> Response:
        return Response(shown(piece_id, by=request.user))


class ComposeInput(Input):
    campaign = serializers.SlugField(max_length=80)
    profile = serializers.CharField(max_length=128, help_text="External id")
    channel = personal_channel(default=Channel.EMAIL)


class ComposeView(ApiView):
    rate_policies = (ratelimits.COMPOSE, ratelimits.REQUESTS)
    required_scopes = {"POST": Scope.COMPOSE}
    required_permissions = {"POST": "campaigns.launch_campaign"}

    @operation(
        "compose",
        tag="Pieces",
        summary="Write one piece for one person now",
        body=ComposeInput,
        answers={201: PieceOutput, 202: PieceOutput},
        problem_statuses=(404,),
        write=True,
        example={"campaign": "spring-coffee", "profile": "c-1001", "channel": "email"},
    )
    def post(self, request: Request) -> Response:
        """201 with the written piece if a writer is warm and takes it up at once; else 202, and `Location` says
        where to look. `Prefer: wait=10` (RFC 7240, at most 20 seconds) waits for a busy writer as well,
        `Prefer: respond-async` for none. A written piece is in review like any other: nothing is sent before a
        person decides."""
        sent = read(ComposeInput, request)
        piece = drafting.compose(
            campaign=find_campaign(sent["campaign"], by=request.user),
            profile=find_profile(sent["profile"]),
            channel=sent["channel"],
            by=person(request),
        )
        # Stored for replays is the id alone: the text holds the reader's name, and will be newer then.
        headers = {"Location": f"/api/v1/pieces/{piece.pk}"}
        return Response({"id": piece.pk}, status=202, headers=headers)

    def after_commit(self, request: Request, response: Response) -> Response:
        piece_id = response.data["id"]
        asked = _wait_of(request)
        written = _written(piece_id)
        if not written and _waiting.acquire(blocking=False):
            try:
                written = _wait(piece_id, asked) if asked else _wait_if_warm(request, piece_id)
            finally:
                _waiting.release()
        answer = Response(shown(piece_id, by=request.user), status=201 if written else 202)
        answer["Location"] = response["Location"]
        if asked:
            answer["Preference-Applied"] = f"wait={asked}"
        if not written:
            answer["Retry-After"] = "2"
        return answer


def _wait_of(request: Request) -> int:
    found = _WAIT.search(request.headers.get("Prefer", "")[:200])
    return min(int(found[1]), MOST_WAIT_SECONDS) if found else 0


def _wait_if_warm(request: Request, piece_id: int) -> bool:
    """Unasked: only as long as a writer is at it. One that must load its model, or is busy, claims nothing soon."""
    most = min(settings.API_COMPOSE_WAIT, MOST_WAIT_SECONDS)
    if most <= 0 or _ASYNC.search(request.headers.get("Prefer", "")[:200]):
        return False
    started = time.monotonic()
    while Piece.objects.filter(pk=piece_id, status=Status.DRAFT).exists():
        if time.monotonic() - started >= CLAIM_SECONDS:
            return False
        time.sleep(_LOOK_EVERY_SECONDS / 2)
    return _wait(piece_id, most)


def _wait(piece_id: int, seconds: int) -> bool:
    """Whether the piece is written, looking again until the time is over."""
    until = time.monotonic() + seconds
    while not _written(piece_id):
        if time.monotonic() >= until:
            return False
        time.sleep(_LOOK_EVERY_SECONDS)
    return True


def _written(piece_id: int) -> bool:
    return not Piece.objects.filter(pk=piece_id, status__in=_UNWRITTEN).exists()
