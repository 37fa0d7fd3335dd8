"""Addresses of pages that readers open: unsubscribe."""

from django.urls import path

from delivery import views

urlpatterns = [path("u/<str:token>/", views.unsubscribe_page, name="unsubscribe")]
