"""A marketer builds a segment line by line, with a script or without one."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest
from django.test import Client

from campaigns.models import Segment
from tests.factories import EventFactory, ProfileFactory, unit_vector

ClientOf = Callable[[str], Client]
pytestmark = pytest.mark.django_db


def test_a_segment_is_built_by_buttons_alone(client_of: ClientOf, world: SimpleNamespace) -> None:
    """As a browser without a script: each button sends the form, and nothing is stored before Save."""
    client, url = client_of("Writers"), "/admin/campaigns/segment/add/"
    ProfileFactory(lifecycle="lapsed", external_id="seen@postbox.example")
    before = Segment.objects.count()
    form = {"name": "Lapsed", "slug": "lapsed", "like_text": "", "like_count": "1000", "n.r.mode": "all"}

    page = client.post(url, form | {"do": "add:r"}).content.decode()
    assert 'name="n.r.0.what"' in page and 'data-focus="r.0"' in page
    form["n.r.0.what"] = "lifecycle"
    page = client.post(url, form | {"do": "look"}).content.decode()
    assert 'name="n.r.0.op"' in page and "Not saved yet" not in page
    form |= {"n.r.0.op": "is", "n.r.0.value": "lapsed"}
    page = client.post(url, form | {"do": "look"}).content.decode()
    assert "People whose lifecycle is lapsed" in page and ">1</b> person" in page
    assert "seen@postbox.example" not in page  # a sample shows no address, not even one used as an id
    assert Segment.objects.count() == before

    assert client.post(url, form | {"do": "save"}).status_code == 302
    made = Segment.objects.get(slug="lapsed")
    assert made.filter == {"all": [{"field": "lifecycle", "op": "is", "value": "lapsed"}]}
    assert made.created_by is not None and made.created_by.username == "writer"


def test_the_script_gets_the_changed_parts(client_of: ClientOf, world: SimpleNamespace) -> None:
    client, url = client_of("Writers"), f"/admin/campaigns/segment/{world.segment.pk}/change/"
    EventFactory(name="<b>viewed")
    form = {"do": "group:r", "n.r.mode": "any", "n.r.0.what": "did", "n.r.0.event": "purchased"}
    answer = client.post(url, form, headers={"X-Fragment": "1"}).json()
    assert set(answer) == {"builder", "look", "focus"} and answer["focus"] == "r.1.0"
    assert "&lt;b&gt;viewed" in answer["builder"] and "<b>viewed" not in answer["builder"]
    assert "who did &#x27;purchased&#x27;" in answer["look"]


def test_what_is_wrong_is_said_at_its_line(client_of: ClientOf, world: SimpleNamespace) -> None:
    client, url = client_of("Writers"), f"/admin/campaigns/segment/{world.segment.pk}/change/"
    was = Segment.objects.get(pk=world.segment.pk)
    form = {
        "name": "x", "slug": "x", "like_count": "10", "n.r.mode": "all", "n.r.0.what": "attributes.password",
        "n.r.0.op": "is", "n.r.0.value": "x", "n.r.1.what": "", "n.r.2.what": "did", "n.r.2.event": "DROP TABLE",
    }  # fmt: skip
    page = client.post(url, form | {"do": "save"}).content.decode()
    assert "Not saved yet" in page and page.count("pz-seg-wrong") == 3
    assert "is not a field that people may be chosen by" in page
    now = Segment.objects.get(pk=world.segment.pk)
    assert (now.name, now.filter, now.updated_at) == (was.name, was.filter, was.updated_at)


def test_json_may_be_pasted_and_is_checked(client_of: ClientOf, world: SimpleNamespace) -> None:
    client, url = client_of("Writers"), f"/admin/campaigns/segment/{world.segment.pk}/change/"
    good = '{"any": [{"did": "purchased", "at_least": 2}, {"field": "locale", "op": "starts_with", "value": "en"}]}'
    page = client.post(url, {"do": "json", "json": good}).content.decode()
    assert 'name="n.r.1.value" value="en"' in page
    for bad in ('{"field": "password", "op": "is", "value": "x"}', "{", "[" * 5_000):
        page = client.post(url, {"do": "json", "json": bad}).content.decode()
        assert 'role="alert"' in page


def test_readers_see_the_sentence_and_no_form(client_of: ClientOf, world: SimpleNamespace) -> None:
    url = f"/admin/campaigns/segment/{world.segment.pk}/change/"
    page = client_of("Reviewers").get(url).content.decode()
    assert "people right now" in page or "person right now" in page
    assert 'id="segment-form"' not in page
    assert client_of("Reviewers").post(url, {"do": "look"}).status_code == 403


def test_new_words_forget_the_old_ones_neighbours(client_of: ClientOf, world: SimpleNamespace) -> None:
    Segment.objects.filter(pk=world.segment.pk).update(
        like_text="cooks outdoors", like_vector=unit_vector(1), like_hash="h"
    )
    client, url = client_of("Writers"), f"/admin/campaigns/segment/{world.segment.pk}/change/"
    form = {"name": "x", "slug": "x", "like_text": "cooks outdoors", "like_count": "10", "n.r.mode": "all"}
    assert client.post(url, form | {"do": "save_and_stay"}).status_code == 302
    assert Segment.objects.get(pk=world.segment.pk).like_hash == "h"
    assert client.post(url, form | {"do": "save", "like_text": "bakes bread"}).status_code == 302
    assert Segment.objects.get(pk=world.segment.pk).like_vector is None
