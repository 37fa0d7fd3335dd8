"""Imports: a file is uploaded, its columns are mapped, a dry run says what would happen, then a worker takes it in."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.files.uploadedfile import UploadedFile
from django.db.models import QuerySet
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseRedirect,
    JsonResponse,
    StreamingHttpResponse,
)
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, reverse
from django.utils.decorators import method_decorator
from django.utils.safestring import SafeString
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from unfold.widgets import (
    UnfoldAdminFileFieldWidget,
    UnfoldAdminRadioSelectWidget,
    UnfoldAdminTextInputWidget,
)

from campaigns.admin import import_columns
from campaigns.importing import Options, jobs, uploads
from campaigns.models import Import, ImportKind, ImportSource, ImportStatus, Upload
from personalize.core.admin_pages import ReadOnlyPage, attempt, badge, log, moment, need, person, stack
from personalize.core.errors import DomainError
from personalize.core.spreadsheets import defuse

MOST_MEGABYTES = 200  # larger files go by the command, which reads them where they lie
PROBLEMS_SHOWN = 100
TONE = {
    ImportStatus.QUEUED: "plain",
    ImportStatus.RUNNING: "info",
    ImportStatus.DONE: "good",
    ImportStatus.FAILED: "bad",
    ImportStatus.CANCELLED: "warn",
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
        help_text=f"CSV or any other delimited text, JSON, JSON lines or Parquet, up to {MOST_MEGABYTES} MB. "
        "Nothing is stored before you say so.",
    )
    source = forms.CharField(
        required=False,
        max_length=100,
        label="Where is it from?",
        widget=UnfoldAdminTextInputWidget(attrs={"list": "sources", "autocomplete": "off"}),
        help_text="Such as “HubSpot, weekly”. The next file of this name is proposed the same columns. "
        "May stay empty.",
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
    empty_title = "Nothing was imported yet"
    empty_help = (
        "Upload people, events or products. You see the mapping and a dry run before anything is stored."
    )
    empty_link = ("Upload a file", "admin:campaigns_import_upload")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("started_by", "upload")

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

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        need(request, "campaigns.add_import")
        return HttpResponseRedirect(reverse("admin:campaigns_import_upload"))

    def pages(self) -> list[URLPattern]:
        return [
            self.at("upload/", self.upload, "campaigns_import_upload"),
            self.at("upload/<str:kind>/<str:token>/", self.mapping_page, "campaigns_import_map"),
            self.at("<int:pk>/progress/", self.progress, "campaigns_import_progress"),
            self.at("<int:pk>/problems.csv", self.problems_file, "campaigns_import_problems"),
            self.at("<int:pk>/take-in/", self.take_in, "campaigns_import_take_in"),
            self.at("<int:pk>/cancel/", self.cancel, "campaigns_import_cancel"),
            self.at("<int:pk>/resume/", self.resume, "campaigns_import_resume"),
        ]

    # -- one: the file -------------------------------------------------------------------------------

    @method_decorator(require_http_methods(["GET", "POST"]))
    def upload(self, request: HttpRequest) -> HttpResponse:
        need(request, "campaigns.add_import")
        form = UploadForm(request.POST or None, request.FILES or None)
        if request.method == "POST" and form.is_valid():
            kind = form.cleaned_data["kind"]
            token = uploads.keep(
                form.cleaned_data["file"], source=form.cleaned_data["source"], by=person(request)
            )
            jobs.compare_names(upload=uploads.find(token), kind=kind)
            return HttpResponseRedirect(reverse("admin:campaigns_import_map", args=[kind, token]))
        context = self.frame(
            request,
            title="Import a file",
            form=form,
            most=MOST_MEGABYTES,
            sources=ImportSource.objects.order_by("name").values_list("name", flat=True).distinct()[:50],
        )
        return TemplateResponse(request, "admin/campaigns/import/upload.html", context)

    # -- two: the columns ----------------------------------------------------------------------------

    @method_decorator(require_http_methods(["GET", "POST"]))
    def mapping_page(self, request: HttpRequest, kind: str, token: str) -> HttpResponse:
        """The columns beside our fields. A POST has a worker try it (`go=dry`) or take it in (`go=import`)."""
        need(request, "campaigns.add_import")
        if kind not in ImportKind.values:
            raise Http404
        try:
            upload = uploads.find(token)
            with uploads.copy(upload) as path:
                seen = import_columns.look(path, upload, kind)
        except uploads.UploadGone as error:
            raise Http404(str(error)) from error
        except DomainError as error:
            messages.error(request, str(error))
            return HttpResponseRedirect(reverse("admin:campaigns_import_upload"))
        chosen = {target: column for target, (column, _) in seen.proposal.items()}
        options = seen.options
        if request.method == "POST":
            chosen = import_columns.posted(request.POST, kind, seen.headers)
            upload.source = request.POST.get("source", upload.source).strip()[:100]
            upload.save(update_fields=["source"])
            try:
                options = import_columns.posted_options(request.POST)
                record = self._start(request, upload, ImportKind(kind), chosen, options, seen.headers)
            except DomainError as error:
                messages.error(request, str(error))
            else:
                return HttpResponseRedirect(reverse("admin:campaigns_import_change", args=[record.pk]))
        elif last := self._last(request, upload, kind):  # back from a dry run: what was chosen stays
            chosen, options = last.mapping, Options.of(last.options)
        context = self.frame(
            request,
            title=f"Import {ImportKind(kind).label.lower()}: {upload.file_name}",
            upload=upload,
            rows=import_columns.table(kind, seen, chosen),
            columns=import_columns.columns(seen, chosen),
            note=seen.note,
            options=options,
            kind=kind,
            kind_label=ImportKind(kind).label.lower(),
        )
        return TemplateResponse(request, "admin/campaigns/import/map.html", context)

    def _start(
        self, request: HttpRequest, upload: Upload, kind: ImportKind, chosen: dict[str, str], options: Options,
        headers: list[str],
    ) -> Import:  # fmt: skip
        dry = request.POST.get("go") != "import"
        record = jobs.start(
            upload=upload, kind=kind, mapping=chosen, options=options, dry_run=dry, by=person(request),
            headers=headers,
        )  # fmt: skip
        if not dry:
            log(request, record, "Import started.")
        return record

    def _last(self, request: HttpRequest, upload: Upload, kind: str) -> Import | None:
        found: Import | None = (
            self.get_queryset(request).filter(upload=upload, kind=kind).order_by("-pk").first()
        )
        return found

    # -- three and four: the dry run, the import -----------------------------------------------------

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:  # fmt: skip
        row: Import = self.to_read(request, object_id)
        if request.method != "GET":
            return HttpResponse(status=405)
        context = self.frame(
            request,
            title=row.file_name,
            problems=row.problems.order_by("row", "id")[:PROBLEMS_SHOWN],
            may_start=request.user.has_perm("campaigns.add_import"),
            has_file=row.upload is not None,
            pairs=[(ours, theirs) for ours, theirs in sorted(row.mapping.items())],
            **self._standing(row),
        )
        return TemplateResponse(request, "admin/campaigns/import/page.html", context)

    def _standing(self, row: Import) -> dict[str, Any]:
        done = 100 if row.status == ImportStatus.DONE else 0
        if row.bytes_total and not done:
            done = min(99, round(100 * row.bytes_read / row.bytes_total))
        return {
            "import": row,
            "row": row,
            "busy": row.is_busy,
            "percent": done,
            "tone": TONE[ImportStatus(row.status)],
            "seconds_left": jobs.seconds_left(row),
        }

    @method_decorator(require_GET)
    def progress(self, request: HttpRequest, pk: int) -> HttpResponse:
        need(request, "campaigns.view_import")
        standing = self._standing(self.load(request, pk))
        html = render_to_string("admin/campaigns/import/progress.html", standing)
        return JsonResponse({"html": html, "busy": standing["busy"]})

    @method_decorator(require_POST)
    def take_in(self, request: HttpRequest, pk: int) -> HttpResponse:
        """A dry run that was read, for good."""
        need(request, "campaigns.add_import")
        tried: Import = self.load(request, pk)
        if not tried.dry_run or tried.upload is None:
            messages.error(request, "Its file is no longer kept: upload it again.")
            return HttpResponseRedirect(reverse("admin:campaigns_import_change", args=[pk]))
        record = jobs.start(
            upload=tried.upload,
            kind=ImportKind(tried.kind),
            mapping=tried.mapping,
            options=Options.of(tried.options),
            dry_run=False,
            by=person(request),
        )
        log(request, record, "Import started.")
        return HttpResponseRedirect(reverse("admin:campaigns_import_change", args=[record.pk]))

    @method_decorator(require_POST)
    def cancel(self, request: HttpRequest, pk: int) -> HttpResponse:
        need(request, "campaigns.add_import")
        record = self.load(request, pk)
        if jobs.cancel(record=record):
            log(request, record, "Import stopped.")
            messages.success(request, "Stopped. What was stored before stays.")
        else:
            messages.error(request, "It had ended already.")
        return HttpResponseRedirect(reverse("admin:campaigns_import_change", args=[pk]))

    @method_decorator(require_POST)
    def resume(self, request: HttpRequest, pk: int) -> HttpResponse:
        need(request, "campaigns.add_import")
        record = self.load(request, pk)
        if attempt(request, lambda: jobs.resume(record=record), done="It goes on where it ended."):
            log(request, record, "Import resumed.")
        return HttpResponseRedirect(reverse("admin:campaigns_import_change", args=[pk]))

    @method_decorator(require_GET)
    def problems_file(self, request: HttpRequest, pk: int) -> HttpResponseBase:
        """Every problem that is kept, for a spreadsheet."""
        need(request, "campaigns.view_import")
        record: Import = self.load(request, pk)
        response = StreamingHttpResponse(_problem_lines(record), content_type="text/csv; charset=utf-8")
        response["Content-Disposition"] = f'attachment; filename="problems-of-import-{record.pk}.csv"'
        return response


class _Echo:
    def write(self, text: str) -> str:
        return text


def _problem_lines(record: Import) -> Iterator[str]:
    writer = csv.writer(_Echo())
    yield "\ufeff" + writer.writerow(["row", "field", "row refused", "what to do"])
    found = record.problems.order_by("row", "id").values_list("row", "field", "refused", "message")
    for number, field, refused, message in found.iterator(chunk_size=2_000):
        yield writer.writerow([number, defuse(field), "yes" if refused else "no", defuse(message)])
