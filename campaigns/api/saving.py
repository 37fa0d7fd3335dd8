"""A campaign as the API sends it, into its rows: brief, facts, values, audience and schedule in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils.text import slugify

from campaigns import brand_access, cleaning, runs, schedules, segments
from campaigns.models import (
    Brand,
    Campaign,
    CampaignStatus,
    Fact,
    Segment,
    Value,
)
from personalize.core.errors import DomainError, InvalidInput

_PLAIN = (
    "name", "goal", "cta", "cta_link", "must_mention", "channels", "audience", "review_policy", "send_policy",
    "per_minute",
    "utm_source", "utm_medium", "utm_campaign", "count_clicks", "count_opens",
)  # fmt: skip
_SCHEDULE = {
    "kind": "schedule",
    "at": "schedule_at",
    "cron": "schedule_cron",
    "time": "schedule_time",
    "days": "schedule_days",
    "time_zone": "schedule_time_zone",
    "missed": "missed_policy",
    "entry": "entry",
    "event": "entry_event",
    "again_after_days": "reentry_days",
    "takes_present": "takes_present",
}
_WINDOW = {"start": "window_start", "end": "window_end", "days": "window_days"}
_SENT_AS = {
    **{column: f"schedule.{name}" for name, column in _SCHEDULE.items()},
    **{column: f"window.{name}" for name, column in _WINDOW.items()},
}


class SlugTaken(DomainError):
    """There is already a campaign of this slug."""

    code = "slug_taken"


@transaction.atomic
def create(*, sent: Mapping[str, Any], by: User) -> Campaign:
    """Make a campaign; it is a draft until it is launched or resumed."""
    slug = sent.get("slug") or slugify(sent["name"])[:80]
    if not slug:
        raise InvalidInput("Give a slug: none can be made from this name.", field="slug")
    campaign = Campaign(slug=slug, brand=_brand(sent["brand"]), created_by=by)
    try:
        with transaction.atomic():
            _apply(campaign, sent, by)
            campaign.save(force_insert=True)
    except IntegrityError as error:
        if Campaign.objects.filter(slug=slug).exists():
            raise SlugTaken(f"There is already a campaign '{slug}'. Choose another slug.") from error
        raise
    _apply_rows(campaign, sent)
    return campaign


@transaction.atomic
def change(*, campaign_id: int, sent: Mapping[str, Any], by: User) -> Campaign:
    """Change what was sent and leave the rest. Runs that are open keep the brief they were launched with."""
    campaign = Campaign.objects.select_for_update().get(pk=campaign_id)
    if campaign.status == CampaignStatus.ARCHIVED:
        raise schedules.CampaignClosed("An archived campaign cannot be changed. Copy it instead.")
    if "brand" in sent:
        campaign.brand = _brand(sent["brand"])
    _apply(campaign, sent, by)
    campaign.save()
    _apply_rows(campaign, sent)
    if "schedule" in sent and campaign.status == CampaignStatus.ACTIVE:
        campaign = schedules.activate(campaign=campaign, by=by)  # its next time is another one now
    return campaign


def _apply(campaign: Campaign, sent: Mapping[str, Any], by: User) -> None:
    brand_access.check(by, campaign.brand_id)
    runs.check_send_policy(campaign=campaign, wanted=sent.get("send_policy", campaign.send_policy), by=by)
    for name in _PLAIN:
        if name in sent:
            setattr(campaign, name, sent[name])
    for name in ("channels", "must_mention"):
        if len(set(getattr(campaign, name))) != len(getattr(campaign, name)):
            raise InvalidInput(f"Name each of the {name.replace('_', ' ')} once.", field=name)
    if "segment" in sent and "segment_filter" in sent:
        raise InvalidInput("Send segment or segment_filter, not both.", field="segment_filter")
    if "segment" in sent:
        campaign.segment = _segment(sent["segment"]) if sent["segment"] else None
    if "segment_filter" in sent:
        campaign.segment = _own_segment(campaign, sent["segment_filter"], by)
    if "schedule" in sent or "window" in sent:
        _apply_timing(campaign, sent.get("schedule", {}), sent.get("window", {}))


def _apply_timing(campaign: Campaign, schedule: Mapping[str, Any], window: Mapping[str, Any] | None) -> None:
    given = {_SCHEDULE[name]: value for name, value in schedule.items()}
    # `"window": null` takes the sending hours away.
    given |= {
        column: ([] if name == "days" else None) if window is None else window[name]
        for name, column in _WINDOW.items()
        if window is None or name in window
    }
    for column, value in given.items():
        setattr(campaign, column, value)
    try:
        campaign.schedule_time_zone = cleaning.time_zone(campaign.schedule_time_zone)
    except cleaning.Unusable as error:
        raise InvalidInput(f"The time zone {error}.", field="schedule.time_zone") from error
    try:
        schedules.check_campaign(campaign)
    except InvalidInput as error:
        raise InvalidInput(str(error), field=_SENT_AS.get(error.field, error.field)) from error


def _apply_rows(campaign: Campaign, sent: Mapping[str, Any]) -> None:
    if "facts" in sent:
        _replace_facts(campaign, sent["facts"])
    if "values" in sent:
        _replace_values(campaign, sent["values"])


def _replace_facts(campaign: Campaign, texts: Sequence[str]) -> None:
    if len(set(texts)) != len(texts):
        raise InvalidInput("Two facts are the same.", field="facts")
    ends = dict(
        campaign.facts.values_list("text", "valid_until")
    )  # set on the page; a sentence keeps its own
    campaign.facts.all().delete()
    Fact.objects.bulk_create(
        Fact(campaign=campaign, text=text, position=place, valid_until=ends.get(text))
        for place, text in enumerate(texts)
    )


def _replace_values(campaign: Campaign, values: Sequence[Mapping[str, Any]]) -> None:
    names = [value["name"] for value in values]
    if len(set(names)) != len(names):
        raise InvalidInput("Two values have the same name.", field="values")
    campaign.values.all().delete()
    Value.objects.bulk_create(Value(campaign=campaign, **value) for value in values)


def _brand(slug: str) -> Brand:
    brand = Brand.objects.filter(slug=slug).first()
    if brand is None:
        raise InvalidInput(f"There is no brand '{slug}'. Make it in the admin first.", field="brand")
    return brand


def _segment(slug: str) -> Segment:
    segment = Segment.objects.filter(slug=slug).first()
    if segment is None:
        raise InvalidInput(f"There is no segment '{slug}'.", field="segment")
    return segment


def _own_segment(campaign: Campaign, filter_tree: Any, by: User) -> Segment:
    """The campaign's own segment, made or changed. A segment that people made is never changed from here."""
    try:
        segments.check(filter_tree)
    except InvalidInput as error:
        raise InvalidInput(str(error), field="segment_filter") from error
    slug = f"{campaign.slug[:40]}-api-audience"
    segment, created = Segment.objects.get_or_create(
        slug=slug,
        defaults={"name": f"Audience of {campaign.name}"[:100], "filter": filter_tree, "created_by": by},
    )
    if not created and segment.filter != filter_tree:
        if segment.campaigns.exclude(pk=campaign.pk).exists():
            raise InvalidInput(
                f"The segment '{slug}' is used by another campaign. Make a segment and send its slug.",
                field="segment_filter",
            )
        segment.filter = filter_tree
        segment.save(update_fields=["filter", "updated_at"])
    return segment
