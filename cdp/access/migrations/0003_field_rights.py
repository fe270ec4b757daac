"""Rights by classification: keys and roles that are there go on seeing what they saw."""

import django.db.models.deletion
from django.db import migrations, models

CLEAR = {"read", "write", "admin"}
SENSITIVE = ["administrator", "privacy officer"]


def keep_sight(apps, schema_editor):
    """Keys with a scope that showed everything keep all; so do the two roles that are for it."""
    for key in apps.get_model("access", "ApiKey").objects.all():
        if CLEAR & set(key.scopes):
            key.classifications = ["personal", "sensitive"]
            key.save(update_fields=["classifications"])
    groups = list(apps.get_model("auth", "Group").objects.filter(name__in=SENSITIVE))
    if not groups:  # a new installation: the roles are made after the last migration
        return
    content_type, _ = apps.get_model("contenttypes", "ContentType").objects.get_or_create(
        app_label="access", model="user"
    )
    permission, _ = apps.get_model("auth", "Permission").objects.get_or_create(
        content_type=content_type, codename="view_sensitive", defaults={"name": "Can see sensitive data in clear"}
    )
    for group in groups:
        group.permissions.add(permission)


class Migration(migrations.Migration):

    dependencies = [
        ("access", "0002_audit_chain"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="user",
            options={
                "verbose_name": "user",
                "verbose_name_plural": "users",
                "permissions": [
                    ("view_personal", "Can see personal data in clear"),
                    ("view_sensitive", "Can see sensitive data in clear"),
                    ("write_data", "Can change profiles, traits, events and consents"),
                    ("replay_quarantine", "Can correct and replay quarantined messages"),
                    ("merge_people", "Can merge and unmerge people"),
                ],
            },
        ),
        migrations.AddField(
            model_name="apikey",
            name="role",
            field=models.ForeignKey(
                blank=True,
                help_text="It sees what the people of this group see. Empty: what is ticked below.",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="api_keys",
                to="auth.group",
            ),
        ),
        migrations.AddField(
            model_name="apikey",
            name="classifications",
            field=models.JSONField(
                blank=True,
                default=list,
                help_text="What it sees in clear without a role: any of personal, sensitive.",
            ),
        ),
        migrations.CreateModel(
            name="FieldRight",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "field",
                    models.CharField(
                        help_text="A trait or profile field: email, firstName, medical.bloodType.", max_length=100
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[("see", "Sees it in clear"), ("mask", "Sees it masked")], default="mask", max_length=4
                    ),
                ),
                (
                    "group",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="field_rights", to="auth.group"
                    ),
                ),
            ],
            options={
                "verbose_name": "exception for a field",
                "verbose_name_plural": "exceptions for fields",
                "ordering": ["field", "group_id"],
                "constraints": [models.UniqueConstraint(fields=("group", "field"), name="one_right_a_field")],
            },
        ),
        migrations.RunPython(keep_sight, migrations.RunPython.noop),
    ]
