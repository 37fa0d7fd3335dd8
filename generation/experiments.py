"""Setting up what a campaign compares. Runs that are open keep the shares they were launched with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from django.contrib.auth.models import AbstractBaseUser, PermissionsMixin
from django.core.exceptions import ValidationError
from django.db import transaction

from campaigns import brand_access, briefs
from campaigns.models import Campaign
from generation.models import Experiment, Variant
from generation.models.experiments import MOST_APART
from personalize.core.errors import InvalidInput, NotAllowed

log = structlog.get_logger(__name__)

MOST_VARIANTS = 6
SETTINGS = (
    "holdout_percent", "generic_percent", "window_days", "visit_events", "purchase_events", "is_adaptive",
    "reward", "reward_days", "floor_percent",
)  # fmt: skip


def of(campaign: Campaign) -> Experiment:
    """The campaign's experiment, or one that is not stored and says what holds without."""
    return Experiment.objects.filter(campaign=campaign).first() or Experiment(campaign=campaign)


def variants_of(campaign: Campaign) -> list[Variant]:
    """Those in use, in the order they were made."""
    return list(Variant.objects.filter(campaign=campaign, is_active=True).order_by("pk"))


@transaction.atomic
def save(
    *,
    campaign: Campaign,
    by: AbstractBaseUser | None,
    changes: Mapping[str, Any],
    variants: Sequence[tuple[str, str]] | None = None,
) -> Experiment:
    """Change the named settings, and with `variants` the whole list of (name, hint). Raises InvalidInput.

    A variant that is left out gets nobody any more; its pieces and counts stay.
    """
    if isinstance(by, PermissionsMixin) and not by.has_perm("campaigns.change_campaign"):
        raise NotAllowed("You may not change campaigns. Ask somebody who has that permission.")
    brand_access.check(by, campaign.brand_id)
    if unknown := sorted(set(changes) - set(SETTINGS)):
        raise InvalidInput(f"There is no setting {unknown[0]}.", field=unknown[0])
    Campaign.objects.select_for_update().get(pk=campaign.pk)
    experiment = of(campaign)
    for name, value in changes.items():
        setattr(experiment, name, value)
    experiment.set_by_id = by.pk if by else None
    if experiment.holdout_percent + experiment.generic_percent > MOST_APART:
        raise InvalidInput(
            f"Hold-out and generic copy together may have at most {MOST_APART} percent: somebody must get the copy "
            "that is compared.",
            field="holdout_percent",
        )
    try:
        experiment.full_clean(exclude=["campaign", "set_by"])
    except ValidationError as error:
        field, messages = next(iter(error.message_dict.items()))
        raise InvalidInput(f"{field}: {messages[0]}", field=field) from error
    experiment.save()
    if variants is not None:
        _save_variants(campaign, variants)
    log.info("experiment_saved", campaign_id=campaign.pk)
    return experiment


def _save_variants(campaign: Campaign, wanted: Sequence[tuple[str, str]]) -> None:
    if len(wanted) > MOST_VARIANTS:
        raise InvalidInput(
            f"At most {MOST_VARIANTS} variants: with more, none gets enough readers.", field="variants"
        )
    if len({name for name, _ in wanted}) != len(wanted):
        raise InvalidInput("Two variants have the same name.", field="variants")
    for name, steer in wanted:
        if not name or len(name) > 40 or not steer or len(steer) > 200:
            raise InvalidInput(
                "A variant has a name of up to 40 characters and a hint of up to 200.", field="variants"
            )
        if bare := briefs.bare_number(steer):
            raise InvalidInput(
                f"The hint of {name} holds '{bare}'. The writer says no numbers: name a value instead.",
                field="variants",
            )
    names = [name for name, _ in wanted]
    Variant.objects.filter(campaign=campaign).exclude(name__in=names).update(is_active=False)
    known = {variant.name: variant for variant in Variant.objects.filter(campaign=campaign)}
    for name, steer in wanted:
        variant = known.get(name) or Variant(campaign=campaign, name=name)
        if variant.pk and variant.steer != steer:  # other words are another variant: its counts begin anew
            variant.people = variant.successes = 0
            variant.counted_at = None
        variant.steer, variant.is_active = steer, True
        variant.save()
