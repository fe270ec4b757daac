"""The whole URL map."""

from typing import Any

from django.contrib import admin
from django.urls import URLPattern, URLResolver, path, re_path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

from cdp.customer360 import api as customer360
from cdp.pipeline.api import consents, events, identities, merges, profiles, quarantine, sessions, traits
from cdp.rest import errors
from config import health
from dashboard.live import LiveOverview

API: dict[str, Any] = {
    # Events
    "events": events.EventList,
    "events/track": events.TrackEvent,
    "events/batch": events.EventBatch,
    "events/<str:customer_id>/recent": customer360.RecentEvents,
    "events/<str:event_id>": events.OneEvent,
    "events/<str:event_id>/why": events.WhyEvent,
    # Profiles
    "profiles": profiles.Profiles,
    "profiles/search": profiles.SearchProfiles,
    "profiles/merge": merges.MergeProfiles,
    "profiles/identity/link": identities.LinkIdentity,
    "profiles/<str:profile_id>": profiles.OneProfile,
    "profiles/<str:profile_id>/timeline": customer360.Timeline,
    "profiles/<str:profile_id>/events": customer360.ProfileEvents,
    "profiles/<str:profile_id>/merges": customer360.ProfileMerges,
    "merges/<str:merge_id>/undo": merges.UndoMerge,
    "customer360/<str:customer_id>": customer360.Customer360Endpoint,
    "customer360/<str:customer_id>/compute-engagement": customer360.ComputeEngagement,
    "customer360/<str:customer_id>/compute-ltv": customer360.ComputeLifetimeValue,
    # Identities
    "identity/resolve": identities.ResolveIdentity,
    "identities/merge": merges.MergeCustomers,
    "identities/<str:customer_id>": identities.Identities,
    "identities/<str:customer_id>/verify": identities.VerifyIdentity,
    "identities/<str:customer_id>/set-primary": identities.PrimaryIdentity,
    # Traits and consents
    "traits/<str:customer_id>": traits.Traits,
    "traits/<str:customer_id>/batch": traits.TraitsInBatch,
    "traits/<str:customer_id>/compute-engagement": traits.EngagementTraits,
    "traits/<str:customer_id>/<str:trait_key>": traits.OneTrait,
    "consents/<str:customer_id>": consents.Consents,
    "consents/<str:customer_id>/<str:consent_type>": consents.OneConsent,
    "consent": consents.Preferences,
    "consent/<str:profile_id>": consents.PreferencesOf,
    # Quarantine
    "quarantine": quarantine.Quarantine,
    "quarantine/<str:message_id>/replay": quarantine.ReplayQuarantined,
    # Sessions
    "sessions": sessions.Sessions,
    "sessions/start": sessions.StartSession,
    "sessions/<str:session_id>/stop": sessions.StopSession,
}
"""Below /api/v1/cdp/ and /api/cdp/, with or without a slash at the end."""


def _api() -> list[URLPattern | URLResolver]:
    views = {address: view.as_view() for address, view in API.items()}
    return [
        path(f"{base}{address}{slash}", view)
        for base in ("api/v1/cdp/", "api/cdp/")
        for address, view in views.items()
        for slash in ("", "/")
    ]


urlpatterns: list[URLPattern | URLResolver] = [
    path("", RedirectView.as_view(pattern_name="admin:index"), name="console"),
    path("healthz", health.alive),
    path("readyz", health.ready),
    path("metrics", health.measures),
    path("admin/", admin.site.urls),
    *_api(),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs/", SpectacularSwaggerView.as_view(url_name="schema"), name="docs"),
    re_path(r"^api/", errors.unknown),
]

SOCKETS: dict[str, Any] = {"ws/overview": LiveOverview}
"""WebSocket consumers by path."""

handler400 = "cdp.rest.errors.bad_request"
handler403 = "cdp.rest.errors.forbidden"
handler404 = "cdp.rest.errors.not_found"
handler500 = "cdp.rest.errors.server_error"
