"""Webhook endpoints: whom we tell what happens here, what was sent to them, and sending again."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from delivery.models import MessageStatus, WebhookEndpoint, WebhookMessage
from delivery.webhooks import catalogue, endpoints, sending, signing
from generation.api.pieces import BIGGEST_ID
from personalize.core import preconditions
from personalize.core.api import (
    ApiView,
    Input,
    ListQuery,
    Output,
    list_response,
    one,
    person,
    read,
    read_query,
)
from personalize.core.models import Scope
from personalize.core.operations import NamedChoice, operation, page_of

_EXAMPLE = {
    "name": "CRM production",
    "url": "https://crm.example.com/hooks/personalize",
    "types": ["piece.approved", "piece.delivered", "profile.unsubscribed"],
}


def _type(**options: Any) -> NamedChoice:
    return NamedChoice(catalogue.CHOICES, schema="WebhookType", **options)


class EndpointChange(Input):
    name = serializers.CharField(required=False, max_length=100, help_text="Which system listens")
    url = serializers.CharField(required=False, max_length=500, help_text="https://…")
    types = serializers.ListField(child=_type(), required=False, min_length=1, max_length=50)
    in_order = serializers.BooleanField(
        required=False, help_text="One at a time: the next only when the one before arrived or was given up"
    )
    is_enabled = serializers.BooleanField(required=False)


class EndpointInput(Input):
    name = serializers.CharField(max_length=100, help_text="Which system listens")
    url = serializers.CharField(max_length=500, help_text="https://…")
    types = serializers.ListField(child=_type(), min_length=1, max_length=50)
    in_order = serializers.BooleanField(
        default=False, help_text="One at a time: the next only when the one before arrived or was given up"
    )


class EndpointOutput(Output):
    id = serializers.IntegerField()
    name = serializers.CharField()
    url = serializers.CharField()
    types = serializers.ListField(child=serializers.CharField())
    in_order = serializers.BooleanField()
    is_enabled = serializers.BooleanField()
    disabled_because = serializers.CharField(help_text="Why it was disabled by itself")
    old_secret_until = serializers.DateTimeField(
        allow_null=True, help_text="Until then messages are signed with the secret before, too"
    )
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class EndpointWithSecret(EndpointOutput):
    secret = serializers.CharField(help_text="whsec_…; shown here and after a rotation only")


class MessageOutput(Output):
    id = serializers.IntegerField()
    webhook_id = serializers.SerializerMethodField(help_text="Of the header webhook-id")
    sequence = serializers.IntegerField(help_text="From 1 for each endpoint, without a gap")
    type = serializers.CharField()
    occurred_at = serializers.DateTimeField()
    status = NamedChoice(MessageStatus.choices, schema="WebhookStatus")
    attempts = serializers.IntegerField()
    next_at = serializers.DateTimeField(allow_null=True, help_text="Of the next attempt")
    error = serializers.CharField(help_text="Of the last attempt")
    finished_at = serializers.DateTimeField(allow_null=True)

    def get_webhook_id(self, message: WebhookMessage) -> str:
        return sending.message_id(message)


class MessageQuery(ListQuery):
    status = NamedChoice(MessageStatus.choices, schema="WebhookStatus", required=False)
    type = serializers.ChoiceField(choices=list(catalogue.TYPES), required=False)


class ReplayInput(Input):
    messages = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=BIGGEST_ID),
        required=False,
        min_length=1,
        max_length=1_000,
        help_text="Their ids; all that were given up if not given",
    )


class ReplayOutput(Output):
    replayed = serializers.IntegerField()


def find(endpoint_id: int) -> WebhookEndpoint:
    found: WebhookEndpoint = one(WebhookEndpoint.objects.all(), pk=endpoint_id)
    return found


def _locked(endpoint_id: int) -> dict[str, Any] | None:
    endpoint = WebhookEndpoint.objects.select_for_update().filter(pk=endpoint_id).first()
    return dict(EndpointOutput(endpoint).data) if endpoint else None


class _ShowsSecret(ApiView):
    def after_commit(self, request: Request, response: Response) -> Response:
        """The secret is put in here, so that no stored answer holds it."""
        endpoint = WebhookEndpoint.objects.filter(pk=response.data["id"]).first()
        if endpoint is not None:
            response.data = {**response.data, "secret": signing.secret(endpoint)}
        return response


class EndpointsView(_ShowsSecret):
    required_scopes = {"POST": Scope.WEBHOOKS_WRITE, "GET": Scope.WEBHOOKS_READ}
    required_permissions = {"POST": "delivery.add_webhookendpoint", "GET": "delivery.view_webhookendpoint"}

    @operation(
        "create_webhook",
        tag="Webhooks",
        summary="Be told what happens here",
        body=EndpointInput,
        answers={201: EndpointWithSecret},
        write=True,
        example=_EXAMPLE,
    )
    def post(self, request: Request) -> Response:
        """Messages begin with what happens from now on. Keep `secret`: with it you check that they are from here
        (Standard Webhooks)."""
        endpoint = endpoints.create(**read(EndpointInput, request), by=person(request))
        headers = {"Location": f"/api/v1/webhooks/{endpoint.pk}"}
        return Response(EndpointOutput(endpoint).data, status=201, headers=headers)

    @operation(
        "list_webhooks",
        tag="Webhooks",
        summary="Endpoints, the newest first",
        query=ListQuery,
        answers={200: page_of(EndpointOutput)},
    )
    def get(self, request: Request) -> Response:
        query = read_query(ListQuery, request)
        return list_response(
            WebhookEndpoint.objects.all(), query=query, output=EndpointOutput, request=request
        )


class EndpointView(ApiView):
    tagged = True
    required_scopes = {
        "GET": Scope.WEBHOOKS_READ,
        "PATCH": Scope.WEBHOOKS_WRITE,
        "DELETE": Scope.WEBHOOKS_WRITE,
    }
    required_permissions = {
        "GET": "delivery.view_webhookendpoint",
        "PATCH": "delivery.change_webhookendpoint",
        "DELETE": "delivery.delete_webhookendpoint",
    }

    @operation(
        "get_webhook",
        tag="Webhooks",
        summary="One endpoint",
        answers={200: EndpointOutput},
        problem_statuses=(404,),
        tagged=True,
    )
    def get(self, request: Request, endpoint_id: int) -> Response:
        return Response(EndpointOutput(find(endpoint_id)).data)

    @operation(
        "change_webhook",
        tag="Webhooks",
        summary="Change an endpoint",
        body=EndpointChange,
        answers={200: EndpointOutput},
        problem_statuses=(404,),
        write=True,
        conditional=True,
        example={"is_enabled": False},
    )
    def patch(self, request: Request, endpoint_id: int) -> Response:
        """Disabled, it is told nothing of what happens meanwhile; what waited before goes when it is enabled."""
        find(endpoint_id)
        preconditions.check(request.headers, lambda: _locked(endpoint_id), may_be_required=True)
        endpoint = endpoints.change(endpoint_id=endpoint_id, **read(EndpointChange, request))
        changed = EndpointOutput(endpoint).data
        return Response(changed, headers={"ETag": preconditions.etag(changed)})

    @operation(
        "delete_webhook",
        tag="Webhooks",
        summary="Delete an endpoint and its messages",
        answers={204: None},
        problem_statuses=(404,),
        write=True,
        conditional=True,
    )
    def delete(self, request: Request, endpoint_id: int) -> Response:
        find(endpoint_id)
        preconditions.check(request.headers, lambda: _locked(endpoint_id))
        endpoints.delete(endpoint_id=endpoint_id, by=person(request))
        return Response(status=204)


class RotateSecretView(_ShowsSecret):
    required_scopes = {"POST": Scope.WEBHOOKS_WRITE}
    required_permissions = {"POST": "delivery.change_webhookendpoint"}

    @operation(
        "rotate_webhook_secret",
        tag="Webhooks",
        summary="A new secret",
        answers={200: EndpointWithSecret},
        problem_statuses=(404,),
        write=True,
    )
    def post(self, request: Request, endpoint_id: int) -> Response:
        """For a day messages have two signatures, with the new secret and the one before."""
        endpoint = endpoints.rotate_secret(endpoint_id=find(endpoint_id).pk)
        return Response(EndpointOutput(endpoint).data)


class TestView(ApiView):
    required_scopes = {"POST": Scope.WEBHOOKS_WRITE}
    required_permissions = {"POST": "delivery.change_webhookendpoint"}

    @operation(
        "test_webhook",
        tag="Webhooks",
        summary="Send a test message",
        answers={202: MessageOutput},
        problem_statuses=(404,),
        write=True,
    )
    def post(self, request: Request, endpoint_id: int) -> Response:
        """Of the type `webhook.test`, to this endpoint alone."""
        message = endpoints.send_test(endpoint_id=find(endpoint_id).pk)
        return Response(MessageOutput(message).data, status=202)


class MessagesView(ApiView):
    required_scopes = {"GET": Scope.WEBHOOKS_READ}
    required_permissions = {"GET": "delivery.view_webhookendpoint"}

    @operation(
        "list_webhook_messages",
        tag="Webhooks",
        summary="Messages to an endpoint, the newest first",
        query=MessageQuery,
        answers={200: page_of(MessageOutput)},
        problem_statuses=(404,),
    )
    def get(self, request: Request, endpoint_id: int) -> Response:
        """Those that arrived are kept for two weeks, those given up for three months."""
        query = read_query(MessageQuery, request)
        rows = WebhookMessage.objects.filter(endpoint=find(endpoint_id))
        for name in ("status", "type"):
            if name in query:
                rows = rows.filter(**{name: query[name]})
        return list_response(rows, query=query, output=MessageOutput, request=request)


class ReplayView(ApiView):
    required_scopes = {"POST": Scope.WEBHOOKS_WRITE}
    required_permissions = {"POST": "delivery.replay_webhookendpoint"}

    @operation(
        "replay_webhook_messages",
        tag="Webhooks",
        summary="Send again what was given up",
        body=ReplayInput,
        answers={200: ReplayOutput},
        problem_statuses=(404,),
        write=True,
        answer_example={"replayed": 3},
    )
    def post(self, request: Request, endpoint_id: int) -> Response:
        """They keep `webhook-id` and `sequence`."""
        sent = read(ReplayInput, request)
        count = endpoints.replay(endpoint_id=find(endpoint_id).pk, message_ids=sent.get("messages"))
        return Response({"replayed": count})
