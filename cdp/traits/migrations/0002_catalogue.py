"""The catalogue of the seeds' profile fields, with who may see them (ARCHITECTURE.md, "Rule language": what is personal)."""

from django.db import migrations

PERSONAL = (
    "email phone firstName lastName name username title birthday dateOfBirth age gender address street postalCode "
    "emergencyContact avatar company.phone documentNumber"
).split()
INTERNAL = "country region city language locale timezone company industry plan tags customFields website".split()
PREFERENCE = "preferredContact preferences".split()


def fill(apps, schema_editor):
    """Insert the defaults."""
    definitions = apps.get_model("traits", "TraitDefinition")
    rows = [definitions(key=key, classification="personal") for key in PERSONAL]
    rows += [definitions(key=key, classification="internal") for key in INTERNAL]
    rows += [definitions(key=key, classification="internal", type="PREFERENCE") for key in PREFERENCE]
    definitions.objects.bulk_create(rows)


class Migration(migrations.Migration):
    """Default rows."""

    dependencies = [("traits", "0001_initial")]
    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
