"""Who changes a thing says which version they saw; nobody's change is lost in silence."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime

import pytest
from django.db import connection
from rest_framework.response import Response

from campaigns.models import Campaign, Profile
from personalize.core import preconditions
from personalize.core.operations import Deprecation, _announcing

PERSON = "profiles/c-0"


@pytest.mark.django_db
@pytest.mark.parametrize("path", [PERSON, "campaigns/spring", "pieces/{piece}", "webhooks/{webhook}"])
def test_one_thing_has_a_tag_and_is_not_sent_twice(path, api, world):
    path = path.format(piece=world.piece.pk, webhook=world.webhook.pk)
    first = api.get(path)
    again = api.get(path, If_None_Match=first["ETag"])

    assert first.status_code == 200 and first["ETag"].startswith('"')
    assert (again.status_code, again.content, again["ETag"]) == (304, b"", first["ETag"])
    assert api.get(path, If_None_Match='"other", W/' + first["ETag"]).status_code == 304
    assert api.get(path, If_None_Match='"other"').status_code == 200


@pytest.mark.django_db
def test_only_the_version_that_was_seen_is_changed(api, world):
    seen = api.get(PERSON)["ETag"]
    changed = api.put(PERSON, {"first_name": "Bo"}, If_Match=seen)
    assert changed.status_code == 200 and changed["ETag"] == api.get(PERSON)["ETag"] != seen

    late = api.put(PERSON, {"first_name": "Cy"}, If_Match=seen)
    assert (late.status_code, late.json()["type"]) == (412, "/problems/precondition_failed")
    assert late["ETag"] == changed["ETag"]
    assert Profile.objects.get(external_id="c-0").first_name == "Bo"
    assert api.delete(PERSON, If_Match=seen).status_code == 412
    assert api.put(PERSON, {"first_name": "Cy"}, If_Match="W/" + changed["ETag"]).status_code == 412
    assert api.put(PERSON, {"first_name": "Cy"}, If_Match=f'"a", {changed["ETag"]}').status_code == 200
    assert api.delete(PERSON, If_Match="*").status_code == 204
    assert api.put(PERSON, {"first_name": "Cy"}, If_Match="*").status_code == 412  # there is nobody


@pytest.mark.django_db
def test_new_ones_only(api, world):
    assert api.put("profiles/n-1", {"first_name": "Bo"}, If_None_Match="*").status_code == 201
    assert api.put("profiles/n-1", {"first_name": "Cy"}, If_None_Match="*").status_code == 412
    assert Profile.objects.get(external_id="n-1").first_name == "Bo"


@pytest.mark.django_db
def test_campaigns_and_endpoints_too(api, world):
    for path, change in (
        ("campaigns/spring", {"cta": "Look"}),
        (f"webhooks/{world.webhook.pk}", {"name": "New"}),
    ):
        seen = api.get(path)["ETag"]
        assert api.patch(path, change, If_Match='"0123"').status_code == 412
        changed = api.patch(path, change, If_Match=seen)
        assert changed.status_code == 200 and changed["ETag"] == api.get(path)["ETag"]
        assert api.patch(path, change, If_Match=seen).status_code == 412


@pytest.mark.django_db
def test_a_system_may_demand_it(api, world, settings):
    settings.API_REQUIRE_IF_MATCH = True
    refused = api.patch("campaigns/spring", {"cta": "Look"})

    assert (refused.status_code, refused.json()["type"]) == (428, "/problems/precondition_required")
    seen = api.get("campaigns/spring")["ETag"]
    assert api.patch("campaigns/spring", {"cta": "Look"}, If_Match=seen).status_code == 200
    assert api.put(PERSON, {"first_name": "Bo"}).status_code == 200  # a sync needs none


@pytest.mark.django_db
@pytest.mark.parametrize(
    "header", ["", "abc", '"abc', '"a" "b"', 'w/"a"', '"a",,"b"', '"\x7f"', '"a"' + ',"b"' * 2000]
)
def test_what_is_no_tag_is_refused(header, api, world):
    assert api.put(PERSON, {"first_name": "Bo"}, If_Match=header).status_code in (400, 412)
    assert Profile.objects.get(external_id="c-0").first_name == "Ada"


@pytest.mark.django_db
def test_another_condition_is_another_request(api, world):
    seen = api.get(PERSON)["ETag"]
    body = {"first_name": "Bo"}
    assert api.put(PERSON, body, If_Match=seen, Idempotency_Key="k-1").status_code == 200
    again = api.put(PERSON, body, If_Match=seen, Idempotency_Key="k-1")
    assert again.status_code == 200 and again["Idempotent-Replayed"] == "true" and again["ETag"]
    assert api.put(PERSON, body, Idempotency_Key="k-1").status_code == 422


@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_one_wins(client_for, world):
    seen = client_for().get("campaigns/spring")["ETag"]

    def change(number):
        try:
            answer = client_for().patch("campaigns/spring", {"cta": f"Look {number}"}, If_Match=seen)
            return answer.status_code, f"Look {number}"
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(change, range(12)))

    assert sorted(status for status, _ in answers) == [200] + [412] * 11
    (winner,) = [text for status, text in answers if status == 200]
    assert Campaign.objects.get(slug="spring").cta == winner


def test_a_tag_is_of_what_is_seen_alone():
    assert preconditions.etag({"a": 1, "b": 2}) == preconditions.etag({"b": 2, "a": 1})
    assert preconditions.etag({"a": 1}) != preconditions.etag({"a": "1"})


def test_what_is_to_go_says_so_and_in_time():
    going = Deprecation(since=date(2026, 1, 1), sunset=date(2026, 9, 1), instead="/api/v1/new")
    answer = _announcing(lambda: Response({}), going)()

    assert answer["Deprecation"] == f"@{int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())}"
    assert answer["Sunset"] == "Tue, 01 Sep 2026 00:00:00 GMT"
    assert answer["Link"] == '</api/v1/new>; rel="successor-version"'
    with pytest.raises(ValueError):
        Deprecation(since=date(2026, 1, 1), sunset=date(2026, 5, 1), instead="/x")
