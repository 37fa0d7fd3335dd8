"""Near-copies inside a run: found across chunks, named, and left alone where the readers are alike."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from generation import drafting
from generation.models import Finding, Piece
from generation.writer.types import Draft
from tests.factories import CampaignFactory
from tests.fakes import FakeWriter
from tests.generation import scenes

pytestmark = pytest.mark.django_db


def test_a_near_copy_for_another_reader_is_marked_and_names_its_twin(
    writer: FakeWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = (
        "The pan you looked at is back on the shelf, and it is cast in one piece in the foundry behind the shop. "
        "It works on every hob and in the oven, and it will outlast the kitchen that you put it in."
    )
    one, other, alike = (*scenes.readers(1), *scenes.readers(1), *scenes.readers(1))
    type(one).objects.filter(pk=one.pk).update(traits=["bakes bread"])
    type(one).objects.filter(pk__in=[other.pk, alike.pk]).update(traits=["fries fish"])
    run = scenes.launch(CampaignFactory())
    write = writer.write

    def repeat(*args: Any) -> list[Draft]:
        return [replace(draft, fields=draft.fields | {"body": body}) for draft in write(*args)]

    monkeypatch.setattr(writer, "write", repeat)
    drafting.write_chunk(run_id=run.pk, limit=1)  # the others meet it in the database
    drafting.write_chunk(run_id=run.pk)

    pieces = {p.profile_id: p for p in Piece.objects.filter(run=run)}
    marked = {f.piece_id: f.message for f in Finding.objects.filter(rule="repetition.copy")}
    first = min(pieces.values(), key=lambda p: p.written_at or p.created_at)
    assert first.pk not in marked and marked
    for pk, message in marked.items():
        twin = int(message.split("piece ")[1].split()[0])
        traits = {p.pk: p.reader["traits"] for p in pieces.values()}
        assert traits[pk] != traits[twin]
