"""Campaigns: the brief as a form, what keeps it from being launched, and the buttons to start and stop it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import AbstractBaseUser
from django.db.models import Count, IntegerField, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, reverse
from django.utils.decorators import method_decorator
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.views.decorators.http import require_GET, require_http_methods

from campaigns import brand_access, briefs, runs, schedules
from campaigns.admin import calendar
from campaigns.admin.forms import CheckboxesField, NumbersField, RowForm, WordsField, lines
from campaigns.models import Brand, Campaign, CampaignStatus, Channel, Fact, Run, ScheduleKind, Value, Weekday
from personalize.core.admin_pages import (
    Confirmation,
    Page,
    Rows,
    attempt,
    badge,
    confirm,
    log,
    need,
    person,
    stack,
)
from personalize.core.errors import DomainError, InvalidInput, NotAllowed

TONE = {
    CampaignStatus.DRAFT: "quiet",
    CampaignStatus.ACTIVE: "good",
    CampaignStatus.PAUSED: "warn",
    CampaignStatus.ARCHIVED: "quiet",
}
RUNS_SHOWN = 10
SCHEDULE_FIELDS = (
    "schedule", "schedule_at", "schedule_time", "schedule_days", "schedule_cron", "schedule_time_zone",
    "entry", "entry_event", "reentry_days", "takes_present", "missed_policy",
)  # fmt: skip
WINDOW_FIELDS = ("window_start", "window_end", "window_days", "per_minute")


class CampaignForm(RowForm):
    channels = CheckboxesField(
        choices=Channel.choices,
        help_text="Ads are written once for the audience, the others for each reader.",
    )
    must_mention = WordsField(
        required=False,
        help_text="Names of values that each piece must contain, separated by commas: end_date, code",
    )

    schedule_days = NumbersField(choices=Weekday.choices, required=False, label="On")
    window_days = NumbersField(
        choices=Weekday.choices, required=False, label="On", help_text="None chosen: every day"
    )

    class Meta:
        model = Campaign
        exclude = (
            "status", "created_by", "next_run_at", "held_because", "skipped_at", "watched_from", "watch_key",
        )  # fmt: skip
        widgets = {"goal": lines(2), "audience": lines(2)}

    # Set by the page for each request: who is saving decides what may be chosen.
    may_launch = False
    editor: AbstractBaseUser | None = None

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        self._check_timing(given)
        if self.editor is not None and (wanted := given.get("send_policy")):
            try:
                runs.check_send_policy(campaign=self.instance, wanted=wanted, by=self.editor)
            except NotAllowed as error:
                self.add_error("send_policy", str(error))
        active = self.instance.pk is not None and self.instance.status == CampaignStatus.ACTIVE
        if active and not self.may_launch and set(SCHEDULE_FIELDS) & set(self.changed_data):
            self.add_error(
                "schedule", "The campaign is active: somebody who may launch must change its schedule."
            )
        return given

    def _check_timing(self, given: dict[str, Any]) -> None:
        if set(self.errors) & {*SCHEDULE_FIELDS, *WINDOW_FIELDS, "channels"}:
            return
        names = (*SCHEDULE_FIELDS, *WINDOW_FIELDS, "channels")
        planned = Campaign(**{name: given[name] for name in names if name in given})
        try:
            schedules.check_campaign(planned)
        except InvalidInput as error:
            self.add_error(error.field if error.field in self.fields else None, str(error))


class FactRows(Rows):
    model = Fact
    fields = ("text", "valid_until", "position")
    ordering = ("position", "id")
    verbose_name_plural = "Facts: true sentences the copy may use; values stand as {{name}}, no digits"

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "text":
            kwargs["widget"] = lines(1)
        return super().formfield_for_dbfield(db_field, request, **kwargs)


class ValueRows(Rows):
    model = Value
    fields = ("name", "text", "kind", "valid_until")
    ordering = ("name",)
    verbose_name_plural = "Values: the only source of prices, dates, codes, links and quantities"


@admin.register(Campaign)
class CampaignPage(Page):
    form = CampaignForm
    inlines = (FactRows, ValueRows)
    list_display = ("what", "channel_badges", "segment", "when", "in_review", "status_badge")
    list_filter = ("status", "brand", "schedule")
    search_fields = ("name", "slug")
    ordering = ("-updated_at",)
    sortable_by = ()
    prepopulated_fields = {"slug": ("name",)}
    readonly_fields = ("next_times",)
    empty_title = "No campaign yet"
    empty_help = (
        "Add one, write its goal, facts and values, choose who it is for; then Launch shows "
        "how many pieces it would write before anything happens."
    )
    change_form_outer_before_template = "admin/campaigns/campaign/head.html"
    change_form_outer_after_template = "admin/campaigns/campaign/runs.html"
    warn_unsaved_form = True
    fieldsets = (
        ("Brief", {"fields": ("name", "slug", "brand", "goal", "cta", "cta_link", "must_mention")}),
        ("Who gets it", {"fields": ("channels", "segment", "audience")}),
        ("When it runs", {"fields": (*SCHEDULE_FIELDS, "next_times")}),
        (
            "When it may reach a reader",
            {
                "fields": WINDOW_FIELDS,
                "description": "Hours of the reader's own time zone; of this campaign's for readers without one. "
                "Quiet hours, frequency caps and days without mail of all campaigns hold besides: see Sending rules.",
            },
        ),
        ("Review and sending", {"fields": ("review_policy", "send_policy")}),
        (
            "Links and counting",
            {"fields": (("utm_source", "utm_medium", "utm_campaign"), "count_clicks", "count_opens")},
        ),
    )
    conditional_fields: ClassVar[dict[str, str]] = {
        "schedule_at": "schedule == 'once'",
        "schedule_time": "schedule == 'daily' || schedule == 'weekly'",
        "schedule_days": "schedule == 'weekly'",
        "schedule_cron": "schedule == 'cron'",
        "entry": "schedule == 'always_on'",
        "entry_event": "schedule == 'always_on' && entry == 'event'",
        "reentry_days": "schedule == 'always_on'",
        "takes_present": "schedule == 'always_on' && entry == 'segment'",
        "missed_policy": "schedule != 'manual' && schedule != 'always_on'",
    }

    def get_queryset(self, request: HttpRequest) -> Any:
        waiting = Run.objects.filter(
            campaign=OuterRef("pk"), pieces__status="in_review", pieces__planted=False
        ).order_by()
        counted = waiting.values("campaign").annotate(n=Count("pieces")).values("n")
        found: QuerySet[Any] = brand_access.visible(
            super().get_queryset(request).select_related("brand", "segment"), request.user, "brand"
        )
        return found.annotate(waiting=Coalesce(Subquery(counted, output_field=IntegerField()), 0))

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "brand":
            kwargs["queryset"] = brand_access.visible(Brand.objects.order_by("name"), request.user, "pk")
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    @admin.display(description="Campaign")
    def what(self, campaign: Campaign) -> SafeString:
        return stack(campaign.name, f"{campaign.brand.name} · {campaign.goal}")

    @admin.display(description="Channels")
    def channel_badges(self, campaign: Campaign) -> SafeString:
        labels = [Channel(c).label for c in campaign.channels if c in Channel.values]
        return format_html(
            '<span class="pz-badges">{}</span>', format_html_join("", "{}", ((badge(x),) for x in labels))
        )

    @admin.display(description="When")
    def when(self, campaign: Campaign) -> SafeString:
        due = ""
        if campaign.next_run_at and campaign.schedule != ScheduleKind.ALWAYS_ON:
            due = f"next {campaign.next_run_at:%d %b, %H:%M} UTC"
        words = schedules.describe(campaign)
        return stack(words[:1].upper() + words[1:], due)

    @admin.display(description="In review")
    def in_review(self, campaign: Any) -> SafeString:
        return badge(f"{campaign.waiting:,}", "warn" if campaign.waiting else "quiet")

    @admin.display(description="Status")
    def status_badge(self, campaign: Campaign) -> SafeString:
        return badge(
            campaign.get_status_display(), TONE[CampaignStatus(campaign.status)], title=campaign.held_because
        )

    @admin.display(description="Next five times")
    def next_times(self, campaign: Campaign) -> SafeString | str:
        return format_html(
            '<div id="pz-times" data-source="{}" aria-live="polite">{}</div>',
            reverse("admin:campaigns_campaign_times"),
            self._next_times(campaign),
        )

    def _next_times(self, campaign: Campaign) -> SafeString | str:
        if campaign.pk is None or campaign.schedule == ScheduleKind.MANUAL:
            return "It runs when somebody launches it."
        words = schedules.describe(campaign)
        try:
            times = schedules.upcoming(campaign, count=5)
        except DomainError as error:
            return str(error)
        if not times and campaign.schedule == ScheduleKind.ONCE:
            return "No time to come: choose a later one."
        rows = format_html_join(
            "", "<li>{}</li>", ((f"{t:%A, %d %B %Y, %H:%M} ({t.tzname()})",) for t in times)
        )
        return format_html('<p>{}.</p><ol class="pz-plain">{}</ol>', words[:1].upper() + words[1:], rows)

    # -- the form --------------------------------------------------------------------------------

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        made = cast(type[CampaignForm], super().get_form(request, obj, change, **kwargs))
        made.may_launch = request.user.has_perm("campaigns.launch_campaign")
        made.editor = person(request)
        return made

    def save_model(
        self, request: HttpRequest, obj: Campaign, form: forms.ModelForm[Any], change: bool
    ) -> None:
        if not change:
            obj.created_by_id = person(request).pk
        super().save_model(request, obj, form, change)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        # An active campaign's next time follows its schedule; the form made sure that the person may do this.
        if form.instance.status == CampaignStatus.ACTIVE and set(SCHEDULE_FIELDS) & set(form.changed_data):
            attempt(request, lambda: schedules.activate(campaign=form.instance, by=person(request)), done="")
        if set(SCHEDULE_FIELDS) & set(form.changed_data):
            self._say_when(request, form.instance)

    def _say_when(self, request: HttpRequest, campaign: Campaign) -> None:
        times = schedules.upcoming(campaign, count=5)
        if times:
            shown = "; ".join(f"{when:%a %d %b, %H:%M}" for when in times)
            rest = "" if campaign.status == CampaignStatus.ACTIVE else " once it is started"
            messages.info(request, f"Next times{rest} ({times[0].tzinfo}): {shown}.")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        if obj is not None and obj.runs.exists():
            return False  # what was written for it must stay explainable: archive it
        return super().has_delete_permission(request, obj)

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:  # fmt: skip
        context = dict(extra_context or {})
        campaign = self.get_object(request, object_id) if object_id else None
        if campaign is not None:
            launch = request.user.has_perm("campaigns.launch_campaign")
            status = CampaignStatus(campaign.status)
            scheduled = campaign.schedule != ScheduleKind.MANUAL
            context |= {
                "campaign": campaign,
                "tone": TONE[status],
                "problems": briefs.problems(campaign),
                "may": {
                    "dry_run": request.user.has_perm("campaigns.view_profile"),
                    "launch": launch
                    and status in (CampaignStatus.DRAFT, CampaignStatus.ACTIVE)
                    and campaign.schedule != ScheduleKind.ALWAYS_ON,
                    "start": launch and scheduled and status == CampaignStatus.DRAFT,
                    "pause": launch and status == CampaignStatus.ACTIVE,
                    "resume": launch and status == CampaignStatus.PAUSED,
                    "archive": launch and status != CampaignStatus.ARCHIVED,
                },
                "recent_runs": self._runs(campaign),
            }
        return super().changeform_view(request, object_id, form_url, context)

    def _runs(self, campaign: Campaign) -> list[dict[str, Any]]:
        runs = list(campaign.runs.order_by("-created_at")[:RUNS_SHOWN])
        counted = (
            Run.objects.filter(pk__in=[run.pk for run in runs])
            .order_by()
            .annotate(
                total=Count("pieces", filter=Q(pieces__planted=False)),
                left=Count("pieces", filter=Q(pieces__status__in=("draft", "generating"))),
                waiting=Count("pieces", filter=Q(pieces__status="in_review", pieces__planted=False)),
                sent=Count("pieces", filter=Q(pieces__status="delivered")),
            )
        )
        by_id = {run.pk: run for run in counted}
        return [
            {
                "run": run,
                "total": by_id[run.pk].total,
                "written": by_id[run.pk].total - by_id[run.pk].left,
                "waiting": by_id[run.pk].waiting,
                "sent": by_id[run.pk].sent,
                "percent": round(100 * (1 - by_id[run.pk].left / by_id[run.pk].total))
                if by_id[run.pk].total
                else 100,
            }
            for run in runs
        ]

    # -- starting and stopping -------------------------------------------------------------------

    def pages(self) -> list[URLPattern]:
        return [
            self.at("calendar/", self.calendar, "campaigns_campaign_calendar"),
            self.at("times/", self.times, "campaigns_campaign_times"),
            self.at("<int:pk>/start/", self.start, "campaigns_campaign_start"),
            self.at("<int:pk>/pause/", self.pause, "campaigns_campaign_pause"),
            self.at("<int:pk>/archive/", self.archive, "campaigns_campaign_archive"),
        ]

    @method_decorator(require_GET)
    def calendar(self, request: HttpRequest) -> HttpResponse:
        return calendar.calendar(self, request)

    @method_decorator(require_GET)
    def times(self, request: HttpRequest) -> HttpResponse:
        return calendar.times(request)

    @method_decorator(require_http_methods(["GET", "POST"]))
    def start(self, request: HttpRequest, pk: int) -> HttpResponse:
        return self._change(
            request, pk, schedules.activate, "Start",
            "The campaign becomes active: its schedule counts, and it may be launched by hand.",
            "The campaign is active.",
        )  # fmt: skip

    @method_decorator(require_http_methods(["GET", "POST"]))
    def pause(self, request: HttpRequest, pk: int) -> HttpResponse:
        return self._change(
            request, pk, schedules.pause, "Pause",
            "Nothing of this campaign is written, sent or started until it is resumed.", "The campaign is paused.",
        )  # fmt: skip

    @method_decorator(require_http_methods(["GET", "POST"]))
    def archive(self, request: HttpRequest, pk: int) -> HttpResponse:
        return self._change(
            request, pk, schedules.archive, "Archive",
            "The campaign is closed for good: no new runs. What its runs hold stays to be read.",
            "The campaign is archived.", danger=True,
        )  # fmt: skip

    def _change(
        self, request: HttpRequest, pk: int, deed: Callable[..., Any], verb: str, sentence: str, done: str,
        *, danger: bool = False,
    ) -> HttpResponse:  # fmt: skip
        need(request, "campaigns.launch_campaign")
        campaign = self.load(request, pk)
        back = reverse("admin:campaigns_campaign_change", args=[pk])
        if request.method == "POST":
            if attempt(request, lambda: deed(campaign=campaign, by=person(request)), done=done):
                log(request, campaign, done)
            return HttpResponseRedirect(back)
        found = briefs.problems(campaign) if verb == "Start" else []
        return confirm(
            self,
            request,
            Confirmation(
                title=f"{verb} “{campaign.name}”?",
                sentence=sentence,
                button=verb,
                back=back,
                danger=danger,
                blocked=" ".join(problem.message for problem in found),
            ),
        )

    def response_add(
        self, request: HttpRequest, obj: Campaign, post_url_continue: str | None = None
    ) -> HttpResponse:
        """Straight to the campaign's page: what is missing is listed there."""
        messages.success(request, "Saved. What still keeps it from being launched is listed at the top.")
        return HttpResponseRedirect(reverse("admin:campaigns_campaign_change", args=[obj.pk]))
