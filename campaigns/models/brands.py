"""Who speaks. A brand's every saved state is kept, since a run names the version it was written with."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models


class Brand(models.Model):
    """The current state; `version` counts saved states and BrandVersion keeps each."""

    name = models.CharField(max_length=100)
    slug = models.SlugField(unique=True)
    about = models.CharField(max_length=300, help_text="What it does, in one plain sentence without digits")
    voice = models.CharField(max_length=300, help_text="How it speaks: 'warm and plain; short sentences'")
    avoid = ArrayField(
        models.CharField(max_length=60),
        default=list,
        blank=True,
        help_text="Words it never uses, separated by commas",
    )
    sender_name = models.CharField(max_length=100)
    sender_email = models.EmailField()
    reply_to = models.EmailField(blank=True)
    postal_address = models.CharField(max_length=300, help_text="Printed in every mail, as the law asks")
    legal_footer = models.TextField(blank=True)
    own_sites = ArrayField(
        models.CharField(max_length=253),
        default=list,
        blank=True,
        help_text="Hosts of yours, such as shop.example.com, with all below them. Only links to them get utm tags. "
        "Empty: the domain of the sender",
    )
    # See brand_access.py; nobody named: everybody's whose group allows it.
    only_for = models.ManyToManyField(
        settings.AUTH_USER_MODEL, blank=True, related_name="brands_kept", editable=False
    )
    version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        permissions = [("assign_brand", "Can say who sees a brand's pieces and decides on them")]

    def __str__(self) -> str:
        return self.name


class BrandVersion(models.Model):
    """A brand as it stood. Written by `campaigns.brands.save`, never changed."""

    brand = models.ForeignKey(Brand, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    content = models.JSONField()
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["brand", "number"], name="brand_version_once")]

    def __str__(self) -> str:
        return f"{self.brand_id} v{self.number}"
