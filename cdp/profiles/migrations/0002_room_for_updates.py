"""PostgreSQL: leave room on each page, so that counting an event rewrites the row beside the old one (HOT) and no index."""

from django.db import migrations


def leave_room(apps, schema_editor):
    """Set the fill factor; SQLite rewrites in place."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("alter table profiles_profile set (fillfactor = 70)")


class Migration(migrations.Migration):
    """Fill factor."""

    dependencies = [("profiles", "0001_initial")]
    operations = [migrations.RunPython(leave_room, migrations.RunPython.noop)]
