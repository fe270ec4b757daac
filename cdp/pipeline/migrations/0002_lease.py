"""The one row of the processing lease."""

from django.db import migrations


def fill(apps, schema_editor):
    """Insert it."""
    apps.get_model("pipeline", "ProcessingLease").objects.create(id=1)


class Migration(migrations.Migration):
    """Default row."""

    dependencies = [("pipeline", "0001_initial")]
    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
