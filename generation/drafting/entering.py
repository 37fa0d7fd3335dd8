"""Always-on campaigns: who has entered since the last look, and their pieces.

A person enters by coming into the segment, or by doing the campaign's event while in it. Each gets one piece, ever,
or again after so many days, as the campaign says. Who is in the segment at the first look has not entered, unless
the campaign takes those too. Who cannot be written to when they enter is tried again for WAIT. Of those who wait with
one address the oldest counts, as at a launch; the others have entered and get nothing.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import connection
from django.db.models import Exists, F, OuterRef, QuerySet

from campaigns import briefs, consent, runs, segments
from campaigns.models import Campaign, Channel, EntryKind, Profile, Run, RunStatus, RunTrigger
from campaigns.models.channels import PERSONAL_CHANNELS
from campaigns.models.timing import Entry
from generation import arms, versions
from generation.drafting import launching, queueing
from generation.models import HeldOut, Piece

log = structlog.get_logger(__name__)

WAIT = timedelta(days=7)  # how long somebody who entered is waited for, and how late an event may arrive
RUN_TAKES_FOR = timedelta(hours=24)  # who enters joins the run of the day, so that a reviewer has one list


def look(*, campaign: Campaign, when: datetime, now: datetime) -> Run | None:
    """See who has entered and make their pieces; the run they are in, or None when there is nobody to write to.

    Call with the campaign's row locked: of two beats one looks. Raises BriefIncomplete, SegmentNotReady.
    """
    launching.check_brief(campaign)
    assert campaign.segment is not None  # the brief's check asks for one
    members = launching.scratch_audience(f"look_{campaign.pk}", segments.audience(campaign.segment))
    first = campaign.watch_key != (key := _key(campaign))
    since = now if first or campaign.watched_from is None else campaign.watched_from
    if campaign.entry == EntryKind.EVENT:
        _take_events(campaign, members, since=since, now=now)
    else:
        _take_members(campaign, members, first=first, now=now)
    if first:
        Campaign.objects.filter(pk=campaign.pk).update(watched_from=now, watch_key=key)
    mine = Entry.objects.filter(campaign=campaign)
    mine.filter(waits_since__lt=now - WAIT).update(waits_since=None)
    if not mine.filter(waits_since__isnull=False).exists():
        return None
    return _write_to_waiting(campaign, when=when, now=now)


def _key(campaign: Campaign) -> str:
    """What 'enters' means here. When that changes, nobody has entered by the change."""
    segment = campaign.segment
    assert segment is not None
    meaning = [
        campaign.entry, campaign.entry_event, campaign.takes_present, segment.pk, segment.filter,
        segment.like_text, segment.like_count if segment.like_text else 0,
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()


# `again`: the person had no piece yet, or the last one is long enough ago.
_AGAIN = "(known.times = 0 OR known.started_at <= {moment} - make_interval(days => %(days)s::int))"


def _take_members(campaign: Campaign, members: str, *, first: bool, now: datetime) -> None:
    takes = not first or campaign.takes_present
    params: dict[str, Any] = {
        "campaign": campaign.pk,
        "now": now,
        "days": campaign.reentry_days,
        "takes": takes,
    }
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            UPDATE campaigns_entry SET is_inside = false, waits_since = NULL
            WHERE campaign_id = %(campaign)s AND is_inside AND profile_id NOT IN (SELECT id FROM {members})
            """,
            params,
        )
        cursor.execute(
            f"""
            INSERT INTO campaigns_entry AS known (campaign_id, profile_id, is_inside, waits_since, times)
            SELECT %(campaign)s, id, true, CASE WHEN %(takes)s THEN %(now)s::timestamptz END, 0
            FROM {members} AS member WHERE NOT EXISTS (
                SELECT FROM campaigns_entry e
                WHERE e.campaign_id = %(campaign)s AND e.profile_id = member.id AND e.is_inside)
            ON CONFLICT (campaign_id, profile_id) DO UPDATE SET is_inside = true,
                waits_since = CASE WHEN %(takes)s AND {_AGAIN.format(moment="%(now)s::timestamptz")}
                                   THEN %(now)s::timestamptz END
            """,
            params,
        )
        if first and campaign.takes_present:
            cursor.execute(
                "UPDATE campaigns_entry SET waits_since = %(now)s WHERE campaign_id = %(campaign)s AND is_inside "
                "AND times = 0 AND waits_since IS NULL",
                params,
            )


def _take_events(campaign: Campaign, members: str, *, since: datetime, now: datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            INSERT INTO campaigns_entry AS known
                (campaign_id, profile_id, is_inside, waits_since, event_at, times)
            SELECT %(campaign)s, profile_id, true, %(now)s, max(occurred_at), 0
            FROM campaigns_event
            WHERE name = %(event)s AND occurred_at > %(since)s AND occurred_at <= %(now)s
                AND profile_id IN (SELECT id FROM {members})
            GROUP BY profile_id
            ON CONFLICT (campaign_id, profile_id) DO UPDATE
            SET waits_since = %(now)s, event_at = EXCLUDED.event_at
            WHERE EXCLUDED.event_at > coalesce(known.event_at, '-infinity')
                AND {_AGAIN.format(moment="EXCLUDED.event_at")}
            """,
            {
                "campaign": campaign.pk,
                "now": now,
                "event": campaign.entry_event,
                "since": max(since, now - WAIT),
                "days": campaign.reentry_days,
            },
        )


def _write_to_waiting(campaign: Campaign, *, when: datetime, now: datetime) -> Run | None:
    waiting = Entry.objects.filter(campaign=campaign, profile=OuterRef("pk"), waits_since__isnull=False)
    people = Profile.objects.filter(Exists(waiting))
    reached: dict[Channel, QuerySet[Profile]] = {}
    doubles: set[int] = set()
    for channel in (c for c in PERSONAL_CHANNELS if c in campaign.channels):
        allowed = consent.may_receive(people, channel=channel)
        reached[channel] = consent.one_per_address(allowed, channel=channel)
        # In one statement: who may be written to only from now on has lost to nobody, and waits.
        others = allowed.exclude(pk__in=reached[channel].values("pk"))
        doubles |= set(others.values_list("pk", flat=True))
    if not any(readers.exists() for readers in reached.values()):
        return None
    run = _run_of_the_day(campaign, people, when=when, now=now)
    split, made = arms.split_of(campaign), 0
    for channel, readers in reached.items():
        made += launching.insert_pieces(run, channel, arms.to_be_written(readers, split))
        arms.note_held_out(run, arms.held_out(readers, split))
    theirs = Piece.objects.filter(run=run, profile=OuterRef("profile"))
    held_out = HeldOut.objects.filter(run=run, profile=OuterRef("profile"))
    mine = Entry.objects.filter(campaign=campaign, waits_since__isnull=False)
    mine.filter(Exists(theirs) | Exists(held_out)).update(
        waits_since=None, started_at=now, times=F("times") + 1, run=run
    )
    # Their address had its piece, or its place in the hold-out: the next look must not write to it again.
    mine.filter(profile__in=doubles).update(waits_since=None)
    written_to = Piece.objects.filter(run=run, profile__isnull=False).values("profile").distinct().count()
    Run.objects.filter(pk=run.pk).update(audience_size=written_to)
    if made:
        queueing.enqueue(run_id=run.pk, chains=min(queueing.CHAINS, made))
    log.info("entered", run_id=run.pk, campaign_id=campaign.pk, pieces=made)
    return run


def _run_of_the_day(campaign: Campaign, people: QuerySet[Profile], *, when: datetime, now: datetime) -> Run:
    """The open run of the last day over the same brief and writer that none of these people is in, or a new one."""
    model = versions.current().name
    taken = Piece.objects.filter(run=OuterRef("pk"), profile__in=people.values("pk"))
    held_out = HeldOut.objects.filter(run=OuterRef("pk"), profile__in=people.values("pk"))
    found = (
        Run.objects.filter(
            campaign=campaign,
            trigger=RunTrigger.ENTRY,
            status=RunStatus.OPEN,
            model_version=model,
            brief_hash=briefs.brief_hash(briefs.freeze(campaign)),
            created_at__gt=now - RUN_TAKES_FOR,
        )
        .exclude(Exists(taken) | Exists(held_out))
        .order_by("-pk")
        .first()
    )
    if found is not None:
        return found
    run, _ = runs.open_run(
        campaign=campaign, scheduled_for=when, trigger=RunTrigger.ENTRY, by=None, model_version=model
    )
    return run
