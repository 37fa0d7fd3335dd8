"""Imports: a file is uploaded, its columns are mapped, a dry run says what would happen, then it is taken in."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.files.uploadedfile import UploadedFile
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, reverse
from django.utils.decorators import method_decorator
from django.utils.safestring import SafeString
from django.views.decorators.http import require_http_methods
from unfold.widgets import UnfoldAdminFileFieldWidget, UnfoldAdminRadioSelectWidget

from campaigns import importing
from campaigns.importing import uploads
from campaigns.importing.mapping import REQUIRED, TARGETS
from campaigns.models import AttributeDefinition, Import, ImportKind, ImportStatus
from campaigns.models.channels import PERSONAL_CHANNELS
from campaigns.sensitive import is_secret_name
from personalize.core.admin_pages import ReadOnlyPage, badge, log, moment, need, person, stack
from personalize.core.errors import DomainError

MOST_MEGABYTES = 50  # read within one request; larger files go by the command, which shows its progress
PROBLEMS_SHOWN = 100
TONE = {ImportStatus.RUNNING: "info", ImportStatus.DONE: "good", ImportStatus.FAILED: "bad"}
RUNNERS = {
    ImportKind.PROFILES: importing.import_profiles,
    ImportKind.EVENTS: importing.import_events,
    ImportKind.PRODUCTS: importing.import_products,
}


class UploadForm(forms.Form):
    kind = forms.ChoiceField(
        choices=ImportKind.choices,
        initial=ImportKind.PROFILES,
        widget=UnfoldAdminRadioSelectWidget,
        label="What is in the file?",
    )
    file = forms.FileField(
        widget=UnfoldAdminFileFieldWidget,
        help_text=f"CSV, tab-separated or JSON, up to {MOST_MEGABYTES} MB. Nothing is stored before you say so.",
    )

    def clean_file(self) -> UploadedFile[Any]:
        file: UploadedFile[Any] = self.cleaned_data["file"]
        if (file.size or 0) > MOST_MEGABYTES * 1024 * 1024:
            raise forms.ValidationError(
                f"The file is larger than {MOST_MEGABYTES} MB. Use the command: manage.py import_profiles FILE"
            )
        return file


@admin.register(Import)
class ImportPage(ReadOnlyPage):
    list_display = ("what", "kind_badge", "counts", "problem_count", "status_badge", "began")
    list_filter = ("kind", "status", "dry_run")
    ordering = ("-started_at",)
    sortable_by = ()
    fields = (
        "file_name", "kind", "dry_run", "status", "error", "rows", "created", "updated", "unchanged", "refused",
        "problem_count", "ignored", "mapping", "started_by", "started_at", "finished_at",
    )  # fmt: skip
    change_form_outer_after_template = "admin/campaigns/import/problems.html"
    empty_title = "Nothing was imported yet"
    empty_help = (
        "Upload people, events or products. You see the mapping and a dry run before anything is stored."
    )
    empty_link = ("Upload a file", "admin:campaigns_import_upload")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("started_by")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("campaigns.add_import")

    @admin.display(description="Started")
    def began(self, row: Import) -> SafeString | str:
        return moment(row.started_at)

    @admin.display(description="File")
    def what(self, row: Import) -> SafeString:
        who = row.started_by.get_username() if row.started_by else "command"
        return stack(row.file_name, f"{'dry run, ' if row.dry_run else ''}by {who}")

    @admin.display(description="Kind")
    def kind_badge(self, row: Import) -> SafeString:
        return badge(row.get_kind_display(), "plain")

    @admin.display(description="Rows")
    def counts(self, row: Import) -> SafeString:
        return stack(
            f"{row.rows:,}", f"{row.created:,} new, {row.updated:,} changed, {row.refused:,} refused"
        )

    @admin.display(description="Status")
    def status_badge(self, row: Import) -> SafeString:
        return badge(row.get_status_display(), TONE[ImportStatus(row.status)], title=row.error)

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:  # fmt: skip
        context = dict(extra_context or {})
        row = self.get_object(request, object_id) if object_id else None
        if row is not None:
            context["problems"] = row.problems.order_by("row")[:PROBLEMS_SHOWN]
        return super().changeform_view(request, object_id, form_url, context)

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        need(request, "campaigns.add_import")
        return HttpResponseRedirect(reverse("admin:campaigns_import_upload"))

    def pages(self) -> list[URLPattern]:
        return [
            self.at("upload/", self.upload, "campaigns_import_upload"),
            self.at("upload/<str:kind>/<str:token>/", self.mapping_page, "campaigns_import_map"),
        ]

    @method_decorator(require_http_methods(["GET", "POST"]))
    def upload(self, request: HttpRequest) -> HttpResponse:
        need(request, "campaigns.add_import")
        form = UploadForm(request.POST or None, request.FILES or None)
        if request.method == "POST" and form.is_valid():
            uploads.forget_old()
            token = uploads.keep(form.cleaned_data["file"])
            address = reverse("admin:campaigns_import_map", args=[form.cleaned_data["kind"], token])
            return HttpResponseRedirect(address)
        context = self.frame(request, title="Import a file", form=form, most=MOST_MEGABYTES)
        return TemplateResponse(request, "admin/campaigns/import/upload.html", context)

    @method_decorator(require_http_methods(["GET", "POST"]))
    def mapping_page(self, request: HttpRequest, kind: str, token: str) -> HttpResponse:
        """The columns beside our fields. `go=dry` tries it, `go=import` takes it in and forgets the file."""
        need(request, "campaigns.add_import")
        if kind not in ImportKind.values:
            raise Http404
        try:
            path = uploads.find(token)
        except uploads.UploadGone as error:
            raise Http404(str(error)) from error
        attributes = list(AttributeDefinition.objects.order_by("name").values_list("name", flat=True))
        try:
            headers = importing.headers_of(path)
        except DomainError as error:
            messages.error(request, str(error))
            return HttpResponseRedirect(reverse("admin:campaigns_import_upload"))
        chosen = importing.propose_mapping(headers, kind=kind, attributes=attributes)
        result: Import | None = None
        if request.method == "POST":
            chosen = _posted(request, kind, attributes, headers)
            dry = request.POST.get("go") != "import"
            try:
                result = RUNNERS[ImportKind(kind)](path=path, mapping=chosen, dry_run=dry, by=person(request))
            except DomainError as error:
                messages.error(request, str(error))
            else:
                if not dry:
                    uploads.forget(path)
                    log(request, result, "Imported.")
                    messages.success(
                        request, f"Imported: {result.created:,} new, {result.updated:,} changed."
                    )
                    return HttpResponseRedirect(reverse("admin:campaigns_import_change", args=[result.pk]))
        used = set(chosen.values())
        context = self.frame(
            request,
            title=f"Import {ImportKind(kind).label.lower()}: {path.name}",
            rows=_rows(kind, attributes, headers, chosen),
            unused=[h for h in headers if h not in used],
            secret=[h for h in headers if is_secret_name(h)],
            result=result,
            problems=result.problems.order_by("row")[:PROBLEMS_SHOWN] if result else (),
            kind_label=ImportKind(kind).label.lower(),
        )
        return TemplateResponse(request, "admin/campaigns/import/map.html", context)


def _targets(kind: str, attributes: list[str]) -> list[str]:
    more = []
    if kind == ImportKind.PROFILES:
        more = [f"consent.{channel}" for channel in PERSONAL_CHANNELS] + [
            f"attribute.{a}" for a in attributes
        ]
    return [*TARGETS[kind], *more]


def _rows(
    kind: str, attributes: list[str], headers: list[str], chosen: dict[str, str]
) -> list[dict[str, Any]]:
    usable = [(h, h) for h in headers if not is_secret_name(h)]
    rows = []
    for target in _targets(kind, attributes):
        special: list[tuple[str, str]] = []
        if target == "external_id" and kind != ImportKind.PRODUCTS:
            special = [
                (":=contact", "made from the e-mail address or telephone"),
                (":=row", "made from the row's number"),
            ]
        held = chosen.get(target, "")
        if held.startswith(":=") and held not in dict(special):
            special.append((held, f"always “{held[2:]}”"))
        group, _, name = target.rpartition(".")
        rows.append(
            {
                "name": target,
                "label": f"{'may get' if group == 'consent' else group} {name.replace('_', ' ')}".strip().capitalize(),
                "required": target in REQUIRED[kind],
                "options": [*special, *usable],
                "chosen": held,
            }
        )
    return rows


def _posted(request: HttpRequest, kind: str, attributes: list[str], headers: list[str]) -> dict[str, str]:
    """The mapping as posted: known fields, columns of this file or our own words, nothing else."""
    found = {}
    for target in _targets(kind, attributes):
        value = request.POST.get(f"to_{target}", "")
        if value in headers or value.startswith(":="):
            found[target] = value[:200]
    return found
