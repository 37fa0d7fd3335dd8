"""What the pages of approval by sample show, as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import urlencode

from django.db.models import Count
from django.http import HttpRequest
from django.urls import reverse

from campaigns.models import Channel, Run
from generation.models import (
    Piece,
    Reading,
    RejectReason,
    Risk,
    SampleDraw,
    SamplePlan,
    SampleStratum,
    Status,
    StratumState,
)
from generation.review import sample_standing, sampling, sampling_plans
from generation.review.sample_groups import Groups
from generation.review.sample_standing import Standing
from generation.review.sampling_plans import Promise
from personalize.core.errors import DomainError, InvalidInput

CONFIDENCES = tuple(Decimal(n) / 100 for n in (90, 95, 99))
RATES = tuple(Decimal(n) / 100 for n in (10, 5, 2, 1))
TONES = {
    StratumState.OPEN: "info",
    StratumState.PASSED: "good",
    StratumState.FAILED: "bad",
    StratumState.DROPPED: "quiet",
}
READING_TONES = {Reading.GOOD: "good", Reading.BAD: "bad", Reading.TASTE: "warn", Reading.GONE: "quiet"}


def asked(given: Any) -> Promise:
    """The promise that an address or form asks for, in percent and in bad ones of 100. Raises InvalidInput."""
    shares = []
    for name, usual in (("confidence", sampling.CONFIDENCE), ("bad", sampling.DEFECT_RATE)):
        text = str(given.get(name) or "").strip().replace(",", ".")
        try:
            share = Decimal(text[:12]) / 100 if text else usual
        except InvalidOperation as error:
            raise InvalidInput("Give both as numbers, such as 95 and 5.", field=name) from error
        if not share.is_finite() or share != round(share, 4):
            raise InvalidInput("Give both with two decimal places at most.", field=name)
        shares.append(round(share, 4))
    return sampling.promised(*shares)


def asked_or_usual(request: HttpRequest) -> tuple[Promise, str]:
    """The promise of a page's address, with what is wrong with it."""
    try:
        return asked(request.GET), ""
    except DomainError as error:
        return Promise(sampling.CONFIDENCE, sampling.DEFECT_RATE), str(error)


def offers(groups: Groups, promise: Promise) -> list[dict[str, Any]]:
    """Each group as it could be drawn."""
    return [
        {
            "name": name_of(group.channel, group.segment),
            "version": group.version,
            "risk": Risk(group.risk),
            "size": group.size,
            "to_read": group.sample_size(promise),
            "words": sampling_plans.offer_in_words(group.size, promise),
        }
        for group in groups.groups
    ]


def prices(groups: Groups, promise: Promise) -> list[dict[str, Any]]:
    """What more or less certainty costs in reading: a row for each rate, a cell for each confidence."""
    return [
        {
            "rate": sampling_plans.in_hundred(rate),
            "cells": [
                {
                    "count": groups.to_read(Promise(confidence, rate)),
                    "link": "?"
                    + urlencode(
                        {
                            "confidence": sampling_plans.percent(confidence),
                            "bad": sampling_plans.percent(rate),
                        }
                    ),
                    "on": (confidence, rate) == (promise.confidence, promise.defect_rate),
                }
                for confidence in CONFIDENCES
            ],
        }
        for rate in RATES
    ]


def whole_offer(groups: Groups, promise: Promise) -> str:
    """The plan in one sentence, over all groups."""
    read, covered = groups.to_read(promise), groups.covered
    if len(groups.groups) == 1:
        return sampling_plans.offer_in_words(covered, promise)
    if read >= covered:
        return f"Read all {covered:,}: groups as small as these show nothing about what nobody read."
    return (
        f"Read {read:,} of {covered:,}, in {len(groups.groups)} groups. If all that you read of a group are good, you "
        f"can be {sampling_plans.percent(promise.confidence)} % sure that fewer than "
        f"{sampling_plans.in_hundred(promise.defect_rate)} of the rest of it are not."
    )


def name_of(channel: str, segment: str) -> str:
    return f"{Channel(channel).label}: {segment}"


@dataclass(frozen=True, slots=True)
class Row:
    """One group of a plan on a page."""

    stratum: SampleStratum
    name: str
    standing: Standing | None  # None when it is decided: then the counts are those that were kept
    good: int
    taste: int
    bad: int
    unread: int
    to_read: int

    @property
    def done(self) -> int:
        return self.good + self.taste + self.bad

    @property
    def percent(self) -> int:
        return 100 if not self.to_read else round(100 * self.done / self.to_read)

    @property
    def state(self) -> StratumState:
        return StratumState(self.stratum.state)

    @property
    def tone(self) -> str:
        return TONES[self.state]

    @property
    def risk(self) -> Risk:
        return Risk(self.stratum.risk)

    @property
    def is_open(self) -> bool:
        return self.state == StratumState.OPEN

    @property
    def is_broken(self) -> bool:
        return self.is_open and bool(self.bad)

    @property
    def is_ready(self) -> bool:
        return self.is_open and not self.bad and not self.unread

    @property
    def rest(self) -> int:
        return self.stratum.size - self.to_read


def rows(plan: SamplePlan) -> list[Row]:
    strata = list(plan.strata.select_related("model_version").order_by("pk"))
    still = sample_standing.standings(plan, [s for s in strata if s.state == StratumState.OPEN])
    kept: dict[int, dict[str, int]] = {}
    counted = SampleDraw.objects.filter(stratum__in=[s.pk for s in strata if s.pk not in still])
    for pk, reading, count in counted.values_list("stratum", "reading").annotate(n=Count("pk")):
        kept.setdefault(pk, {})[reading] = count
    found = []
    for stratum in strata:
        now = still.get(stratum.pk)
        counts = (
            {reading: len(now.of(reading)) for reading in (Reading.GOOD, Reading.TASTE, Reading.BAD)}
            if now
            else kept.get(stratum.pk, {})
        )
        good, taste, bad = (counts.get(r, 0) for r in (Reading.GOOD, Reading.TASTE, Reading.BAD))
        to_read = now.size if now else stratum.sample_size
        found.append(
            Row(
                stratum,
                name_of(stratum.channel, stratum.segment),
                now,
                good,
                taste,
                bad,
                max(0, to_read - good - taste - bad),
                to_read,
            )
        )
    return found


# What a bad piece says about the others, by why it was rejected: what to do with the rest of its group.
_ADVICE = {
    RejectReason.UNTRUE: "Untrue texts come from the brief or from the writer. Look whether a fact or value of the "
    "brief is wrong: then cancel the run, mend the brief and launch again. If the brief is right, read the rest.",
    RejectReason.SENSELESS: "Texts that make no sense come from the writer: have the rest written again.",
    RejectReason.READER: "Texts that do not fit come from the traits of that reader: read the rest, and mend the "
    "trait rule if it is the same one again.",
    RejectReason.CREEPY: "What is too familiar usually rests on one trait that many readers share: read the rest, and "
    "switch that trait rule off.",
    RejectReason.OTHER: "Read the note of the bad piece: if it can be true of many, have the rest written again.",
}
_ADVICE_OTHERWISE = (
    "A single slip speaks for reading the rest; the same fault twice for having it written again."
)


def advice(row: Row) -> list[str]:
    """What to do with a group that has bad pieces, by the reasons they were rejected for."""
    if row.standing is None or not row.standing.bad:
        return []
    reasons = dict.fromkeys(read.reason for read in row.standing.bad)
    said = [words for reason, words in _ADVICE.items() if reason in reasons]
    many = row.standing.done and len(row.standing.bad) * 5 >= row.standing.done and len(row.standing.bad) > 1
    if many:
        said.append(
            f"{len(row.standing.bad)} of {row.standing.done} read were bad: reading the rest would reject many. "
            "Have it written again, after mending what caused it."
        )
    return said or [_ADVICE_OTHERWISE]


def promise_words(plan: SamplePlan) -> str:
    promise = sampling.promise_of(plan)
    return (
        f"{sampling_plans.percent(promise.confidence)} % sure that fewer than "
        f"{sampling_plans.in_hundred(promise.defect_rate)} of what nobody read are bad"
    )


def reasons_in_words(reasons: Sequence[str]) -> str:
    return ", ".join(RejectReason(r).label.lower() for r in reasons if r in RejectReason.values)


def desk_url(piece_id: int, stratum_id: int) -> str:
    """The desk with this drawn piece, walking through the sample it belongs to."""
    address = reverse("admin:generation_piece_change", args=[piece_id])
    return f"{address}?{urlencode({'_changelist_filters': urlencode({'sample': stratum_id})})}"


def reads_of(row: Row) -> list[dict[str, Any]]:
    """Who read what and when, in the order of the draw."""
    draws = {
        draw.piece_id: draw
        for draw in SampleDraw.objects.filter(stratum=row.stratum, place__lte=_last_place(row)).order_by(
            "place"
        )
    }
    if row.standing is not None:
        live = {read.piece_id: read for read in row.standing.reads}
        return [
            _read(draw, live[pk].reading, live[pk].reason, live[pk].by_name, live[pk].at)
            for pk, draw in draws.items()
            if pk in live
        ]
    return [
        _read(draw, draw.reading, draw.reason, draw.read_by_name, draw.read_at)
        for draw in draws.values()
        if draw.reading not in (Reading.COVERED, Reading.LEFT)
    ]


def _last_place(row: Row) -> int:
    if row.standing is not None:
        return len(row.standing.reads)
    gone = SampleDraw.objects.filter(stratum=row.stratum, reading=Reading.GONE).count()
    return row.stratum.sample_size + gone


def _read(draw: SampleDraw, reading: str, reason: str, by: str, at: Any) -> dict[str, Any]:
    label = (
        RejectReason(reason).label if reason in RejectReason.values else sample_standing.WORDS.get(reason, "")
    )
    return {
        "place": draw.place,
        "piece_id": draw.piece_id,
        "revision": draw.revision,
        "text_hash": draw.text_hash,
        "reading": Reading(reading).label,
        "tone": READING_TONES.get(Reading(reading), "plain"),
        "reason": label,
        "by": by,
        "at": at,
    }


def decided(run: Run) -> dict[str, int]:
    """How the pieces of the run stand: what the certificate adds up."""
    counts = dict(Piece.objects.filter(run=run).order_by().values_list("status").annotate(n=Count("pk")))
    unread = SampleDraw.objects.filter(stratum__plan__run=run, reading=Reading.COVERED).values("piece_id")
    left_review = (Status.APPROVED, Status.DELIVERING, Status.DELIVERED, Status.FAILED, Status.UNKNOWN)
    approved = Piece.objects.filter(run=run, status__in=left_review).exclude(approved_hash="")
    by_sample = approved.filter(pk__in=unread).count()
    return {
        "Pieces of the run": sum(counts.values()),
        "Approved, each read by a person": approved.count() - by_sample,
        "Approved unread, by a sample": by_sample,
        "Rejected": counts.get(Status.REJECTED, 0),
        "In review": counts.get(Status.IN_REVIEW, 0),
        "Withdrawn": counts.get(Status.WITHDRAWN, 0),
        "Being written, or failed in writing": sum(counts.values())
        - approved.count()
        - sum(counts.get(s, 0) for s in (Status.REJECTED, Status.IN_REVIEW, Status.WITHDRAWN)),
    }
