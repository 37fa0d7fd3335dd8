"""Saved choices of people."""

from __future__ import annotations

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from pgvector.django import HalfVectorField

from campaigns.models.people import EMBEDDING_DIMENSION


class Segment(models.Model):
    """A filter over allow-listed fields, and/or 'people like …' by embedding.

    `filter` is a JSON syntax tree checked by `campaigns.segments`: {"all": [{"field": "lifecycle", "op": "is",
    "value": "lapsed"}, {"any": [...]}, {"not": {...}}]}; {} means everybody. `like_vector` is computed by
    generation from `like_text`; with it, the `like_count` nearest people that pass the filter are meant.
    """

    name = models.CharField(max_length=100)
    slug = models.SlugField(unique=True)
    filter = models.JSONField(default=dict, blank=True)
    like_text = models.CharField(max_length=300, blank=True, help_text="'People like …', in words")
    like_count = models.PositiveIntegerField(
        default=1000, validators=[MinValueValidator(1), MaxValueValidator(1_000_000)]
    )
    like_vector = HalfVectorField(dimensions=EMBEDDING_DIMENSION, null=True, blank=True, editable=False)
    like_hash = models.CharField(max_length=64, blank=True, editable=False)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return self.name
