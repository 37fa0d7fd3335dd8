"""From a campaign to a run with its pieces: the audience is frozen and every piece exists before any is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from django.contrib.auth.models import AbstractBaseUser, PermissionsMixin
from django.db import connection, transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from campaigns import brand_access, briefs, consent, runs, schedules, segments
from campaigns.models import (
    Campaign,
    CampaignStatus,
    Channel,
    Consent,
    ConsentStatus,
    Profile,
    Run,
    RunStatus,
    RunTrigger,
    ScheduleKind,
)
from campaigns.models.channels import AD_CHANNELS, PERSONAL_CHANNELS
from campaigns.models.privacy import MARKETING
from generation import arms, planting, transitions, variants, versions
from generation.drafting import queueing
from generation.models import Piece, Plant, Status
from personalize.core.errors import DomainError, NotAllowed

log = structlog.get_logger(__name__)


class BriefIncomplete(DomainError):
    """The campaign cannot be launched as it stands. `problems` are those of `briefs.problems`."""

    status = 400
    code = "brief_incomplete"

    def __init__(self, problems: Sequence[briefs.Problem]) -> None:
        super().__init__(" ".join(problem.message for problem in problems))
        self.problems = tuple(problems)


class LaunchRefused(DomainError):
    """The campaign's status does not allow a launch now."""

    code = "launch_refused"


class NotReachable(DomainError):
    """This person did not agree to this channel, has no address on it, or must not be written to."""

    code = "not_reachable"


@transaction.atomic
def launch(
    *,
    campaign: Campaign,
    by: AbstractBaseUser | None,
    trigger: RunTrigger = RunTrigger.MANUAL,
    scheduled_for: datetime | None = None,
    queue: bool = True,
) -> Run:
    """Open the run of that time and make its pieces; the writers start when the transaction commits.

    Of any number of calls for one campaign and time, one makes the run and all return it. Without a time it is
    the present minute, so that a second click launches nothing twice. `queue=False` wakes no writer by itself.
    Raises BriefIncomplete, LaunchRefused or NotAllowed; then nothing was stored.
    """
    may_launch(by)
    brand_access.check(by, campaign.brand_id)
    if campaign.status in (CampaignStatus.ARCHIVED, CampaignStatus.PAUSED):
        label = CampaignStatus(campaign.status).label.lower()
        raise LaunchRefused(f"This campaign is {label}. Resume it, then launch.")
    if campaign.schedule == ScheduleKind.ALWAYS_ON:
        raise LaunchRefused(
            "This campaign is always on: start it, and it writes to each person who enters. "
            "To write to everybody at once, copy it with another schedule."
        )
    check_brief(campaign)
    if campaign.status == CampaignStatus.DRAFT and campaign.schedule == ScheduleKind.MANUAL:
        campaign = schedules.activate(campaign=campaign, by=by)
    when = scheduled_for or timezone.now().replace(second=0, microsecond=0)
    run, created = runs.open_run(
        campaign=campaign, scheduled_for=when, trigger=trigger, by=by, model_version=versions.current().name
    )
    if not created:
        if run.status == RunStatus.CANCELLED:
            raise LaunchRefused("The run of this minute was cancelled. Launch again in a minute.")
        return run
    made = _make_pieces(run, campaign)
    if queue and made:
        queueing.enqueue(run_id=run.pk, chains=min(queueing.CHAINS, made))
    log.info("launched", run_id=run.pk, campaign_id=campaign.pk, pieces=made, readers=run.audience_size)
    return run


@transaction.atomic
def compose(
    *, campaign: Campaign, profile: Profile, channel: str, by: AbstractBaseUser | None, queue: bool = True
) -> Piece:
    """Make one piece for one reader, to be written at once.

    Single pieces over the same brief share a run; asked for again, a reader gets a new one. Raises NotReachable
    for a reader who may not be written to on this channel, and what `launch` raises.
    """
    may_launch(by)
    brand_access.check(by, campaign.brand_id)
    if channel not in PERSONAL_CHANNELS:
        raise LaunchRefused("Ads are written for an audience: launch the campaign instead.")
    if campaign.status in (CampaignStatus.ARCHIVED, CampaignStatus.PAUSED):
        raise LaunchRefused(f"This campaign is {CampaignStatus(campaign.status).label.lower()}.")
    check_brief(campaign, personal_only=True)
    may_receive = consent.may_receive(Profile.objects.filter(pk=profile.pk), channel=channel)
    if not may_receive.exists():
        raise NotReachable(
            f"This person may not be written to by {Channel(channel).label}: there is no consent, no address, "
            "or the address is suppressed."
        )
    if arms.held_out(Profile.objects.filter(pk=profile.pk), arms.split_of(campaign)).exists():
        raise NotReachable(
            "This person is in the campaign's hold-out: they get nothing, so that the others can be compared with them."
        )
    frozen = briefs.brief_hash(briefs.freeze(campaign))
    taken = Piece.objects.filter(run=OuterRef("pk"), profile=profile, channel=channel)
    run = (
        Run.objects.filter(
            campaign=campaign, trigger=RunTrigger.COMPOSE, status=RunStatus.OPEN, brief_hash=frozen
        )
        .exclude(Exists(taken))
        .order_by("-pk")
        .first()
    )
    piece = _compose_in(run, profile, channel) if run else None
    if piece is None:
        run, _ = runs.open_run(
            campaign=campaign,
            scheduled_for=timezone.now(),
            trigger=RunTrigger.COMPOSE,
            by=by,
            model_version=versions.current().name,
        )
        piece = _compose_in(run, profile, channel)
    assert piece is not None, "a run opened at this microsecond has no piece yet"
    Run.objects.filter(pk=piece.run_id).update(
        audience_size=Piece.objects.filter(run_id=piece.run_id).values("profile").distinct().count()
    )
    if queue:
        queueing.enqueue_piece(piece_id=piece.pk)
    return piece


@transaction.atomic
def cancel(*, run: Run, by: AbstractBaseUser | None) -> Run:
    """Close the run for good and take back what has not left: drafts, texts in review, approved pieces."""
    run = runs.cancel(run=run, by=by)
    pieces = Piece.everything.filter(run=run)
    planting.void(Plant.objects.filter(run=run))
    for status in (Status.DRAFT, Status.GENERATING, Status.IN_REVIEW, Status.APPROVED, Status.FAILED):
        transitions.advance_many(
            pieces,
            Status.WITHDRAWN,
            was=status,
            actor=by,
            note="the run was cancelled",
            claim=None,
            lease_until=None,
        )
    return run


def may_launch(by: AbstractBaseUser | None) -> None:
    """Raise NotAllowed unless `by` is the system (None) or somebody with the launch permission."""
    if isinstance(by, PermissionsMixin) and not by.has_perm("campaigns.launch_campaign"):
        raise NotAllowed("You may not launch campaigns. Ask somebody who has that permission.")


def check_brief(campaign: Campaign, *, personal_only: bool = False) -> None:
    """Raise BriefIncomplete with everything that must be mended."""
    found = briefs.problems(campaign)
    if personal_only:  # one named reader needs neither a segment nor an audience
        found = [problem for problem in found if problem.field not in ("segment", "audience")]
    if found:
        raise BriefIncomplete(found)


def _compose_in(run: Run, profile: Profile, channel: str) -> Piece | None:
    made = insert_pieces(run, channel, Profile.objects.filter(pk=profile.pk))
    return Piece.objects.get(run=run, profile=profile, channel=channel) if made else None


def _make_pieces(run: Run, campaign: Campaign) -> int:
    personal = [channel for channel in campaign.channels if channel in PERSONAL_CHANNELS]
    ads = [channel for channel in campaign.channels if channel in AD_CHANNELS]
    made = sum(insert_pieces(run, channel, None) for channel in ads)
    if personal and campaign.segment is not None:
        audience, size = _freeze_audience(run, segments.audience(campaign.segment))
        excluded: dict[str, int] = {}
        split = arms.split_of(campaign)
        for channel in personal:
            reached = reach(audience, channel=channel, size=size, split=split)
            arms.note_held_out(run, reached.held_out)
            made += insert_pieces(run, channel, reached.readers)
            label = Channel(channel).label
            excluded |= {f"{label}: {reason}": count for reason, count in reached.left_out.items()}
        run.audience_size = (
            Piece.objects.filter(run=run, profile__isnull=False).values("profile").distinct().count()
        )
        run.excluded = excluded
        run.save(update_fields=["audience_size", "excluded"])
    return made


def _freeze_audience(run: Run, audience: QuerySet[Profile]) -> tuple[QuerySet[Profile], int]:
    """Evaluate the segment once, into a scratch table of ids: every channel and count then sees the same people."""
    table = scratch_audience(f"run_{run.pk}", audience)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {table}")
        size = int(cursor.fetchone()[0])
    return (
        Profile.objects.extra(where=[f'"campaigns_profile"."id" IN (SELECT id FROM {table})']),
        size,
    )


def scratch_audience(name: str, audience: QuerySet[Profile]) -> str:
    """The ids of an audience as a table that ends with the transaction; its name, safe inside SQL."""
    table = f"audience_of_{name}"
    assert table.isidentifier()
    sql, params = audience.order_by().values("pk").query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE IF EXISTS pg_temp.{table}")
        cursor.execute(
            f"CREATE TEMP TABLE {table} ON COMMIT DROP AS SELECT id FROM ({sql}) AS found(id)", params
        )
        cursor.execute(f"CREATE UNIQUE INDEX ON {table} (id)")
        cursor.execute(f"ANALYZE {table}")
    return table


@dataclass(frozen=True, slots=True)
class Reach:
    """Who of an audience may be written to on one channel, and how many may not, by reason."""

    readers: QuerySet[Profile]
    left_out: dict[str, int]
    held_out: QuerySet[Profile]  # could be written to, and are kept for comparison


HELD_OUT = "in the hold-out, for comparison"


def reach(audience: QuerySet[Profile], *, channel: str, size: int, split: arms.Split | None = None) -> Reach:
    """What a launch decides for one channel; the launch page counts with it too. `size` is the audience's."""
    given = Consent.objects.filter(
        profile=OuterRef("pk"), channel=channel, purpose=MARKETING, status=ConsentStatus.GIVEN
    )
    consented = audience.filter(Exists(given)).count()
    allowed = consent.may_receive(audience, channel=channel)
    everybody = consent.one_per_address(allowed, channel=channel)
    reachable, once = allowed.count(), everybody.count()
    held_out = arms.held_out(everybody, split) if split else everybody.none()
    readers = arms.to_be_written(everybody, split) if split else everybody
    reasons = {
        "no consent": size - consented,
        "no address, or suppressed": consented - reachable,
        "same address as another reader": reachable - once,
        HELD_OUT: held_out.count() if split and split.holdout else 0,
    }
    return Reach(readers, {reason: count for reason, count in reasons.items() if count > 0}, held_out)


# The same number on any machine: 60 bits of the md5 of what the piece is for.
_SEED = "('x' || left(md5(concat_ws(':', %s::bigint, reader.id, %s::varchar)), 15))::bit(60)::bigint"


def insert_pieces(run: Run, channel: str, readers: QuerySet[Profile] | None) -> int:
    """Make one draft per reader in one statement, or one ad without a reader; how many were new."""
    given: dict[str, tuple[str, tuple[object, ...]]] = {
        "run_id": ("%s::bigint", (run.pk,)),
        "profile_id": ("reader.id", ()),
        "channel": ("%s::varchar", (channel,)),
        "seed": (_SEED, (run.pk, channel)),
        **(_of_experiment(run) if readers is not None else {}),
        "created_at": ("now()", ()),
        "updated_at": ("now()", ()),
    }
    columns: list[str] = []
    values: list[str] = []
    params: list[Any] = []
    for field in Piece._meta.concrete_fields:
        column = field.column
        if field.primary_key or column is None:
            continue
        # Every other column starts as the model's own default, cast because a SELECT knows no target column.
        cast = field.rel_db_type(connection) if field.is_relation else field.db_type(connection)
        default = (f"%s::{cast}", (field.get_db_prep_save(field.get_default(), connection),))
        sql, bound = given.get(column, default)
        columns.append(column)
        values.append(sql)
        params += bound
    source, source_params = "SELECT NULL::bigint", ()
    if readers is not None:
        source, source_params = readers.order_by().values("pk").query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO generation_piece ({', '.join(columns)}) SELECT {', '.join(values)} "
            f"FROM ({source}) AS reader(id) ORDER BY reader.id ON CONFLICT DO NOTHING",
            [*params, *source_params],
        )
        return int(cursor.rowcount)


_EXTERNAL_ID = "(SELECT external_id FROM campaigns_profile AS person WHERE person.id = reader.id)"


def _of_experiment(run: Run) -> dict[str, tuple[str, tuple[object, ...]]]:
    """The columns that say which arm and variant a reader's piece is of."""
    given = {"arm": arms.arm_sql(arms.split_of(run.campaign), _EXTERNAL_ID)}
    allocation = variants.allocation_of(run)
    if allocation is not None:
        given |= variants.columns_sql(allocation, _EXTERNAL_ID)
    return given
