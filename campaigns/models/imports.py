"""Files that were read in, and the rows that could not be."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class ImportKind(models.TextChoices):
    PROFILES = "profiles", "People"
    EVENTS = "events", "Events"
    PRODUCTS = "products", "Products"


class ImportStatus(models.TextChoices):
    QUEUED = "queued", "Waiting"
    RUNNING = "running", "Running"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Stopped"


class Upload(models.Model):
    """A file on its way in, kept in parts for a few hours so that any process of ours can read it.

    Its parts lie in an unlogged table: neither in the write-ahead log nor on a replica. A crash of the database
    empties it, and the file is uploaded again.
    """

    token = models.CharField(max_length=32, unique=True)  # finds it; nobody can guess it
    file_name = models.CharField(max_length=100)
    size = models.PositiveBigIntegerField()  # bytes
    source = models.CharField(max_length=100, blank=True)  # name of an ImportSource, known or new
    # column -> [our field, likeness of the two names from 0 to 1], found by the embedding model in a worker
    likeness = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    uploaded_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True
    )

    def __str__(self) -> str:
        return self.file_name


class UploadPart(models.Model):
    upload = models.ForeignKey(Upload, on_delete=models.CASCADE, related_name="parts")
    number = models.PositiveIntegerField()
    data = models.BinaryField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["upload", "number"], name="upload_part_once")]

    def __str__(self) -> str:
        return f"part {self.number}"


class ImportSource(models.Model):
    """Where files come from again and again, with the mapping and the options a person confirmed last."""

    name = models.CharField(max_length=100)
    kind = models.CharField(max_length=10, choices=ImportKind.choices)
    mapping = models.JSONField(default=dict)  # our field -> their column
    options = models.JSONField(default=dict, blank=True)
    confirmed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True
    )
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["kind", "name"], name="import_source_once")]

    def __str__(self) -> str:
        return self.name


class Import(models.Model):
    """One file. Row counts grow while it runs; a dry run counts and stores nothing else.

    rows = created + updated + unchanged + refused. `problem_count` counts every problem, also those of rows that
    were kept without the bad value, and goes on when no more ImportProblem rows are stored. Who works at it holds
    its `lease` and shows a sign of life (`alive_at`) with every chunk; without one another worker goes on.
    """

    kind = models.CharField(max_length=10, choices=ImportKind.choices)
    file_name = models.CharField(max_length=200)
    mapping = models.JSONField(default=dict)  # our field -> their column
    source = models.CharField(max_length=100, blank=True, help_text="Written beside each consent it brings")
    options = models.JSONField(default=dict, blank=True)
    dry_run = models.BooleanField(default=False)
    upload = models.ForeignKey(
        Upload, on_delete=models.SET_NULL, null=True, blank=True, related_name="imports"
    )
    status = models.CharField(max_length=10, choices=ImportStatus.choices, default=ImportStatus.RUNNING)
    lease = models.CharField(max_length=32, blank=True, editable=False)
    alive_at = models.DateTimeField(null=True, blank=True, editable=False)
    rows = models.PositiveIntegerField(default=0)
    created = models.PositiveIntegerField(default=0)
    updated = models.PositiveIntegerField(default=0)
    unchanged = models.PositiveIntegerField(default=0)  # known already, to the letter
    refused = models.PositiveIntegerField(default=0)
    stopped = models.PositiveIntegerField(default=0)  # addresses the file said nothing may be sent to
    problem_count = models.PositiveIntegerField(default=0)
    ignored = models.JSONField(default=list, blank=True)  # names of attributes that nobody defined
    bytes_read = models.PositiveBigIntegerField(default=0)
    bytes_total = models.PositiveBigIntegerField(default=0)
    error = models.CharField(max_length=500, blank=True)
    started_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    started_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["status", "alive_at"],
                name="import_unfinished",
                condition=models.Q(status__in=("queued", "running")),
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.file_name}"

    @property
    def is_busy(self) -> bool:
        return self.status in (ImportStatus.QUEUED, ImportStatus.RUNNING)


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
