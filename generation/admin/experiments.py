"""A campaign's experiment: who gets nothing, who gets the same copy as all, and which ways to write are tried."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminSelectWidget, UnfoldBooleanWidget

from campaigns import brand_access
from campaigns.admin.forms import RowForm, WordsField, lines
from campaigns.models import Campaign
from generation import arms, experiments, variants
from generation.admin.launching import forecast
from generation.models import Experiment
from generation.models.experiments import MOST_APART
from personalize.core.admin_pages import Page, log, need, person
from personalize.core.errors import DomainError

_NUMBERS = ("holdout_percent", "generic_percent", "window_days", "reward_days", "floor_percent")


class ExperimentForm(RowForm):
    visit_events = WordsField(help_text="Names of events that are a visit, separated by commas")
    purchase_events = WordsField(
        help_text="Names of events that are a conversion; their amounts are the revenue"
    )
    variants = forms.CharField(
        label="Variants",
        required=False,
        widget=lines(4, placeholder="care: speak of how long it lasts"),
        help_text="One a line: a name, a colon, and a hint to the writer. None: everybody's copy is written alike.",
    )

    class Meta:
        model = Experiment
        fields = experiments.SETTINGS
        widgets = {
            **dict.fromkeys(_NUMBERS, UnfoldAdminIntegerFieldWidget),
            "reward": UnfoldAdminSelectWidget,
            "is_adaptive": UnfoldBooleanWidget,
        }

    def clean(self) -> dict[str, Any] | None:
        """Said in words here, since the model's own check would name its constraint."""
        given = super().clean()
        apart = [self.cleaned_data.get(name) or 0 for name in ("holdout_percent", "generic_percent")]
        if sum(apart) > MOST_APART:
            words = f"Hold-out and generic copy together may have at most {MOST_APART} percent."
            self.add_error("holdout_percent", f"{words} Somebody must get the copy that is compared.")
        return given

    def clean_variants(self) -> list[tuple[str, str]]:
        found = []
        for line in filter(str.strip, self.cleaned_data["variants"].splitlines()):
            name, colon, steer = (part.strip() for part in line.partition(":"))
            if not (name and colon and steer):
                raise forms.ValidationError(
                    f"Write a name, a colon and a hint: “{line.strip()[:60]}” is not."
                )
            found.append((name, steer))
        return found


def experiment(page: Page, request: HttpRequest, pk: int) -> HttpResponse:
    """GET shows it to whoever sees campaigns; POST is for those who may change them."""
    need(request, "campaigns.view_campaign")
    if request.method == "POST":
        need(request, "campaigns.change_campaign")
    campaign = (
        brand_access.visible(Campaign.objects.select_related("segment", "brand"), request.user, "brand")
        .filter(pk=pk)
        .first()
    )
    if campaign is None:
        raise Http404
    kept = experiments.of(campaign)
    form = ExperimentForm(
        request.POST if request.method == "POST" else None,
        instance=kept,
        initial={"variants": "\n".join(f"{v.name}: {v.steer}" for v in experiments.variants_of(campaign))},
    )
    if request.method == "POST" and form.is_valid():
        changes = {name: form.cleaned_data[name] for name in experiments.SETTINGS}
        try:
            experiments.save(
                campaign=campaign, by=person(request), changes=changes, variants=form.cleaned_data["variants"]
            )
        except DomainError as error:
            form.add_error(None, str(error))  # beside the form, which keeps what was typed
        else:
            messages.success(
                request, "Saved. Runs launched from now on follow it; those that are open keep theirs."
            )
            log(request, campaign, "Experiment changed.")
            return HttpResponseRedirect(reverse("admin:campaigns_campaign_experiment", args=[pk]))
    may_change = request.user.has_perm("campaigns.change_campaign")
    if not may_change:
        for field in form.fields.values():
            field.disabled = True
    context = page.frame(
        request,
        title=f"Experiment: {campaign.name}",
        campaign=campaign,
        form=form,
        may_change=may_change,
        groups=(
            ("Who is compared", [form["holdout_percent"], form["generic_percent"]]),
            ("What counts", [form["window_days"], form["visit_events"], form["purchase_events"]]),
            (
                "Ways to write",
                [
                    form["variants"],
                    form["is_adaptive"],
                    form["reward"],
                    form["reward_days"],
                    form["floor_percent"],
                ],
            ),
        ),
        forecast=_forecast(campaign),
        lines=_standing(campaign, kept),
        compares=arms.split_of(campaign).compares,
    )
    return TemplateResponse(request, "admin/generation/experiment/page.html", context)


def _forecast(campaign: Campaign) -> Any:
    try:
        return forecast(campaign)
    except DomainError:
        return None


def _standing(campaign: Campaign, kept: Experiment) -> list[dict[str, Any]]:
    """Each variant's counts and what the next run would give it."""
    active = experiments.variants_of(campaign)
    _, _, shared = variants.next_shares(kept, active, seed=0)
    return [{"variant": variant, "share": round(shared[variant.pk] / 100)} for variant in active]
