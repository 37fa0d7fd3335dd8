"""Writer versions: which weights and prompt wrote what, and whether they were ever tuned."""

from __future__ import annotations

from django.contrib import admin
from django.utils.safestring import SafeString

from generation.models import ModelVersion
from personalize.core.admin_pages import ReadOnlyPage, badge, moment, stack


@admin.register(ModelVersion)
class ModelVersionPage(ReadOnlyPage):
    list_display = ("what", "prompt_version", "tuned", "active", "since")
    ordering = ("-is_active", "-created_at")
    sortable_by = ()
    empty_title = "No writer yet"
    empty_help = (
        "A version is noted down with the first launch: base weights, adapter and prompt format, by hash."
    )
    fields = (
        "name", "base", "adapter", "is_tuned", "prompt_version", "model_hash", "settings", "metrics",
        "is_active", "created_at",
    )  # fmt: skip

    @admin.display(description="Since")
    def since(self, row: ModelVersion) -> SafeString | str:
        return moment(row.created_at)

    @admin.display(description="Writer")
    def what(self, version: ModelVersion) -> SafeString:
        return stack(version.name, version.base)

    @admin.display(description="Training")
    def tuned(self, version: ModelVersion) -> SafeString:
        return badge("Tuned", "good") if version.is_tuned else badge("Untuned base model", "warn")

    @admin.display(description="In use")
    def active(self, version: ModelVersion) -> SafeString:
        return badge("Active", "good") if version.is_active else badge("Earlier", "quiet")
