"""Addresses of pages that readers open, and where mail providers bring their reports."""

from django.urls import path

from delivery import views

urlpatterns = [
    path("u/<str:token>/", views.unsubscribe_page, name="unsubscribe"),
    path("p/<str:token>/", views.preferences_page, name="preferences"),
    path("v/<str:token>/", views.view_in_browser, name="view-in-browser"),
    path("c/<str:token>/", views.follow_link, name="follow-link"),
    path("o/<str:token>.gif", views.open_pixel, name="open-pixel"),
    path("hooks/mail/<slug:name>/", views.provider_report, name="provider-report"),
]
