"""Reports of mail providers: whether they arrive, and whether they are about mails of ours."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.utils.safestring import SafeString

from delivery import providers
from delivery.models import ReportTally, ReportVerdict
from personalize.core.admin_pages import ReadOnlyPage, badge, moment, stack

TONE = {
    ReportVerdict.STORED: "good",
    ReportVerdict.REPEATED: "quiet",
    ReportVerdict.UNKNOWN: "warn",
    ReportVerdict.IGNORED: "quiet",
}


@admin.register(ReportTally)
class ReportTallyPage(ReadOnlyPage):
    list_display = ("what", "verdict_badge", "count", "day", "last")
    list_filter = ("provider", "verdict", "day")
    ordering = ("-day", "provider", "event", "verdict")
    sortable_by = ()
    fields = ("provider", "day", "event", "verdict", "count", "last_at")
    empty_title = "No provider has reported anything yet"
    empty_help = (
        "Give your mail provider the address /hooks/mail/ with its name, and set its secret in ANYMAIL: "
        "docs/outcomes.md says how. Each kind of report is one row a day."
    )

    @admin.display(description="Provider")
    def what(self, row: ReportTally) -> SafeString:
        known = providers.PROVIDERS.get(row.provider)
        return stack(known.name if known else row.provider, row.event)

    @admin.display(description="What became of them")
    def verdict_badge(self, row: ReportTally) -> SafeString:
        return badge(row.get_verdict_display(), TONE[ReportVerdict(row.verdict)])

    @admin.display(description="Last")
    def last(self, row: ReportTally) -> SafeString | str | Any:
        return moment(row.last_at)
