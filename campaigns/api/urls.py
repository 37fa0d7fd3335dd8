"""Addresses of this app below /api/v1/."""

from django.urls import path

from campaigns.api import campaigns, events, lists, people, privacy, products, runs

urlpatterns = [
    path("profiles", lists.ProfilesView.as_view(), name="api-profiles"),
    path("consents/bulk", lists.ConsentsBulkView.as_view(), name="api-consents-bulk"),
    path("brands", lists.BrandsView.as_view(), name="api-brands"),
    path("segments", lists.SegmentsView.as_view(), name="api-segments"),
    path("profiles/bulk", people.ProfilesBulkView.as_view(), name="api-profiles-bulk"),
    # An id of the CRM's may hold a slash.
    path("profiles/<path:external_id>/archive", privacy.ArchivesView.as_view(), name="api-archives"),
    path("archives/<uuid:number>", privacy.ArchiveView.as_view(), name="api-archive"),
    path("erasures/<uuid:number>", privacy.ErasureView.as_view(), name="api-erasure"),
    path("profiles/<path:external_id>/consents", people.ConsentsView.as_view(), name="api-consents"),
    path("profiles/<path:external_id>", people.ProfileView.as_view(), name="api-profile"),
    path("suppressions/bulk", privacy.BulkSuppressionsView.as_view(), name="api-suppressions-bulk"),
    path("suppressions", people.SuppressionsView.as_view(), name="api-suppressions"),
    path("events", events.EventsView.as_view(), name="api-events"),
    path("products", products.ProductsView.as_view(), name="api-products"),
    path("campaigns", campaigns.CampaignsView.as_view(), name="api-campaigns"),
    path("campaigns/<slug:slug>", campaigns.CampaignView.as_view(), name="api-campaign"),
    path("campaigns/<slug:slug>/pause", campaigns.PauseCampaignView.as_view(), name="api-campaign-pause"),
    path("campaigns/<slug:slug>/resume", campaigns.ResumeCampaignView.as_view(), name="api-campaign-resume"),
    path("campaigns/<slug:slug>/runs", runs.CampaignRunsView.as_view(), name="api-campaign-runs"),
    path("runs/<int:run_id>/release", runs.ReleaseRunView.as_view(), name="api-run-release"),
    path("runs/<int:run_id>/pause", runs.PauseRunView.as_view(), name="api-run-pause"),
    path("runs/<int:run_id>/resume", runs.ResumeRunView.as_view(), name="api-run-resume"),
]
