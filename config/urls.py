"""The whole URL map."""

from typing import Any

from django.contrib import admin
from django.urls import URLPattern, URLResolver, path, re_path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

from cdp.pipeline.api import events
from cdp.rest import errors

API: dict[str, Any] = {
    # Events
    "events": events.EventList,
    "events/track": events.TrackEvent,
    "events/batch": events.EventBatch,
    "events/<str:customer_id>/recent": events.RecentEvents,
    "events/<str:event_id>": events.OneEvent,
    "events/<str:event_id>/why": events.WhyEvent,
    "profiles/<str:profile_id>/events": events.ProfileEvents,
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
    path("admin/", admin.site.urls),
    *_api(),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs/", SpectacularSwaggerView.as_view(url_name="schema"), name="docs"),
    re_path(r"^api/", errors.unknown),
]

handler400 = "cdp.rest.errors.bad_request"
handler403 = "cdp.rest.errors.forbidden"
handler404 = "cdp.rest.errors.not_found"
handler500 = "cdp.rest.errors.server_error"
