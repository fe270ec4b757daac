"""The eight types of 001 in the groups of 002, and which messages they decide about."""

from typing import Any

from django.db import migrations

PURPOSES = (
    ("MARKETING_EMAIL", "Marketing by e-mail", "marketing", "deny"),
    ("MARKETING_SMS", "Marketing by SMS", "marketing", "deny"),
    ("MARKETING_PUSH", "Marketing by push message", "marketing", "deny"),
    ("DATA_PROCESSING", "Data processing", "processing", "allow"),
    ("THIRD_PARTY_SHARING", "Sharing with third parties", "sharing", "deny"),
    ("ANALYTICS_TRACKING", "Analytics and tracking", "analytics", "allow"),
    ("PERSONALIZATION", "Personalisation", "personalization", "deny"),
    ("PROFILING", "Profiling", "profiling", "deny"),
)
RULES = (
    ("DATA_PROCESSING", [], "", "drop"),
    ("ANALYTICS_TRACKING", ["track", "page", "screen"], "browser", "drop"),
)


def fill(apps: Any, _editor: Any) -> None:
    """Add what an installation starts with."""
    purposes, rules = apps.get_model("consents", "Purpose"), apps.get_model("consents", "GateRule")
    for position, (code, name, group, unknown) in enumerate(PURPOSES, 1):
        purposes.objects.create(
            code=code, name=name, group=group, unknown=unknown, position=position * 10, builtin=True
        )
    for code, calls, kind, action in RULES:
        rules.objects.create(purpose_id=code, calls=calls, source_kind=kind, action=action)


class Migration(migrations.Migration):
    dependencies = [("consents", "0002_vocabulary")]
    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
