"""Every factory makes a row the database and the model's own validation accept."""

from __future__ import annotations

import pytest
from factory.django import DjangoModelFactory

from generation.models import Status
from tests import factories

FACTORIES = sorted(
    (
        found
        for found in vars(factories).values()
        if isinstance(found, type)
        and issubclass(found, DjangoModelFactory)
        and found is not DjangoModelFactory
    ),
    key=lambda found: found.__name__,
)


@pytest.mark.django_db
@pytest.mark.parametrize("made_by", FACTORIES, ids=lambda found: found.__name__)
def test_each_factory_makes_valid_rows(made_by: type[DjangoModelFactory]) -> None:
    for row in (made_by(), made_by()):
        row.refresh_from_db()
        # `blank` speaks of forms; what no form shows may be empty where null or a default allows it.
        unasked = [f.name for f in row._meta.concrete_fields if not f.blank and (f.null or f.has_default())]
        row.full_clean(exclude=unasked)


@pytest.mark.django_db
@pytest.mark.parametrize("status", Status.values)
def test_a_piece_can_be_made_in_every_status(status: str) -> None:
    piece = factories.PieceFactory(status=status)
    piece.full_clean()
    assert piece.status == status
    assert bool(piece.claim) == (status == Status.GENERATING)


@pytest.mark.django_db
@pytest.mark.parametrize("channel", factories._FIELDS_BY_CHANNEL)
def test_a_piece_can_be_made_for_every_channel(channel: str) -> None:
    assert factories.PieceFactory(channel=channel).fields


def test_no_model_of_ours_lacks_a_factory() -> None:
    from django.apps import apps

    made = {found._meta.model for found in FACTORIES}
    ours = [
        model
        for name in ("core", "campaigns", "generation", "delivery")
        for model in apps.get_app_config(name).get_models()
    ]
    assert [model.__name__ for model in ours if model not in made] == []
