"""Addresses. Each app keeps its own; this file only mounts them."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from campaigns.api import tracking

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index"), name="home"),
    path("admin/", admin.site.urls),
    path("", include("personalize.core.urls")),
    path("", include("delivery.urls")),
    path("v1/<path:name>", tracking.call, name="tracking"),
    path("api/v1/", include("campaigns.api.urls")),
    path("api/v1/", include("generation.api.urls")),
    path("api/v1/", include("delivery.api.urls")),
]
