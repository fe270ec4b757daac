"""The default identifier types and blocked values of IDENTITY.md rules 1, 3 and 13."""

from django.db import migrations

# code, limit, window in days (None: for ever), joins, a browser source finds a person by it, personal
TYPES = [
    ("user_id", 1, None, True, True, False),
    ("email", 5, 365, True, False, True),
    ("phone", 3, 365, True, False, True),
    ("external", 1, None, True, False, False),
    ("device_id", 10, 365, True, True, False),
    ("anonymous_id", 5, 7, True, True, False),
    ("cookie_id", 5, 7, True, True, False),
    ("session_id", 1, None, False, False, False),
    ("ip_address", 1, None, False, False, True),
]
BLOCKED = (
    "-1 null none nan nil undefined true false 0 anonymous guest id distinct_id distinctid not_authenticated email"
).split() + ["[object object]"]


def fill(apps, schema_editor):
    """Insert the defaults."""
    kinds = apps.get_model("identities", "IdentifierType")
    kinds.objects.bulk_create(
        kinds(id=n, code=code, priority=n * 10, limit=limit, window_days=days, joins=joins, browser_finds=finds, personal=personal)
        for n, (code, limit, days, joins, finds, personal) in enumerate(TYPES, 1)
    )
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("select setval(pg_get_serial_sequence('identities_identifiertype', 'id'), 100)")
    values = apps.get_model("identities", "BlockedValue")
    values.objects.bulk_create(values(value=value, reason="A placeholder, not an id") for value in BLOCKED)


class Migration(migrations.Migration):
    """Default rows."""

    dependencies = [("identities", "0001_initial")]
    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
