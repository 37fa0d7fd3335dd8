"""One piece now: at once, later, and asked for again."""

from __future__ import annotations

import threading
import time

import pytest
from django.db import connection

from campaigns.models import RunTrigger
from delivery.api import pieces as compose
from generation import drafting
from generation.models import Piece
from personalize.core.models import IdempotencyRecord

BODY = {"campaign": "spring", "profile": "c-0", "channel": "email"}


@pytest.mark.django_db
def test_without_waiting_the_answer_says_where_to_look(api, world, writer):
    answer = api.post("compose", BODY)

    assert answer.status_code == 202 and answer["Retry-After"]
    piece = Piece.objects.get(run__trigger=RunTrigger.COMPOSE)
    assert answer["Location"] == f"/api/v1/pieces/{piece.pk}"
    assert (answer.json()["status"], answer.json()["filled"]) == ("draft", None)
    assert drafting.write_piece(piece_id=piece.pk)
    assert api.get(f"pieces/{piece.pk}").json()["status"] == "in_review"


@pytest.mark.django_db(transaction=True)
def test_waiting_answers_the_written_piece(api, world, writer):
    def write_soon():
        try:
            for _ in range(100):
                piece = Piece.objects.filter(run__trigger=RunTrigger.COMPOSE).first()
                if piece and drafting.write_piece(piece_id=piece.pk):
                    return
                time.sleep(0.05)
        finally:
            connection.close()

    worker = threading.Thread(target=write_soon)
    worker.start()
    answer = api.post("compose", BODY, Prefer="respond-async, wait=10")
    worker.join()

    assert answer.status_code == 201 and answer["Preference-Applied"] == "wait=10"
    assert answer.json()["status"] == "in_review" and answer.json()["filled"]["subject"]


@pytest.mark.django_db
def test_time_over_is_a_202(api, world, writer, monkeypatch):
    monkeypatch.setattr(compose, "MOST_WAIT_SECONDS", 1)
    started = time.monotonic()

    answer = api.post("compose", BODY, Prefer="wait=60")

    assert answer.status_code == 202 and answer["Preference-Applied"] == "wait=1"
    assert 0.9 < time.monotonic() - started < 5


@pytest.mark.django_db
def test_repeat_makes_no_second_piece_and_answers_what_is_true_by_then(api, world, writer):
    first = api.post("compose", BODY, Idempotency_Key="c-1")
    drafting.write_piece(piece_id=first.json()["id"])
    again = api.post("compose", BODY, Idempotency_Key="c-1", Prefer="wait=1")

    assert Piece.objects.filter(run__trigger=RunTrigger.COMPOSE).count() == 1
    assert (first.status_code, again.status_code) == (202, 201)
    assert again["Idempotent-Replayed"] == "true"
    assert again.json()["status"] == "in_review"
    # What is stored for replays holds no text and no name.
    assert IdempotencyRecord.objects.get().body == {"id": first.json()["id"]}


@pytest.mark.django_db
def test_readers_who_may_not_be_written_to_are_refused(api, world, writer):
    api.put("profiles/silent", {"email": "silent@reader.example"})

    assert api.post("compose", {**BODY, "profile": "silent"}).json()["type"] == "/problems/not_reachable"
    assert api.post("compose", {**BODY, "profile": "nobody"}).status_code == 404
    assert api.post("compose", {**BODY, "campaign": "nobody"}).status_code == 404
    assert api.post("compose", {**BODY, "channel": "google_rsa"}).status_code == 400
    assert not Piece.objects.filter(run__trigger=RunTrigger.COMPOSE).exists()


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("", 0), ("wait=5", 5), ('wait="5"', 5), ("respond-async, wait = 7", 7), ("wait=99999", 20), ("wait=-1", 0),
     ("wait=1e9", 0), ("await=5", 0), ("wait=" + "9" * 100, 0), ("\x00wait=3", 0)],
)  # fmt: skip
def test_prefer_is_read_carefully(header, seconds):
    class Request:
        headers = {"Prefer": header}

    assert compose._wait_of(Request()) == seconds
