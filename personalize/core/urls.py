"""Addresses of the system itself: health, metrics, the API's description."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
