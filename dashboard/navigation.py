"""The sidebar of the console: by what a person wants to do, each entry for those who may see it."""

from typing import Any

from django.http import HttpRequest
from django.urls import reverse_lazy

_GROUPS: tuple[tuple[str, tuple[tuple[str, ...], ...]], ...] = (
    ("Customers", (
        ("Profiles", "group", "profiles.profile"),
        ("Events", "bolt", "events.event"),
        ("Merges", "merge", "profiles.merge"),
        ("Trait catalogue", "sell", "traits.traitdefinition"),
        ("Computed traits", "functions", "traits.computedtrait"),
        ("Calculated fields", "calculate", "traits.calculatedfield"),
    )),
    ("Segmentation", (
        ("Segments", "groups_2", "segments.segment"),
        ("Audiences", "campaign", "segments.audience"),
    )),
    ("Coming in", (
        ("Sources", "input", "access.source"),
        ("Waiting messages", "hourglass", "pipeline.inboxmessage"),
        ("Quarantine", "report", "events.quarantinedmessage"),
        ("Counts by day", "bar_chart", "pipeline.counter"),
        ("Imports", "upload_file", "pipeline.importrun"),
    )),
    ("Integrations", (
        ("Customer data platforms", "hub", "integrations.integration"),
        ("Look-ups", "manage_search", "integrations.requestlog"),
        ("Widget keys", "widgets", "widget_api.widgetkey"),
    )),
    ("Identity rules", (
        ("Identifier types", "fingerprint", "identities.identifiertype"),
        ("Blocked values", "block", "identities.blockedvalue"),
        ("Held-back values", "pan_tool", "identities.quarantinedidentifier"),
        ("Kept apart", "call_split", "profiles.keepapart"),
        ("Identity log", "history", "identities.identitylog"),
    )),
    ("Privacy", (
        ("Compliance", "verified_user", "privacy.privacyrequest", "compliance"),
        ("Rules of the gate", "filter_alt", "consents.gaterule"),
        ("Requests of people", "contact_mail", "privacy.privacyrequest"),
        ("Consent ledger", "fact_check", "consents.consentrecord"),
        ("Purposes of consent", "checklist", "consents.purpose"),
        ("Access packages", "folder_zip", "privacy.accesspackage"),
        ("Callbacks", "call_made", "privacy.controllernotice"),
        ("Erasures", "person_remove", "privacy.erasure"),
        ("Kept out", "block", "identities.suppressedidentifier"),
        ("Legal holds", "gavel", "privacy.legalhold"),
        ("Retention", "auto_delete", "privacy.retentionpolicy"),
    )),
    ("Settings", (
        ("Users", "person", "access.user"),
        ("Groups", "groups", "auth.group"),
        ("API keys", "key", "access.apikey"),
        ("Write keys", "vpn_key", "access.writekey"),
        ("Audit", "policy", "access.auditentry"),
    )),
)  # fmt: skip


def navigation(_request: HttpRequest) -> list[dict[str, Any]]:
    """The groups of links; each link appears to those who may view what it leads to."""
    overview = {"title": "Overview", "icon": "monitoring", "link": reverse_lazy("admin:index")}
    groups = [
        {"title": title, "separator": True, "items": [_item(*entry) for entry in entries]} for title, entries in _GROUPS
    ]
    return [{"items": [overview]}, *groups]


def _item(title: str, icon: str, model: str, page: str = "") -> dict[str, Any]:
    """The link to the list of a model, or to a page for those who may see the model."""
    app, _, name = model.partition(".")

    def may_see(request: HttpRequest) -> bool:
        return request.user.has_perm(f"{app}.view_{name}") or request.user.has_perm(f"{app}.change_{name}")

    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(page or f"admin:{app}_{name}_changelist"),
        "permission": may_see,
    }
