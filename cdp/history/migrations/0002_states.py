"""The two tables of the lake, with the id of this operational store."""

import uuid

from django.db import migrations


def fill(apps, schema_editor):
    """Insert the rows."""
    states = apps.get_model("history", "LakeState")
    store = uuid.uuid4()
    states.objects.bulk_create([states(name=name, store=store) for name in ("events", "people")])


class Migration(migrations.Migration):
    """Default rows."""

    dependencies = [("history", "0001_first")]
    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
