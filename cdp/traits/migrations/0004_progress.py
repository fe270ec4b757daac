"""The one row that says how far computed traits have come."""

from django.db import migrations


def fill(apps, schema_editor):
    """Insert the row."""
    apps.get_model("traits", "ComputedProgress").objects.create(pk=1)


class Migration(migrations.Migration):
    """Default row."""

    dependencies = [("traits", "0003_definitions")]
    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
