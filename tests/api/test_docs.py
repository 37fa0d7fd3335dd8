"""docs/api.md: every example runs and answers what the page says, every operation and problem type is there."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.urls import get_resolver, resolve

from campaigns import people
from campaigns.models import Run, RunTrigger
from delivery.models import WebhookEndpoint
from generation import drafting
from generation.models import Piece
from personalize.core import api_keys, problems
from personalize.core.errors import DomainError
from personalize.core.models import Scope
from tests.api.world import OPERATIONS, exported
from tests.factories import AttributeDefinitionFactory, BrandFactory

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "api.md").read_text()
EXAMPLE = re.compile(r"```sh\n(curl .*?)\n# (\d{3})([^\n]*)\n```(?:\n```json\n(.*?)\n```)?", re.DOTALL)


def test_every_example_does_what_the_page_says(api, writer):
    BrandFactory(slug="lumen")
    AttributeDefinitionFactory(name="lives_near", label="Lives near")
    agreed = people.ConsentInput(channel="email", status="given", source="form")
    people.upsert(
        items=[
            people.ProfileInput(external_id=f"r-{n}", email=f"r{n}@reader.example", consents=[agreed])
            for n in range(6)
        ],
        source="test",
    )
    done = set()
    examples = list(EXAMPLE.finditer(PAGE))

    for found in examples:
        command, status, header, answer = found.groups()
        method, path, body, headers = parse(command)
        response = api.call(method, path, raw=body.encode(), **headers)
        assert response.status_code == int(status), (command, response.content)
        if header.strip():
            name, value = header.strip().split(": ")
            assert response[name] == value, command
        if answer:
            assert_holds(json.loads(answer), response.json(), command)
        done.add((method, resolve(f"/api/v1/{path.split('?')[0]}").route.removeprefix("api/v1/")))
        if run := latest_run():
            drafting.write_chunk(run_id=run.pk)

    assert done == {(operation.method, operation.route) for operation in OPERATIONS}
    assert len(examples) == PAGE.count("\ncurl ")


def parse(command):
    words = shlex.split(command.replace("\\\n", " "))
    method, url, body, headers = "GET", "", "", {}
    rest = iter(words[1:])
    for word in rest:
        match word:
            case "-X":
                method = next(rest)
            case "-d":
                body = next(rest)
            case "-H":
                text = next(rest)
                if ": " in text:
                    name, value = text.split(": ", 1)
                    headers[name.replace("-", "_")] = value
            case _:
                url = word
    return method, fill(url).removeprefix("$API/"), body, headers


def fill(url):
    """The ids a reader of the page would have from the answers before."""
    if webhook := WebhookEndpoint.objects.first():
        url = url.replace("$WEBHOOK", str(webhook.pk))
    run = latest_run()
    if run is None:
        return url
    pieces = Piece.objects.filter(run=run, revision=1).order_by("pk")
    open_one, decided = pieces.filter(status="in_review").first(), pieces.filter(status="rejected").first()
    if "$FILE" in url:
        url = url.replace("$FILE", str(exported(run)))
    url = url.replace("$RUN", str(run.pk)).replace("$PIECE", str(open_one.pk if open_one else 0))
    return url.replace("$DECIDED", str(decided.pk if decided else 0))


def latest_run():
    return Run.objects.filter(trigger=RunTrigger.API).order_by("-pk").first()


def assert_holds(expected, actual, where):
    """What the page shows is there; the answer may hold more."""
    if isinstance(expected, dict):
        for name, value in expected.items():
            assert name in actual, (where, name)
            assert_holds(value, actual[name], where)
    elif isinstance(expected, list) and expected:
        assert len(actual) == len(expected), (where, actual)
        for one, other in zip(expected, actual, strict=True):
            assert_holds(one, other, where)
    else:
        assert actual == expected, (where, actual)


def test_every_type_of_problem_is_explained():
    get_resolver().url_patterns  # noqa: B018  (loads every service, and so every kind of problem)
    rows = {
        code for line in PAGE.splitlines() if line.startswith("| `") for code in re.findall(r"`(\w+)`", line)
    }
    codes = {
        kind.code for kind in problems._domain_errors(DomainError) if kind.__module__.split(".")[0] != "tests"
    }

    assert codes | set(problems.TYPES) <= rows
    for code in codes:
        assert problems.find_type(code).title != code, f"{code}: give its class a docstring"


def test_statuses_of_problems_on_the_page_are_those_of_the_code():
    for line in PAGE.splitlines():
        found = re.match(r"\| (`.*?`(?:, `.*?`)*) \| (\d{3}) \|", line)
        if found:
            for code in re.findall(r"`(\w+)`", found[1]):
                assert problems.find_type(code).status == int(found[2]), code


def test_scopes_and_permissions_on_the_page_are_those_of_the_code():
    for scope in Scope:
        row = next(line for line in PAGE.splitlines() if line.startswith(f"| `{scope}` |"))
        named = set(re.findall(r"`(\w+\.\w+)`", row))
        assert named == set(api_keys.PERMISSIONS[scope])


def test_addresses_on_the_page_exist():
    for path in re.findall(r"`(/[a-z/]+)(?:\?[^`]*)?`", PAGE):
        if path.startswith(("/health", "/metrics", "/api/schema")):
            assert resolve(urlsplit(path).path)


pytestmark = pytest.mark.django_db
