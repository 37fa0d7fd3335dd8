"""Addresses of the system itself: health, metrics, the API's description."""

from django.urls import path
from drf_spectacular.views import SpectacularAPIView
from rest_framework.permissions import AllowAny

from personalize.core import views

# The description holds no secret, and a client generator has no key.
schema = SpectacularAPIView.as_view(authentication_classes=[], permission_classes=[AllowAny])

urlpatterns = [
    path("health", views.health, name="health"),
    path("health/ready", views.ready, name="health-ready"),
    path("metrics", views.metrics, name="metrics"),
    path("problems/<slug:code>", views.problem, name="problem"),
    path("api/schema", schema, name="api-schema"),
]
