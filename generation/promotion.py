"""Choosing which version of the writer is active: by the rule, against it with a reason, and back again."""

from __future__ import annotations

from django.contrib.auth.models import AbstractBaseUser, PermissionsMixin
from django.db import transaction

from generation import versions
from generation.models import ModelVersion, VersionAction, VersionEvent, VersionState
from generation.promotion_rule import Verdict, judge
from personalize.core.errors import DomainError, InvalidInput, NotAllowed

PROMOTE = "generation.promote_modelversion"
MOST_REASON = 500


class NotPromoted(DomainError):
    """The rule refuses, or the version cannot be loaded. `refusals` says all that stands against it."""

    code = "not_promoted"

    def __init__(self, message: str, refusals: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.refusals = refusals


class NothingBefore(DomainError):
    """There is no earlier version to go back to."""

    code = "nothing_before"


def verdict(version: ModelVersion) -> Verdict:
    """What the rule says of this version against the one that is active now."""
    active = active_of(version.kind)
    if active is not None and active.pk == version.pk:
        return Verdict(("It is the active version already.",))
    return judge(version.metrics, active.metrics if active else None)


@transaction.atomic
def promote(
    *, version: ModelVersion, by: AbstractBaseUser | None, force: bool = False, reason: str = ""
) -> VersionEvent:
    """Make it the active version of its kind and retire the one before, if the rule (promotion_rule.judge) allows it.

    `force` goes against the rule, in the name of a person with the permission and with their reason; both are kept,
    with what the rule said. Nothing forces a version that cannot be loaded. Raises NotAllowed, InvalidInput or
    NotPromoted; then nothing has changed.
    """
    _may(by)
    reason = _reason(reason)
    if force and by is None:
        raise NotAllowed("Going against the rule needs a person's name: say who decides.")
    if force and not reason:
        raise InvalidInput(
            "Going against the rule needs a reason: it is kept with the decision.", field="reason"
        )
    active, version = _locked(version)
    if active is not None and active.pk == version.pk:
        raise NotPromoted(f"{version.name} is the active version already.")
    if not version.model_hash:
        raise NotPromoted(f"{version.name}: no worker has loaded it yet, so its weights are not known.")
    if problem := versions.unusable(version):
        raise NotPromoted(f"{version.name} cannot be used. {problem}", (problem,))
    found = judge(version.metrics, active.metrics if active else None)
    if not found.allowed and not force:
        raise NotPromoted(f"{version.name} is not promoted. {' '.join(found.refusals)}", found.refusals)
    return versions.switch(
        version,
        active,
        VersionAction.PROMOTED,
        forced=not found.allowed,
        reason=reason,
        refusals=list(found.refusals),
        **_actor(by),
    )


@transaction.atomic
def roll_back(*, active: ModelVersion, by: AbstractBaseUser | None, reason: str = "") -> VersionEvent:
    """Make the version that was active before `active` the active one again. It needs no rule: it wrote already.

    Raises NotAllowed, NotPromoted when `active` is not active any more or the earlier one cannot be loaded, and
    NothingBefore.
    """
    _may(by)
    now, _ = _locked(active)
    if now is None or now.pk != active.pk:
        raise NotPromoted(f"{active.name} is not the active version any more. Look again.")
    earlier = before(now)
    if earlier is None:
        raise NothingBefore(f"No version was active before {now.name}.")
    if problem := versions.unusable(earlier):
        raise NotPromoted(f"{earlier.name} cannot be used. {problem}", (problem,))
    return versions.switch(earlier, now, VersionAction.ROLLED_BACK, reason=_reason(reason), **_actor(by))


def before(active: ModelVersion) -> ModelVersion | None:
    """Whose place this version took when it last became active other than by going back."""
    came = (
        active.events.exclude(action=VersionAction.ROLLED_BACK)
        .select_related("replaced")
        .order_by("-pk")
        .first()
    )
    return came.replaced if came else None


def active_of(kind: str) -> ModelVersion | None:
    """The active version of a kind: of WRITER_MODEL as some setting names it."""
    return ModelVersion.objects.filter(kind=kind, state=VersionState.ACTIVE).first()


def _locked(version: ModelVersion) -> tuple[ModelVersion | None, ModelVersion]:
    """(the active version of its kind, the version itself), both fresh and locked with all others of the kind."""
    rows = list(ModelVersion.objects.select_for_update().filter(kind=version.kind).order_by("pk"))
    active = next((row for row in rows if row.is_active), None)
    return active, next(row for row in rows if row.pk == version.pk)


def _may(by: AbstractBaseUser | None) -> None:
    if isinstance(by, PermissionsMixin) and not by.has_perm(PROMOTE):
        raise NotAllowed("You may not choose the version that writes. Ask somebody who has that permission.")


def _reason(given: str) -> str:
    reason = " ".join(given.split())
    if len(reason) > MOST_REASON:
        raise InvalidInput(f"The reason is longer than {MOST_REASON} characters.", field="reason")
    return reason


def _actor(by: AbstractBaseUser | None) -> dict[str, object]:
    return {"actor_id": by.pk, "actor_name": by.get_username()} if by else {"actor_id": None}
