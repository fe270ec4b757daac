"""The whole URL map."""

from typing import Any

from django.contrib import admin
from django.urls import URLPattern, URLResolver, path, re_path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

from cdp.access.admin import own_password
from cdp.access.audit_api import Audit
from cdp.analytics import api as analytics
from cdp.customer360 import api as customer360
from cdp.customer360 import consent_api, segment_members
from cdp.pipeline.api import consents, events, identities, merges, profiles, quarantine, sessions, traits
from cdp.privacy.admin_compliance import compliance as compliance_page
from cdp.privacy.api import (
    compliance,
    erasures,
    holds,
    packages,
    request_files,
    request_steps,
    requests,
    retention,
    suppressed,
)
from cdp.privacy.opendsr import views as opendsr
from cdp.privacy.verify_page import verify_page
from cdp.rest import errors
from cdp.scoring.api import computed, rfm
from cdp.segments.api import audiences, changes, estimate, export, lookalike, segments
from cdp.traits import api as catalogue
from config import health
from dashboard.live import LiveOverview
from widget_api import api as widget
from widget_api.demo import demo as widget_demo
from widget_api.script import script as widget_script

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
    "profiles/<str:profile_id>": erasures.ErasableProfile,
    "profiles/<str:profile_id>/score": customer360.ProfileScore,
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
    "traits/catalogue": catalogue.Catalogue,
    "traits/catalogue/<str:trait_key>": catalogue.CatalogueLine,
    "traits/uncatalogued": computed.Uncatalogued,
    "traits/calculated": catalogue.CalculatedFields,
    "traits/calculated/check": catalogue.CheckExpression,
    "traits/calculated/<str:trait_key>": catalogue.OneCalculatedField,
    "traits/computed": computed.ComputedTraits,
    "traits/computed/preview": computed.PreviewComputed,
    "traits/computed/<str:trait_key>": computed.OneComputedTrait,
    "traits/<str:customer_id>": traits.Traits,
    "traits/<str:customer_id>/batch": traits.TraitsInBatch,
    "traits/<str:customer_id>/compute-engagement": traits.EngagementTraits,
    "traits/<str:customer_id>/<str:trait_key>": traits.OneTrait,
    "consents/purposes": consent_api.Purposes,
    "consents/<str:customer_id>": consents.Consents,
    "consents/<str:customer_id>/history": consent_api.ConsentHistory,
    "consents/<str:customer_id>/<str:consent_type>": consents.OneConsent,
    "consent": consents.Preferences,
    "consent/<str:profile_id>": consents.PreferencesOf,
    "privacy/consent": consents.ConsentByIdentifiers,
    "privacy/consents/export": consent_api.LedgerExport,
    # Segments and audiences
    "segments": segments.Segments,
    "segments/estimate": estimate.EstimateSegment,
    "segments/overlap": changes.SegmentsOverlap,
    "segments/rfm": rfm.RfmDistribution,
    "segments/rfm/analyze": rfm.AnalyzeRfm,
    "segments/lifecycle": rfm.LifecycleDistribution,
    "segments/lookalike/create": lookalike.CreateLookalike,
    "segments/<str:segment_id>": segments.OneSegment,
    "segments/<str:segment_id>/lookalike": lookalike.OneLookalike,
    "segments/<str:segment_id>/compute": segments.ComputeSegment,
    "segments/<str:segment_id>/size": segments.SegmentSizeNow,
    "segments/<str:segment_id>/members": segment_members.SegmentMembers,
    "segments/<str:segment_id>/export": export.ExportSegment,
    "segments/<str:segment_id>/history": changes.SegmentHistory,
    "segments/<str:segment_id>/changes": changes.SegmentChanges,
    "segments/<str:segment_id>/overlap/<str:other_id>": changes.SegmentOverlap,
    "audiences": audiences.Audiences,
    "audiences/<str:audience_id>": audiences.OneAudience,
    "audiences/<str:audience_id>/size": audiences.AudienceSizeNow,
    "audiences/<str:audience_id>/members": segment_members.AudienceMembers,
    "audiences/<str:audience_id>/export": export.ExportAudience,
    "audiences/<str:audience_id>/overlap": audiences.AudienceOverlap,
    # Privacy
    "gdpr/export/<str:profile_id>": packages.ExportPerson,
    # Analytics
    "analytics/overview": analytics.AnalyticsOverview,
    # Quarantine
    "quarantine": quarantine.Quarantine,
    "quarantine/<str:message_id>/replay": quarantine.ReplayQuarantined,
    # Sessions
    "sessions": sessions.Sessions,
    "sessions/start": sessions.StartSession,
    "sessions/<str:session_id>/stop": sessions.StopSession,
    # Requests of people about their data
    "privacy/requests": requests.Requests,
    "privacy/requests/<str:request_id>": requests.OneRequest,
    "privacy/requests/<str:request_id>/verify": request_steps.VerifyRequest,
    "privacy/requests/<str:request_id>/send-link": request_steps.SendLink,
    "privacy/requests/<str:request_id>/process": request_steps.ProcessRequest,
    "privacy/requests/<str:request_id>/reject": request_steps.RejectRequest,
    "privacy/requests/<str:request_id>/cancel": request_steps.CancelRequest,
    "privacy/requests/<str:request_id>/extend": request_steps.ExtendRequest,
    "privacy/requests/<str:request_id>/notes": request_files.RequestNotes,
    "privacy/requests/<str:request_id>/files": request_files.RequestFiles,
    "privacy/requests/<str:request_id>/files/<str:file_id>": request_files.RequestFile,
    # Legal holds
    "gdpr/delete/<str:profile_id>": erasures.DeletePerson,
    "privacy/packages/<str:package_id>": packages.OnePackage,
    "privacy/packages/<str:package_id>/retry": packages.RetryPackage,
    "privacy/erasures": erasures.Erasures,
    "privacy/erasures/<str:erasure_id>": erasures.OneErasure,
    "privacy/erasures/<str:erasure_id>/receipt": erasures.ErasureReceipt,
    "privacy/receipt-key": erasures.ErasureKey,
    "privacy/suppressed": suppressed.Suppressed,
    "privacy/suppressed/find": suppressed.FindSuppressed,
    "privacy/suppressed/<str:suppressed_id>/lift": suppressed.LiftSuppressed,
    "privacy/holds": holds.Holds,
    "privacy/holds/<str:hold_id>": holds.OneHold,
    "privacy/holds/<str:hold_id>/release": holds.ReleaseHold,
    "privacy/compliance/score": compliance.Compliance,
    # Retention
    "privacy/retention": retention.Policies,
    "privacy/retention/<str:policy_id>": retention.OnePolicy,
    "privacy/retention/<str:policy_id>/preview": retention.PreviewPolicy,
    "privacy/retention/<str:policy_id>/run": retention.RunPolicy,
    # Who did what
    "audit": Audit,
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
    path("admin/password_change/", admin.site.admin_view(own_password, cacheable=True)),
    path("admin/compliance/", admin.site.admin_view(compliance_page), name="compliance"),
    path("admin/", admin.site.urls),
    *_api(),
    path("privacy/verify/<str:token>", verify_page, name="privacy-verify"),
    path("privacy/packages/<str:token>", packages.package_by_link, name="package"),
    path("opendsr/certificate.pem", opendsr.certificate),
    re_path(r"^opendsr/v(?P<version>[123])/discovery/?$", opendsr.discovery),
    re_path(r"^opendsr/v(?P<version>1)/opengdpr_requests/?$", opendsr.OpenDsrRequests.as_view()),
    re_path(r"^opendsr/v(?P<version>[123])/requests/?$", opendsr.OpenDsrRequests.as_view()),
    re_path(
        r"^opendsr/v(?P<version>1)/opengdpr_requests/(?P<subject_request_id>[^/]+)/?$",
        opendsr.OneOpenDsrRequest.as_view(),
    ),
    re_path(
        r"^opendsr/v(?P<version>[123])/requests/(?P<subject_request_id>[^/]+)/?$", opendsr.OneOpenDsrRequest.as_view()
    ),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs/", SpectacularSwaggerView.as_view(url_name="schema"), name="docs"),
    path("api/widget/v1/config", widget.config),
    path("api/widget/v1/profile", widget.profile),
    path("widget/v1/widget.js", widget_script),
    path("widget/demo", widget_demo, name="widget-demo"),
    re_path(r"^api/", errors.unknown),
]

SOCKETS: dict[str, Any] = {"ws/overview": LiveOverview}
"""WebSocket consumers by path."""

handler400 = "cdp.rest.errors.bad_request"
handler403 = "cdp.rest.errors.forbidden"
handler404 = "cdp.rest.errors.not_found"
handler500 = "cdp.rest.errors.server_error"
