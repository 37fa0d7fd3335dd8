"""The channels a piece can be written for. generation.writer.channels holds their fields and limits."""

from __future__ import annotations

from django.db import models


class Channel(models.TextChoices):
    EMAIL = "email", "E-mail"
    GOOGLE_RSA = "google_rsa", "Google search ad"
    META_AD = "meta_ad", "Meta ad"
    LINKEDIN_AD = "linkedin_ad", "LinkedIn ad"
    SMS = "sms", "SMS"
    PUSH = "push", "Push message"


# One piece for each reader; the others are ads, one piece for each audience.
PERSONAL_CHANNELS = (Channel.EMAIL, Channel.SMS, Channel.PUSH)
AD_CHANNELS = (Channel.GOOGLE_RSA, Channel.META_AD, Channel.LINKEDIN_AD)
