"""Every role, every action, every state of a piece: each cell is called and held to the table."""

from __future__ import annotations

import inspect
import itertools
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.management import CommandError, call_command
from django.db import transaction

from delivery import rights, sending
from delivery.management.commands import rights_table, setup_roles
from delivery.models import DeliveryStatus
from generation import review, transitions
from generation.models import Piece, Status
from personalize.core.errors import DomainError, NotAllowed
from tests.factories import DeliveryFactory, PieceFactory, SuperuserFactory, UserFactory

ROLES = (*setup_roles.ROLES, "nobody", "superuser")


class _Undo(Exception):
    pass


@pytest.fixture
def people(db: None) -> dict[str, Any]:
    setup_roles.setup()
    found = {name: UserFactory(username=name.lower()) for name in ROLES if name != "superuser"}
    for name in setup_roles.ROLES:
        found[name].groups.add(Group.objects.get(name=name))
    return {**found, "superuser": SuperuserFactory()}


def piece_in(status: Status, action: rights.Action) -> Piece:
    """A piece as it comes to that state on the road where the action, if any, applies."""
    sent = action.permission == rights.SEND
    given: dict[str, Any] = {"approved_hash": "a" * 64} if sent and status == Status.FAILED else {}
    piece = PieceFactory(status=status, **given)
    if sent:
        ended = DeliveryStatus.UNKNOWN if status == Status.UNKNOWN else DeliveryStatus.FAILED
        DeliveryFactory(piece=piece, status=ended)
    return Piece.objects.get(pk=piece.pk)


def tried(action: rights.Action, piece: Piece, by: Any) -> str:
    """What came of it: the new status, 'not allowed' or 'nothing to do'. Nothing of it stays."""
    said = ""
    try:
        with transaction.atomic():
            try:
                action.do(piece, by)
                said = Piece.objects.get(pk=piece.pk).status
            except NotAllowed:
                said = "not allowed"
            except DomainError:
                said = "nothing to do"
            raise _Undo
    except _Undo:
        return said


# Whose the brand of the piece is: everybody's, kept to all of these people, kept to somebody else.
OBJECTS = ("open", "theirs", "others")


def keep(piece: Piece, kept: str, people: dict[str, Any]) -> None:
    brand = piece.run.campaign.brand
    brand.only_for.set({"open": [], "theirs": people.values(), "others": [UserFactory()]}[kept])


@pytest.mark.parametrize("kept", OBJECTS)
@pytest.mark.parametrize("action", rights.ACTIONS, ids=lambda action: action.name)
def test_every_cell(action: rights.Action, kept: str, people: dict[str, Any]) -> None:
    wrong = {}
    for status in Status:
        piece = piece_in(status, action)
        keep(piece, kept, people)
        for role, by in people.items():
            allowed = role == "superuser" or (
                role != "nobody" and kept != "others" and rights_table.may(role, action)
            )
            expected = "not allowed" if not allowed else str(action.to.get(status, "nothing to do"))
            if (got := tried(action, piece, by)) != expected:
                wrong[role, str(status)] = f"{got}, not {expected}"
    assert wrong == {}


def test_no_cell_is_unlisted() -> None:
    """Each function that a person moves one piece by is an action; each arrow of an action is in the table."""
    listed = {action.name for action in rights.ACTIONS}
    for module in (review, sending):
        for name, function in inspect.getmembers(module, inspect.isfunction):
            taken = inspect.signature(function).parameters
            if {"piece_id", "by"} <= set(taken) and not name.startswith("_"):
                assert name in listed, f"{name} moves a piece: list it in rights.py"
    for action in rights.ACTIONS:
        for was, to in action.to.items():
            assert to in transitions.TRANSITIONS[was] or was == to, (action.name, was, to)
    cells = list(itertools.product(ROLES, listed, Status, OBJECTS))
    assert len(cells) == 8 * 9 * 10 * 3


def test_write_review_send_and_administer_are_apart() -> None:
    """No group of people holds two of them but by the reading that all share."""
    separate = {
        "generation.edit_piece", "generation.review_piece", "campaigns.send_campaign", "generation.plant_piece",
        "core.add_apikey",
    }  # fmt: skip
    for role, own in setup_roles.ROLES.items():
        assert len(separate & set(own)) <= 1, role


def test_the_page_is_up_to_date() -> None:
    try:
        call_command("rights_table", check=True)
    except CommandError as error:
        pytest.fail(str(error))
