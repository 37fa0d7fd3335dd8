"""The description of the API is checked in, complete, and without a warning."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from django.core.management import call_command

from tests.api.world import OPERATIONS

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture(scope="module")
def schema(tmp_path_factory):
    path = tmp_path_factory.mktemp("schema") / "openapi.yaml"
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(path))
    return path.read_text()


def test_checked_in_description_is_what_the_code_says(schema):
    checked_in = (DOCS / "openapi.yaml").read_text()

    assert checked_in == schema, (
        "Run: python manage.py spectacular --validate --fail-on-warn --file docs/openapi.yaml"
    )


def test_description_is_openapi_3_1_with_every_operation(schema):
    document = yaml.safe_load(schema)
    named = {
        operation["operationId"]: (method, operation)
        for methods in document["paths"].values()
        for method, operation in methods.items()
        if method in {"get", "post", "put", "patch", "delete"}
    }

    assert document["openapi"].startswith("3.1")
    assert set(named) == {operation.name for operation in OPERATIONS}
    for operation in OPERATIONS:
        method, described = named[operation.name]
        assert method.upper() == operation.method
        assert described["summary"] and described["tags"]
        assert {"400", "401", "403"} <= set(described["responses"])
        for status, response in described["responses"].items():
            if int(status) >= 400 and status != "414":  # that is the web server's own
                assert list(response["content"]) == ["application/problem+json"]
        headers = [p["name"] for p in described.get("parameters", []) if p["in"] == "header"]
        assert ("Idempotency-Key" in headers) == (operation.method != "GET")
        assert described["security"] == [{"apiKey": []}]


@pytest.mark.django_db
def test_description_is_served_without_a_key(client):
    answer = client.get("/api/schema", headers={"Accept": "application/json"})

    assert answer.status_code == 200 and answer.json()["openapi"].startswith("3.1")
    assert "openapi: 3.1" in client.get("/api/schema").content.decode()


def test_examples_of_the_description_are_accepted_by_the_code(schema):
    """Each request example has only fields that its schema knows."""
    document = yaml.safe_load(schema)
    for methods in document["paths"].values():
        for operation in methods.values():
            content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            for example in content.get("examples", {}).values():
                name = content["schema"]["$ref"].rsplit("/", 1)[1]
                known = document["components"]["schemas"][name]["properties"]
                assert set(example["value"]) <= set(known), operation["operationId"]
