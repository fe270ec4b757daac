"""The audit is chained. Rows that are there get their salt, digest and mark as if they were written now."""

import hashlib
import hmac
import json
import os

from django.conf import settings
from django.db import migrations, models


def mark_rows(apps, schema_editor):
    entries = apps.get_model("access", "AuditEntry").objects
    key = settings.KEYRING.fixed_key("audit:mark")
    for row in entries.order_by("id").iterator(chunk_size=1000):
        payload = [
            row.public_id.hex, row.at, row.actor, row.action, row.object_type, row.object_ids, row.fields,
            row.request_id, row.address, row.why,
        ]
        text = json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
        row.salt = os.urandom(16)
        row.digest = hashlib.sha256(row.salt + text.encode()).digest()
        row.mark = hmac.digest(key, row.digest + row.digest, "sha256")[:16]
        row.save(update_fields=["salt", "digest", "mark"])


def add_head(apps, schema_editor):
    apps.get_model("access", "AuditHead").objects.create(id=1, chain=bytes(32))


def index_objects(apps, schema_editor):
    """By object: PostgreSQL has an index for lists, SQLite looks at each row."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("create index audit_objects on access_auditentry using gin (object_ids)")


class Migration(migrations.Migration):

    dependencies = [
        ("access", "0001_initial"),
    ]

    operations = [
        migrations.AddField("auditentry", "why", models.CharField(blank=True, default="", max_length=500), preserve_default=False),
        migrations.AddField("auditentry", "salt", models.BinaryField(default=b"", editable=False, max_length=16), preserve_default=False),
        migrations.AddField("auditentry", "digest", models.BinaryField(default=b"", editable=False, help_text="SHA-256 of salt and payload when written.", max_length=32), preserve_default=False),
        migrations.AddField("auditentry", "mark", models.BinaryField(default=b"", editable=False, help_text="Says that we wrote what the row holds.", max_length=16), preserve_default=False),
        migrations.AddField("auditentry", "place", models.BigIntegerField(editable=False, help_text="In the chain; null: not yet.", null=True, unique=True)),
        migrations.AddField("auditentry", "chain", models.BinaryField(editable=False, max_length=32, null=True)),
        migrations.AlterField("auditentry", "actor", models.CharField(help_text="user:<id>, key:<id>, or shell:<login> for a command.", max_length=150)),
        migrations.AlterModelOptions("auditentry", {"ordering": ["-at", "-id"], "verbose_name_plural": "audit entries"}),
        migrations.CreateModel(
            name="AuditHead",
            fields=[
                ("id", models.SmallIntegerField(primary_key=True, serialize=False)),
                ("place", models.BigIntegerField(default=0)),
                ("chain", models.BinaryField(max_length=32)),
                ("sealed_at", models.BigIntegerField(default=0)),
                ("verified_at", models.BigIntegerField(null=True)),
                ("verified_rows", models.BigIntegerField(default=0)),
                ("problem", models.CharField(blank=True, max_length=300)),
            ],
        ),
        migrations.RunPython(mark_rows, migrations.RunPython.noop),
        migrations.RunPython(add_head, migrations.RunPython.noop),
        migrations.AddIndex("auditentry", models.Index(fields=["at", "id"], name="audit_time")),
        migrations.AddIndex("auditentry", models.Index(fields=["actor", "at"], name="audit_actor")),
        migrations.AddIndex("auditentry", models.Index(fields=["id"], name="audit_unsealed", condition=models.Q(place=None))),
        migrations.RunPython(index_objects, migrations.RunPython.noop),
    ]
