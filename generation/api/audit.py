"""The sealed audit trail, in the order of its chain."""

from __future__ import annotations

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from generation import audit, audit_export
from generation.models import Status
from personalize.core.api import ApiView, Input, Output, read_query
from personalize.core.models import Scope
from personalize.core.operations import NamedChoice, operation
from personalize.core.pagination import DEFAULT_LIMIT, MAX_LIMIT


class AuditQuery(Input):
    after = serializers.IntegerField(
        min_value=0, max_value=2**63 - 1, default=0, help_text="Number of the last row you have"
    )
    limit = serializers.IntegerField(min_value=1, max_value=MAX_LIMIT, default=DEFAULT_LIMIT)


class AuditRow(Output):
    seq = serializers.IntegerField(help_text="From 1, without a gap")
    id = serializers.IntegerField()
    piece_id = serializers.IntegerField(help_text="The piece may be gone")
    run_id = serializers.IntegerField()
    campaign = serializers.CharField()
    channel = serializers.CharField()
    at = serializers.CharField(help_text="UTC, with microseconds, as hashed")
    actor_id = serializers.IntegerField(allow_null=True, help_text="null: the system")
    actor_name = serializers.CharField()
    from_status = serializers.CharField()
    to_status = NamedChoice(Status.choices, schema="PieceStatus")
    revision = serializers.IntegerField()
    text_hash = serializers.CharField()
    reason = serializers.CharField()
    note_digest = serializers.CharField(help_text="sha256 of salt, line feed and note; empty: no note")
    seconds = serializers.IntegerField(allow_null=True, help_text="The text was open; null: not measured")
    is_hasty = serializers.BooleanField(help_text="Decided faster than it can be read")
    note = serializers.CharField(help_text="Empty with a digest: erased with its reader")
    note_salt = serializers.CharField()
    previous_hash = serializers.CharField()
    hash = serializers.CharField(help_text="Over the hash before and the fields from seq to is_hasty")


class AuditPage(Output):
    items = AuditRow(many=True)
    last = serializers.IntegerField(help_text="Number of the last sealed row there is")


class AuditView(ApiView):
    required_scopes = {"GET": Scope.AUDIT_READ}
    required_permissions = {"GET": "generation.export_pieceevent"}

    @operation(
        "list_audit_rows",
        tag="Audit",
        summary="The audit trail in the order of its chain",
        query=AuditQuery,
        answers={200: AuditPage},
    )
    def get(self, request: Request) -> Response:
        """Ask again with `after` set to the last `seq` you have. Rows are sealed within seconds of being written."""
        query = read_query(AuditQuery, request)
        found = audit_export.rows().filter(seq__gt=query["after"])[: query["limit"]]
        items = [{**row, "at": audit_export.as_hashed(row["at"])} for row in found]
        return Response(AuditPage({"items": items, "last": audit.head()[0]}).data)
