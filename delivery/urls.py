"""Addresses of pages that readers open: unsubscribe."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
