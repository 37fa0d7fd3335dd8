"""The queue: order, filters, decisions over many, and a number of queries that does not grow."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.messages import get_messages
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from generation import review
from generation.admin import seen
from generation.models import Piece, Status
from tests import factories

ClientOf = Callable[[str], Client]
LIST = "/admin/generation/piece/"


def told(response: Any) -> str:
    return " ".join(str(message) for message in get_messages(response.wsgi_request))


def queries(client: Client, url: str) -> int:
    client.get(url)  # content types and permissions are remembered after the first
    with CaptureQueriesContext(
        connection,
    ) as seen:
        assert client.get(url).status_code == 200
    return len(seen)


@pytest.mark.parametrize(
    "url",
    [
        LIST,
        "/admin/campaigns/run/",
        "/admin/campaigns/campaign/",
        "/admin/campaigns/profile/",
        "/admin/delivery/delivery/",
        "/admin/",
    ],
)
def test_queries_do_not_grow_with_rows(url: str, client_of: ClientOf, world: SimpleNamespace) -> None:
    client = client_of("superuser")
    few = queries(client, url)
    for _ in range(8):
        piece = factories.PieceFactory(run=world.run, warnings=1)
        factories.FindingFactory(piece=piece)
        gone = factories.PieceFactory(run=world.run, status=Status.DELIVERED)
        factories.DeliveryFactory(piece=gone)
        factories.RunFactory(campaign=factories.CampaignFactory())
    assert queries(client, url) == few <= 32


def test_a_desk_asks_a_constant_number(client_of: ClientOf, world: SimpleNamespace) -> None:
    client = client_of("Reviewers")
    url = f"{LIST}{world.piece.pk}/change/"
    few = queries(client, url)
    for _ in range(10):
        factories.FindingFactory(piece=world.piece)
        factories.PieceEventFactory(piece=world.piece)
        factories.PieceFactory(run=world.run)
    assert queries(client, url) == few <= 25


def test_the_riskiest_come_first_and_only_what_waits(client_of: ClientOf, world: SimpleNamespace) -> None:
    blocked = factories.PieceFactory(run=world.run, blocking=2)
    warned = factories.PieceFactory(run=world.run, warnings=1)
    shown = client_of("Reviewers").get(LIST).content.decode()
    order = [int(pk) for pk in dict.fromkeys(re.findall(rf"{LIST}(\d+)/change/", shown))]
    assert order == [blocked.pk, warned.pk, world.piece.pk]
    assert "A pan for the fire" in shown and "Cast iron is 15% off" in shown  # values are in


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("findings=blocking", 1),
        ("findings=clean", 1),
        ("channel=sms", 0),
        ("status=approved", 1),
        ("status=all", 5),  # a planted piece that was missed among them
        ("rule=avoided_word", 1),
    ],
)
def test_filters(query: str, count: int, client_of: ClientOf, world: SimpleNamespace) -> None:
    blocked = factories.PieceFactory(run=world.run, blocking=1)
    factories.FindingFactory(piece=blocked)
    shown = client_of("Reviewers").get(f"{LIST}?{query}").content.decode()
    assert len(set(re.findall(rf"{LIST}(\d+)/change/", shown))) == count


def confirmation(client: Client, url: str, action: str, ids: list[int], across: int = 0) -> dict[str, Any]:
    """What the first page posts on: its hidden fields."""
    data = {"action": action, "index": "0", "select_across": str(across), "_selected_action": ids}
    response = client.post(url, data)
    assert response.status_code == 200, response
    return {**data, "seen": response.context["seen"], "page": response.content.decode()}


def test_bulk_approves_a_selection_with_a_result_for_each(
    client_of: ClientOf, world: SimpleNamespace
) -> None:
    blocked = factories.PieceFactory(run=world.run, blocking=1)
    second = factories.PieceFactory(run=world.run)
    client = client_of("Reviewers")
    data = confirmation(client, LIST, "approve_all", [world.piece.pk, second.pk, blocked.pk])
    assert "Approve 3 pieces?" in data.pop("page")
    assert Piece.objects.filter(status=Status.IN_REVIEW).count() == 3  # asking decides nothing
    response = client.post(LIST, data)
    assert "2 approved" in told(response) and "1 blocked" in told(response)
    assert Piece.objects.get(pk=second.pk).status == Status.APPROVED
    assert Piece.objects.get(pk=blocked.pk).status == Status.IN_REVIEW


def test_bulk_over_everything_that_matches(client_of: ClientOf, world: SimpleNamespace) -> None:
    """More than one page: the filter decides, and nothing outside it is touched."""
    mine = [factories.PieceFactory(run=world.run).pk for _ in range(60)]
    Piece.objects.filter(pk=world.piece.pk).update(warnings=1)
    client = client_of("Reviewers")
    url = f"{LIST}?findings=clean&run={world.run.pk}"
    data = confirmation(client, url, "approve_all", mine[:1], across=1)
    assert "Approve 60 pieces?" in data.pop("page")
    assert "60 approved" in told(client.post(url, data))
    assert Piece.objects.filter(pk__in=mine, status=Status.APPROVED).count() == 60
    assert Piece.objects.get(pk=world.piece.pk).status == Status.IN_REVIEW


def test_what_was_shown_is_what_is_decided(
    client_of: ClientOf, world: SimpleNamespace, roles: dict[str, User]
) -> None:
    """What came since stays, what was edited since stays and is named with the reason; the rest is decided."""
    edited, blocked, last = (factories.PieceFactory(run=world.run) for _ in range(3))
    client = client_of("Reviewers")
    data = confirmation(client, LIST, "approve_all", [world.piece.pk], across=1)
    assert "Approve 4 pieces?" in data.pop("page")
    late = factories.PieceFactory(run=world.run)  # arrived between the page and the click
    fields = {**edited.fields, "subject": "Something else"}
    review.edit(piece_id=edited.pk, revision=1, fields=fields, by=roles["Writers"])
    Piece.objects.filter(pk=blocked.pk).update(blocking=1)
    response = client.post(LIST, data)
    assert "2 approved, 1 had changed, 1 blocked by findings." in told(response)
    page = response.content.decode()
    assert "has a new text since you saw it" in page and f"/piece/{edited.pk}/change/" in page
    approved = set(Piece.objects.filter(status=Status.APPROVED).values_list("pk", flat=True))
    assert approved == {world.approved.pk, world.piece.pk, last.pk}
    assert late.pk not in approved


def test_what_was_shown_is_for_one_person_and_cannot_be_made_up(
    client_of: ClientOf, world: SimpleNamespace, roles: dict[str, User]
) -> None:
    client = client_of("Reviewers")
    data = confirmation(client, LIST, "approve_all", [world.piece.pk])
    shown = {world.piece.pk: 1}
    of_another = seen.packed(shown, roles["superuser"], question="approve")
    for_rejection = seen.packed(shown, roles["Reviewers"], question="reject")
    for field in ("x", data["seen"][:-2], of_another, for_rejection):
        response = client.post(LIST, {**data, "seen": field})
        assert "Look again" in told(response) and b"Approve 1 piece?" in response.content
    assert Piece.objects.get(pk=world.piece.pk).status == Status.IN_REVIEW


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.integers(1, 2**40), st.integers(0, 2**31 - 1), max_size=50))
def test_what_was_shown_comes_back_as_it_was(revisions: dict[int, int]) -> None:
    person = User(pk=7)
    assert seen.unpacked(seen.packed(revisions, person, question="a"), person, question="a") == revisions
    assert seen.unpacked(seen.packed(revisions, person, question="a"), person, question="b") is None


def test_many_fit_into_a_form() -> None:
    person = User(pk=7)
    field = seen.packed({3 * n + n % 7: 1 + n % 2 for n in range(seen.MOST)}, person, question="approve")
    assert len(field) < 3_000_000  # DATA_UPLOAD_MAX_MEMORY_SIZE is 10 MB


def test_a_text_that_comes_while_the_page_is_made_was_not_shown(
    client_of: ClientOf, world: SimpleNamespace, roles: dict[str, User]
) -> None:
    """The openings on the page are read after the list that is signed, never before it."""
    client = client_of("Reviewers")
    edited: list[int] = []

    def edit_before_the_sample(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if not edited and "COUNT" in sql and '"review_policy"' in sql:
            edited.append(world.piece.pk)
            fields = {**world.piece.fields, "subject": "Something else"}
            review.edit(piece_id=world.piece.pk, revision=1, fields=fields, by=roles["Writers"])
        return execute(sql, params, many, context)

    with connection.execute_wrapper(edit_before_the_sample):
        data = confirmation(client, LIST, "approve_all", [world.piece.pk])

    assert edited
    assert "1 had changed" in told(client.post(LIST, data))
    assert Piece.objects.get(pk=world.piece.pk).status == Status.IN_REVIEW


def test_bulk_rejection_needs_a_reason(client_of: ClientOf, world: SimpleNamespace) -> None:
    client = client_of("Reviewers")
    data = confirmation(client, LIST, "reject_all", [world.piece.pk])
    data.pop("page")
    assert "Choose a reason" in told(client.post(LIST, data))
    assert "1 rejected" in told(client.post(LIST, {**data, "reason": "voice"}))


def test_only_reviewers_decide_in_bulk(
    client_of: ClientOf, world: SimpleNamespace, roles: dict[str, User]
) -> None:
    data = {
        "action": "approve_all",
        "index": "0",
        "select_across": "1",
        "_selected_action": [world.piece.pk],
    }
    for role in ("Writers", "Senders", "Operators"):
        field = seen.packed({world.piece.pk: 1}, roles[role], question="approve")
        client_of(role).post(LIST, {**data, "seen": field})
        assert Piece.objects.get(pk=world.piece.pk).status == Status.IN_REVIEW, role


def test_an_empty_queue_says_what_to_do(client_of: ClientOf) -> None:
    shown = client_of("Reviewers").get(LIST).content.decode()
    assert "Nothing waits for a decision" in shown


def test_the_page_says_which_pieces_a_bulk_approval_leaves(
    client_of: ClientOf, world: SimpleNamespace
) -> None:
    strict = factories.PieceFactory(run__campaign=factories.CampaignFactory(review_policy="read_all"))
    warned = factories.PieceFactory(run=world.run, warnings=1)
    client = client_of("Reviewers")
    data = confirmation(client, LIST, "approve_all", [world.piece.pk, strict.pk, warned.pk])
    page = data.pop("page")
    assert "Of campaigns that want every piece read" in page and "open each and decide there" in page
    assert "1 approved, 2 not allowed" in told(client.post(LIST, data))


def test_the_queue_calls_nobody_by_what_is_no_name(client_of: ClientOf, world: SimpleNamespace) -> None:
    type(world.profile).objects.filter(pk=world.piece.profile_id).update(first_name="www.win.example")
    Piece.objects.filter(pk=world.piece.pk).update(
        fields={**world.piece.fields, "subject": "Hi {{first_name}}, the pan is here"}
    )
    page = client_of("Reviewers").get(LIST).content.decode()
    assert "the pan is here" in page and "Hi www.win.example" not in page
