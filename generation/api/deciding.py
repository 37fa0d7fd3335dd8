"""Decisions on pieces. Each names the revision that was seen; a newer text is not decided on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from generation import review
from generation.api.pieces import BIGGEST_ID, PieceItem, find
from generation.models import RejectReason
from personalize.core.api import ApiView, Input, Output, person, read
from personalize.core.models import Scope
from personalize.core.operations import NamedChoice, operation

MOST_TOGETHER = 1_000


class RevisionInput(Input):
    revision = serializers.IntegerField(min_value=0, max_value=2**31 - 1, help_text="Of the text you saw")


class DecisionInput(RevisionInput):
    note = serializers.CharField(default="", allow_blank=True, max_length=500)


class RejectionInput(DecisionInput):
    reason = NamedChoice(RejectReason.choices, schema="RejectReason")


class EditInput(DecisionInput):
    fields = serializers.DictField(  # type: ignore[assignment]
        help_text="The whole text: each field of the channel, values as {{name}}"
    )


class AgainInput(RevisionInput):
    steer = serializers.CharField(
        default="", allow_blank=True, max_length=200, help_text="A short hint for the writer"
    )


class _PieceAction(ApiView):
    required_scopes = {"POST": Scope.PIECES_REVIEW}
    required_permissions = {"POST": "generation.review_piece"}

    def act(self, request: Request, piece_id: int, body: type[Input], do: Callable[..., Any]) -> Response:
        find(piece_id, by=request.user)
        do(piece_id=piece_id, by=person(request), **read(body, request))
        return Response(PieceItem(find(piece_id, by=request.user)).data)


def _described(name: str, summary: str, body: type[Input], example: Any) -> Callable[[Any], Any]:
    return operation(
        name,
        tag="Pieces",
        summary=summary,
        body=body,
        answers={200: PieceItem},
        problem_statuses=(404,),
        write=True,
        example=example,
    )


class ApproveView(_PieceAction):
    @_described("approve_piece", "Approve exactly the text you saw", DecisionInput, {"revision": 1})
    def post(self, request: Request, piece_id: int) -> Response:
        """Refused with `stale_piece` if the text changed, `blocked` if a finding stops it, `own_edit` if the key's
        person wrote it."""
        return self.act(request, piece_id, DecisionInput, review.approve)


class RejectView(_PieceAction):
    @_described("reject_piece", "Reject a text", RejectionInput, {"revision": 1, "reason": "dull"})
    def post(self, request: Request, piece_id: int) -> Response:
        return self.act(request, piece_id, RejectionInput, review.reject)


class EditView(_PieceAction):
    required_permissions = {"POST": "generation.edit_piece"}

    @_described(
        "edit_piece",
        "Replace a text",
        EditInput,
        {
            "revision": 1,
            "fields": {
                "subject": "A quieter morning",
                "preheader": "The moka pot is here",
                "body": "Hello {{first_name}},\n\nthe moka pot costs {{price}} until {{end_date}}.",
                "cta": "See the moka pot",
            },
        },
    )
    def post(self, request: Request, piece_id: int) -> Response:
        """The text is checked again and needs a decision by somebody else."""
        return self.act(request, piece_id, EditInput, review.edit)


class WriteAgainView(_PieceAction):
    @_described(
        "write_piece_again", "Have another text written", AgainInput, {"revision": 1, "steer": "shorter"}
    )
    def post(self, request: Request, piece_id: int) -> Response:
        return self.act(request, piece_id, AgainInput, review.write_again)


class ReopenView(_PieceAction):
    @_described("reopen_piece", "Take a decision back", DecisionInput, {"revision": 1})
    def post(self, request: Request, piece_id: int) -> Response:
        """An approved piece that is not on its way, or a rejected one, is in review again."""
        return self.act(request, piece_id, DecisionInput, review.reopen)


class ChosenPiece(Input):
    id = serializers.IntegerField(min_value=1, max_value=BIGGEST_ID)
    revision = serializers.IntegerField(min_value=0, max_value=2**31 - 1)


class DecideInput(Input):
    verdict = NamedChoice([("approve", "Approve"), ("reject", "Reject")], schema="Verdict")
    pieces = ChosenPiece(many=True, min_length=1, max_length=MOST_TOGETHER)  # type: ignore[call-arg]
    reason = NamedChoice(
        [*RejectReason.choices, ("", "None")], schema="RejectReasonOrNone", default="", allow_blank=True
    )
    note = serializers.CharField(default="", allow_blank=True, max_length=500)


class Refusal(Output):
    id = serializers.IntegerField()
    message = serializers.CharField()


class DecideOutput(Output):
    approved = serializers.IntegerField()
    rejected = serializers.IntegerField()
    changed = serializers.IntegerField(help_text="Had another text or status by now")
    blocked = serializers.IntegerField(help_text="Have findings that stop approval")
    refused = Refusal(many=True, help_text="Every piece that was not decided, and why")


class DecideView(ApiView):
    required_scopes = {"POST": Scope.PIECES_REVIEW}
    required_permissions = {"POST": "generation.review_piece"}

    @operation(
        "decide_pieces",
        tag="Pieces",
        summary="Approve or reject up to 1,000 pieces",
        body=DecideInput,
        answers={200: DecideOutput},
        write=True,
        example={"verdict": "approve", "pieces": [{"id": 7, "revision": 1}, {"id": 8, "revision": 2}]},
        answer_example={
            "approved": 1,
            "rejected": 0,
            "changed": 1,
            "blocked": 0,
            "refused": [{"id": 8, "message": "This piece has a new text since you saw it."}],
        },
    )
    def post(self, request: Request) -> Response:
        """What cannot be decided stays as it is, and is named with the reason."""
        sent = read(DecideInput, request)
        result = review.decide_many(
            verdict=sent["verdict"],
            by=person(request),
            revisions={chosen["id"]: chosen["revision"] for chosen in sent["pieces"]},
            reason=sent["reason"],
            note=sent["note"],
        )
        body = {
            "approved": result.approved,
            "rejected": result.rejected,
            "changed": result.changed,
            "blocked": result.blocked,
            "refused": [{"id": key, "message": why} for key, why in sorted(result.refused.items())],
        }
        return Response(body)
