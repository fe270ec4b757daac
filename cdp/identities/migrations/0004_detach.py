"""The identity log tells of identifiers that were removed on request."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("identities", "0003_suppressed"),
    ]

    operations = [
        migrations.AlterField(
            model_name="identitylog",
            name="kind",
            field=models.CharField(
                choices=[
                    ("create", "Profile created"),
                    ("attach", "Identifier added on request"),
                    ("merge", "People merged"),
                    ("demote", "Identifier left out"),
                    ("refuse", "Merge refused"),
                    ("unmerge", "People separated"),
                    ("block", "Value blocked"),
                    ("cap", "Cap reached"),
                    ("delete", "Person deleted on request"),
                    ("detach", "Identifier removed on request"),
                ],
                max_length=10,
            ),
        ),
    ]
