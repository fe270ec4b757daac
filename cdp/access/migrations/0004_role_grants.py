"""What the product gave to roles is remembered: a newer version gives what is new in it, and nothing twice."""

import django.db.models.deletion
from django.db import migrations, models

# What the version before gave to the roles that it made.
_VIEW = (
    "profiles.view_profile", "profiles.view_merge", "profiles.view_keepapart", "identities.view_identifier",
    "identities.view_identifiertype", "identities.view_identitylog", "identities.view_blockedvalue",
    "events.view_event", "events.view_session", "traits.view_traitdefinition", "traits.view_traitdocument",
    "traits.view_calculatedfield", "traits.view_computedtrait", "consents.view_consentrecord", "access.view_source",
    "segments.view_segment", "segments.view_audience",
)
_SEGMENTATION = (
    "segments.add_segment", "segments.change_segment", "segments.delete_segment",
    "segments.add_audience", "segments.change_audience", "segments.delete_audience",
)
_DATA_QUALITY = ("events.view_quarantinedmessage", "pipeline.view_importrun", "pipeline.view_counter")

_DESCRIBE = (
    "traits.add_traitdefinition", "traits.change_traitdefinition", "traits.add_calculatedfield",
    "traits.change_calculatedfield", "traits.delete_calculatedfield", "traits.add_computedtrait",
    "traits.change_computedtrait", "traits.delete_computedtrait",
)

_PRIVACY = (
    "privacy.view_privacyrequest", "privacy.add_privacyrequest", "privacy.change_privacyrequest",
    "privacy.view_requestnote", "privacy.add_requestnote", "privacy.view_accesspackage", "privacy.view_erasure",
    "privacy.view_controllernotice",
    "privacy.add_erasure", "privacy.view_legalhold", "privacy.add_legalhold", "privacy.change_legalhold",
    "privacy.view_retentionpolicy", "privacy.add_retentionpolicy", "privacy.change_retentionpolicy",
    "privacy.delete_retentionpolicy", "identities.view_suppressedidentifier", "identities.change_suppressedidentifier",
    "consents.view_purpose", "consents.add_purpose", "consents.change_purpose", "consents.view_gaterule",
    "consents.add_gaterule", "consents.change_gaterule", "consents.delete_gaterule",
)
ROLES = {
    "administrator": ("*",),
    "marketer": (*_VIEW, *_SEGMENTATION, *_DESCRIBE, "segments.export_members", "access.view_personal",
                 "access.write_data"),
    "analyst": (*_VIEW, *_SEGMENTATION, *_DATA_QUALITY, *_DESCRIBE),
    "privacy officer": (*_VIEW, *_DATA_QUALITY, "access.view_personal", "access.view_sensitive", "access.write_data",
                        "access.merge_people", "access.replay_quarantine", "access.view_auditentry",
                        "traits.change_traitdefinition", *_PRIVACY),
    "viewer": _VIEW,
}


def remember(apps, schema_editor):
    """Write down what the roles that are there were given.

    One that nobody changed was given what it has: the rest is new to it. Of one that was changed, whatever it could
    have been given counts, for what it has not may have been taken away. One that is missing was deleted.
    """
    group, permission = apps.get_model("auth", "Group"), apps.get_model("auth", "Permission")
    groups = {one.name: one for one in group.objects.filter(name__in=list(ROLES))}
    if not groups:  # a new installation: the roles are made after the last migration
        return
    grant = apps.get_model("access", "RoleGrant")
    name = "content_type__app_label", "codename"
    there = {".".join(found) for found in permission.objects.values_list(*name)}
    entries = apps.get_model("access", "AuditEntry").objects.filter(object_type="group", action="change")
    changed = {number for numbers in entries.values_list("object_ids", flat=True) for number in numbers}
    rows = []
    for role, wanted in ROLES.items():
        mine = groups.get(role)
        given = {".".join(found) for found in mine.permissions.values_list(*name)} if mine else set()
        if mine is None or str(mine.pk) in changed:
            given |= there if "*" in wanted else there.intersection(wanted)
        rows += [grant(role=role, permission=one, group=mine) for one in sorted(given)]
    grant.objects.bulk_create(rows)


class Migration(migrations.Migration):

    dependencies = [
        ('access', '0003_field_rights'),
        ('auth', '0012_alter_user_first_name_max_length'),
        ('contenttypes', '0002_remove_content_type_name'),
    ]

    operations = [
        migrations.CreateModel(
            name='RoleGrant',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('role', models.CharField(max_length=150)),
                ('permission', models.CharField(help_text='app.codename', max_length=201)),
                ('group', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='auth.group')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('role', 'permission'), name='given_once')],
            },
        ),
        migrations.RunPython(remember, migrations.RunPython.noop),
    ]
