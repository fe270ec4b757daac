"""The consent ledger: what a person allowed or withdrew, when, and how we know. Rows are only ever added."""

from typing import ClassVar

from django.db import models

from cdp.core.ids import uuid7
from cdp.profiles.models import Profile


class ConsentRecord(models.Model):
    """One statement about one consent type. The state now is the newest statement of the person that is not inert.

    `cause` is `statement`, or `merge` when a merge wrote the more restrictive state (IDENTITY.md rule 7): then `merge`
    names it and the row counts only while that merge is active. `body` holds what may be personal, encrypted.
    """

    class Type(models.TextChoices):
        MARKETING_EMAIL = "MARKETING_EMAIL", "Marketing by e-mail"
        MARKETING_SMS = "MARKETING_SMS", "Marketing by SMS"
        MARKETING_PUSH = "MARKETING_PUSH", "Marketing by push message"
        DATA_PROCESSING = "DATA_PROCESSING", "Data processing"
        THIRD_PARTY_SHARING = "THIRD_PARTY_SHARING", "Sharing with third parties"
        ANALYTICS_TRACKING = "ANALYTICS_TRACKING", "Analytics and tracking"
        PERSONALIZATION = "PERSONALIZATION", "Personalisation"
        PROFILING = "PROFILING", "Profiling"

    id = models.BigAutoField(primary_key=True)
    public_id = models.UUIDField(default=uuid7, unique=True, editable=False)
    profile = models.ForeignKey(Profile, on_delete=models.DO_NOTHING, db_constraint=False, related_name="consents")
    type = models.CharField(max_length=30)
    granted = models.BooleanField()
    at = models.BigIntegerField()
    expires_at = models.BigIntegerField(null=True)
    source = models.CharField(max_length=100, blank=True)
    cause = models.CharField(max_length=10, default="statement")
    merge = models.UUIDField(null=True, db_index=True, help_text="Public id of the merge that wrote it.")
    body = models.BinaryField(null=True)

    class Meta:
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"{self.type} {'granted' if self.granted else 'withdrawn'}"
