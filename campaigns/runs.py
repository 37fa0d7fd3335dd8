"""Opening a run and deciding about it as a whole. Its pieces are generation's."""

from __future__ import annotations

from datetime import datetime

from django.contrib.auth.models import AbstractBaseUser, PermissionsMixin
from django.db import transaction
from django.utils import timezone

from campaigns import brand_access, briefs
from campaigns.models import Campaign, Run, RunStatus, RunTrigger, SendPolicy
from personalize.core.errors import DomainError, NotAllowed


class RunClosed(DomainError):
    """The run's status does not allow it."""

    code = "run_closed"


@transaction.atomic
def open_run(
    *,
    campaign: Campaign,
    scheduled_for: datetime,
    trigger: RunTrigger,
    by: AbstractBaseUser | None,
    model_version: str,
) -> tuple[Run, bool]:
    """Freeze the brief into a run of that time. True when this call made it.

    Of any number of callers with the same campaign and time exactly one makes the run; the others get it.
    With the policy 'when approved' the launch by somebody who may send releases it; a scheduled launch acts
    for the person who made the campaign.
    """
    brief = briefs.freeze(campaign)
    releaser = _releaser(campaign, by)
    run, created = Run.objects.get_or_create(
        campaign=campaign,
        scheduled_for=scheduled_for,
        defaults={
            "trigger": trigger,
            "brief": brief,
            "brief_hash": briefs.brief_hash(brief),
            "brand_version": campaign.brand.version,
            "model_version": model_version,
            "created_by_id": by.pk if by else None,
            "released_at": timezone.now() if releaser else None,
            "released_by_id": releaser.pk if releaser else None,
        },
    )
    return run, created


@transaction.atomic
def pause(*, run: Run, by: AbstractBaseUser | None) -> Run:
    """Write and send nothing more of it until `resume`. What is being handed over at this moment still goes."""
    _may(by, "campaigns.launch_campaign", "pause runs", run.campaign.brand_id)
    return _move(run, frm={RunStatus.OPEN}, to=RunStatus.PAUSED)


@transaction.atomic
def resume(*, run: Run, by: AbstractBaseUser | None) -> Run:
    _may(by, "campaigns.launch_campaign", "resume runs", run.campaign.brand_id)
    return _move(run, frm={RunStatus.PAUSED}, to=RunStatus.OPEN)


@transaction.atomic
def cancel(*, run: Run, by: AbstractBaseUser | None) -> Run:
    """Close it for good. `generation.drafting.cancel` also withdraws its pieces: call that one."""
    _may(by, "campaigns.launch_campaign", "cancel runs", run.campaign.brand_id)
    return _move(run, frm={RunStatus.OPEN, RunStatus.PAUSED}, to=RunStatus.CANCELLED)


@transaction.atomic
def release(*, run: Run, by: AbstractBaseUser) -> Run:
    """Decide that the approved pieces of this run may go out. The first release stays; a second changes nothing."""
    _may(by, "campaigns.send_campaign", "release runs for sending", run.campaign.brand_id)
    Run.objects.filter(pk=run.pk, status__in=(RunStatus.OPEN, RunStatus.PAUSED), released_at=None).update(
        released_at=timezone.now(), released_by_id=by.pk
    )
    run.refresh_from_db()
    if run.released_at is None:
        raise RunClosed("A cancelled run cannot be released for sending.")
    return run


def check_send_policy(*, campaign: Campaign, wanted: str, by: AbstractBaseUser) -> None:
    """Raise NotAllowed if `by` may not let pieces go out as they are approved.

    That decides about sending, and a scheduled run would act on it in the name of whoever made the campaign.
    """
    if wanted == SendPolicy.WHEN_APPROVED != campaign.send_policy:
        _may(by, "campaigns.send_campaign", "let pieces go out as they are approved", campaign.brand_id)


def _move(run: Run, *, frm: set[RunStatus], to: RunStatus) -> Run:
    changed = Run.objects.filter(pk=run.pk, status__in=[status.value for status in frm]).update(status=to)
    run.refresh_from_db()
    if not changed and run.status != to:
        raise RunClosed(
            f"This run is {RunStatus(run.status).label.lower()}; that cannot be changed to {to.label.lower()}."
        )
    return run


def _may(by: AbstractBaseUser | None, permission: str, what: str, brand_id: int | None = None) -> None:
    if isinstance(by, PermissionsMixin) and not by.has_perm(permission):
        raise NotAllowed(f"You may not {what}. Ask somebody who has that permission.")
    if brand_id is not None:
        brand_access.check(by, brand_id)


def _releaser(campaign: Campaign, by: AbstractBaseUser | None) -> AbstractBaseUser | None:
    if campaign.send_policy != SendPolicy.WHEN_APPROVED:
        return None
    person = by or campaign.created_by
    if isinstance(person, PermissionsMixin) and person.has_perm("campaigns.send_campaign"):
        return person
    return None
