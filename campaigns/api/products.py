"""What can be offered."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from campaigns import products
from campaigns.api import bulk
from campaigns.cleaning import Problem
from campaigns.models import Product
from personalize.core.api import ApiView, Input, ListQuery, Output, list_response, read, read_query
from personalize.core.models import Scope
from personalize.core.operations import operation, page_of


class ProductItem(Input):
    """A field that is not sent stays as it is."""

    sku = serializers.CharField(max_length=64)
    name = serializers.CharField(required=False, max_length=300)
    noun_phrase = serializers.CharField(
        required=False, allow_blank=True, max_length=80, help_text="As said in a sentence: 'a moka pot'"
    )
    category = serializers.CharField(required=False, allow_blank=True, max_length=80)
    description = serializers.CharField(required=False, allow_blank=True, max_length=5_000)
    price = serializers.DecimalField(
        required=False, allow_null=True, max_digits=12, decimal_places=2, min_value=0
    )
    currency = serializers.CharField(required=False, allow_blank=True, max_length=3)
    url = serializers.CharField(required=False, allow_blank=True, max_length=500)
    is_available = serializers.BooleanField(required=False)


class ProductsResult(Output):
    created = serializers.IntegerField()
    updated = serializers.IntegerField()
    unchanged = serializers.IntegerField()
    refused = serializers.IntegerField()
    results = bulk.ItemResult(many=True, help_text="Refused items and those with values left out")


class ProductOutput(Output):
    sku = serializers.CharField()
    name = serializers.CharField()
    noun_phrase = serializers.CharField()
    category = serializers.CharField()
    description = serializers.CharField()
    price = serializers.DecimalField(max_digits=12, decimal_places=2, allow_null=True)
    currency = serializers.CharField()
    url = serializers.CharField()
    is_available = serializers.BooleanField()
    updated_at = serializers.DateTimeField()


class ProductQuery(ListQuery):
    category = serializers.CharField(required=False, max_length=80)
    is_available = serializers.BooleanField(required=False, allow_null=True, default=None)


class ProductsView(ApiView):
    required_scopes = {"POST": Scope.PROFILES_WRITE, "GET": Scope.PROFILES_READ}
    required_permissions = {"POST": "campaigns.change_product", "GET": "campaigns.view_product"}

    @operation(
        "upsert_products",
        tag="Products",
        summary="Create or update up to 1,000 products",
        body=bulk.envelope(ProductItem),
        answers={200: ProductsResult},
        write=True,
        example={
            "items": [
                {
                    "sku": "POT-6",
                    "name": "Moka pot",
                    "noun_phrase": "a moka pot",
                    "category": "coffee",
                    "price": "35.00",
                    "currency": "GBP",
                }
            ]
        },
        answer_example={"created": 1, "updated": 0, "unchanged": 0, "refused": 0, "results": []},
    )
    def post(self, request: Request) -> Response:
        """Good items are stored, bad ones reported. Item: sku and any of name, noun_phrase, category, description,
        price, currency, url, is_available."""

        def clean(fields: dict[str, Any]) -> tuple[products.ProductInput, list[Problem]]:
            return products.clean(products.ProductInput(**fields))

        sent = read(bulk.Items, request)
        checked = bulk.check(sent["items"], serializer=ProductItem, clean=clean, id_field="sku")
        stored = products.store(items=checked.good)
        body = {
            "created": stored.created,
            "updated": stored.updated,
            "unchanged": stored.unchanged,
            "refused": checked.refused,
            "results": checked.results,
        }
        return Response(body)

    @operation(
        "list_products",
        tag="Products",
        summary="The catalogue",
        query=ProductQuery,
        answers={200: page_of(ProductOutput)},
    )
    def get(self, request: Request) -> Response:
        query = read_query(ProductQuery, request)
        rows = Product.objects.all()
        if "category" in query:
            rows = rows.filter(category=query["category"])
        if query["is_available"] is not None:
            rows = rows.filter(is_available=query["is_available"])
        return list_response(rows, query=query, output=ProductOutput, request=request)
