"""Files that were read in, and the rows that could not be."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class ImportKind(models.TextChoices):
    PROFILES = "profiles", "People"
    EVENTS = "events", "Events"
    PRODUCTS = "products", "Products"


class ImportStatus(models.TextChoices):
    RUNNING = "running", "Running"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"


class Import(models.Model):
    """One file. Row counts grow while it runs; a dry run counts and stores nothing else.

    rows = created + updated + unchanged + refused. `problem_count` counts every problem, also those of rows that
    were kept without the bad value, and goes on when no more ImportProblem rows are stored.
    """

    kind = models.CharField(max_length=10, choices=ImportKind.choices)
    file_name = models.CharField(max_length=200)
    mapping = models.JSONField(default=dict)  # our field -> their column
    source = models.CharField(max_length=100, blank=True, help_text="Written beside each consent it brings")
    dry_run = models.BooleanField(default=False)
    status = models.CharField(max_length=10, choices=ImportStatus.choices, default=ImportStatus.RUNNING)
    rows = models.PositiveIntegerField(default=0)
    created = models.PositiveIntegerField(default=0)
    updated = models.PositiveIntegerField(default=0)
    unchanged = models.PositiveIntegerField(default=0)  # known already, to the letter
    refused = models.PositiveIntegerField(default=0)
    problem_count = models.PositiveIntegerField(default=0)
    ignored = models.JSONField(default=list, blank=True)  # names of attributes that nobody defined
    bytes_read = models.PositiveBigIntegerField(default=0)
    bytes_total = models.PositiveBigIntegerField(default=0)
    error = models.CharField(max_length=500, blank=True)
    started_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    started_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.kind} {self.file_name}"


class ImportProblem(models.Model):
    """One problem of one row: where, which field, why and what to do. Holds no personal data."""

    of_import = models.ForeignKey(Import, on_delete=models.CASCADE, related_name="problems")
    row = models.PositiveIntegerField()  # 1 is the first row after the header
    refused = models.BooleanField(default=True)  # False: the row was kept without this value
    field = models.CharField(max_length=100, blank=True)
    message = models.CharField(max_length=300)

    class Meta:
        indexes = [models.Index(fields=["of_import", "row"], name="problem_import_row")]

    def __str__(self) -> str:
        return f"row {self.row}: {self.message}"
