"""The purposes people are asked for, and the ledger of what each allowed or withdrew: its rows are only added."""

from typing import Any, ClassVar, NoReturn

from django.db import models

from cdp.core.ids import uuid7
from cdp.profiles.models import Profile


class AppendOnly(TypeError):
    """Somebody tried to change or to delete a row of the ledger."""


class Purpose(models.Model):
    """What data may be used for: the vocabulary of consent. Edited in the admin; those of the migration stay.

    `unknown` decides for a person of whom the ledger says nothing. `group` is the wider word under which several are
    stated at once (`marketing`). `also_called` are the words of consent tools under which messages may mean it.
    """

    class Unknown(models.TextChoices):
        ALLOW = "allow", "Allowed until it is withdrawn"
        DENY = "deny", "Not allowed until it is granted"

    code = models.CharField(max_length=30, primary_key=True, help_text="As the API names it: MARKETING_EMAIL.")
    name = models.CharField(max_length=100)
    group = models.CharField(max_length=30, blank=True, db_index=True)
    description = models.CharField(max_length=500, blank=True)
    also_called = models.JSONField(default=list, blank=True, help_text="Other names in messages: C0002.")
    unknown = models.CharField(max_length=5, choices=Unknown.choices, default=Unknown.DENY)
    position = models.PositiveSmallIntegerField(default=100)
    builtin = models.BooleanField(default=False, editable=False)

    class Meta:
        ordering: ClassVar = ["position", "code"]

    def __str__(self) -> str:
        return self.name


class GateRule(models.Model):
    """Messages that are for a purpose, and what becomes of them when the person does not allow it.

    A rule without names is for every name, one without a source kind for both kinds. The first that forbids decides,
    and `drop` before `redact`.
    """

    class Action(models.TextChoices):
        DROP = "drop", "Not stored"
        REDACT = "redact", "Stored of nobody: without identifiers, context and personal properties"

    purpose = models.ForeignKey(Purpose, on_delete=models.CASCADE, related_name="rules")
    calls = models.JSONField(default=list, help_text="track, page, screen, identify, group, alias; empty: every call.")
    names = models.JSONField(default=list, blank=True, help_text="Names of events; empty: every name.")
    source_kind = models.CharField(max_length=10, blank=True, help_text="server or browser; empty: both.")
    action = models.CharField(max_length=6, choices=Action.choices, default=Action.DROP)
    active = models.BooleanField(default=True)

    class Meta:
        ordering: ClassVar = ["id"]

    def __str__(self) -> str:
        return f"{self.purpose_id}: {self.action}"


class Ledger(models.QuerySet["ConsentRecord"]):
    """Rows of the ledger: to read, and to add."""

    def update(self, **fields: Any) -> NoReturn:  # noqa: ARG002 - the framework's interface
        """Refused."""
        raise AppendOnly("The consent ledger is only added to: state the consent anew.")

    def delete(self) -> NoReturn:
        """Refused."""
        raise AppendOnly("The consent ledger is only added to: erase the person instead.")


class ConsentRecord(models.Model):
    """One statement about one purpose. The state now is the newest statement of the person that is not inert.

    `cause` is `statement`; or `merge` when a merge wrote the more restrictive state (IDENTITY.md rule 7): then `merge`
    names it and the row counts only while that merge is active; or `gpc` and `preferences` for what an event carried,
    then `event` is its digest. `body` holds what may be personal, encrypted.
    """

    id = models.BigAutoField(primary_key=True)
    public_id = models.UUIDField(default=uuid7, unique=True, editable=False)
    profile = models.ForeignKey(Profile, on_delete=models.DO_NOTHING, db_constraint=False, related_name="consents")
    type = models.CharField(max_length=30, help_text="Code of a purpose.")
    granted = models.BooleanField()
    at = models.BigIntegerField()
    recorded_at = models.BigIntegerField(db_default=0, help_text="When it was written; `at` is when it was stated.")
    expires_at = models.BigIntegerField(null=True)
    source = models.CharField(max_length=100, blank=True)
    document = models.CharField(max_length=100, db_default="", blank=True, help_text="Version of what was agreed to.")
    cause = models.CharField(max_length=12, default="statement")
    merge = models.UUIDField(null=True, db_index=True, help_text="Public id of the merge that wrote it.")
    event = models.BinaryField(max_length=16, null=True, help_text="Digest of the event that carried it.")
    body = models.BinaryField(null=True)

    objects = Ledger.as_manager()

    class Meta:
        ordering: ClassVar = ["-id"]
        indexes: ClassVar = [
            models.Index(
                fields=["expires_at", "id"], name="consent_runs_out", condition=models.Q(expires_at__isnull=False)
            ),
            models.Index(fields=["type", "at"], name="consent_type_time"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {'granted' if self.granted else 'withdrawn'}"

    def save(self, **options: Any) -> None:
        """Add the row. Raises AppendOnly for one that is there."""
        if not self._state.adding:
            raise AppendOnly("The consent ledger is only added to: state the consent anew.")
        super().save(**options)

    def delete(self, *args: Any, **options: Any) -> NoReturn:  # noqa: ARG002 - the framework's interface
        """Refused."""
        raise AppendOnly("The consent ledger is only added to: erase the person instead.")


class ExpiryCursor(models.Model):
    """One row: the last grant that ran out of which the lake and segments were told."""

    id = models.SmallIntegerField(primary_key=True)
    expired = models.BigIntegerField(default=0)
    record = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"consents followed until {self.expired}"
