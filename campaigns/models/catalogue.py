"""What can be offered."""

from __future__ import annotations

from django.db import models
from pgvector.django import HalfVectorField, HnswIndex

from campaigns.models.people import EMBEDDING_DIMENSION


class Product(models.Model):
    """A catalogue item. What a reader might like is found by the similarity of its embedding."""

    sku = models.CharField(max_length=64, unique=True)
    name = models.CharField(max_length=200)
    noun_phrase = models.CharField(
        max_length=80,
        blank=True,
        help_text="As said in a sentence, in words without digits: 'a moka pot'",
    )
    category = models.CharField(max_length=80, blank=True, db_index=True)
    description = models.TextField(blank=True)
    price = models.DecimalField(max_digits=12, decimal_places=2, null=True, blank=True)
    currency = models.CharField(max_length=3, blank=True)
    url = models.URLField(max_length=500, blank=True)
    is_available = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return self.name


class ProductEmbedding(models.Model):
    """A product's name, category and description as a unit vector."""

    product = models.OneToOneField(
        Product, on_delete=models.CASCADE, primary_key=True, related_name="embedding"
    )
    model = models.CharField(max_length=120)
    content_hash = models.CharField(max_length=64)
    vector = HalfVectorField(dimensions=EMBEDDING_DIMENSION)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        indexes = [
            HnswIndex(
                name="product_vector_hnsw",
                fields=["vector"],
                m=16,
                ef_construction=64,
                opclasses=["halfvec_cosine_ops"],
            )
        ]

    def __str__(self) -> str:
        return f"{self.product_id} {self.model}"
