"""Identifiers, the rules by which they join (as data), and the append-only identity log."""

from typing import ClassVar

from django.db import models

from cdp.profiles.models import Profile


class IdentifierType(models.Model):
    """One row per kind of identifier, in order of priority (IDENTITY.md rule 1). Edited in the admin."""

    id = models.SmallAutoField(primary_key=True)
    code = models.CharField(max_length=40, unique=True, help_text="As the API and `context.externalIds` name it.")
    priority = models.SmallIntegerField(help_text="1 is the strongest.")
    limit = models.PositiveIntegerField(default=1, help_text="How many values one person may have in the window.")
    window_days = models.PositiveIntegerField(null=True, blank=True, help_text="Days of event time; empty: for ever.")
    joins = models.BooleanField(default=True, help_text="Whether equal values make one person.")
    browser_finds = models.BooleanField(default=False, help_text="Whether a browser source may find a person by it.")
    verified_only = models.BooleanField(default=False, help_text="Only verified values find and merge.")
    personal = models.BooleanField(default=True, help_text="Shown in clear only with the right to personal data.")

    class Meta:
        ordering: ClassVar = ["priority", "id"]

    def __str__(self) -> str:
        return self.code


class BlockedValue(models.Model):
    """A value that is no identifier, whatever its type (rule 3); compared after trimming, ignoring case."""

    value = models.CharField(max_length=200, unique=True)
    reason = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering: ClassVar = ["value"]

    def __str__(self) -> str:
        return self.value


class Identifier(models.Model):
    """A value that a profile owns. `linking` ones find people and are unique; the others are kept for look-up only.

    `digest` is the blind index of type, namespace and normalised value; `body` the encrypted value (normalised, raw,
    provider, metadata). Times are microseconds of event time.
    """

    id = models.BigAutoField(primary_key=True)
    type = models.ForeignKey(IdentifierType, on_delete=models.PROTECT, db_index=False)
    namespace = models.CharField(max_length=100, blank=True)
    digest = models.BinaryField(max_length=16)
    key_version = models.SmallIntegerField(default=1)
    profile = models.ForeignKey(Profile, on_delete=models.DO_NOTHING, db_constraint=False, related_name="identifiers")
    linking = models.BooleanField(default=True)
    trusted = models.BooleanField(default=False)
    verified_at = models.BigIntegerField(null=True)
    primary = models.BooleanField(default=False)
    first_seen = models.BigIntegerField()
    body = models.BinaryField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["digest"], condition=models.Q(linking=True), name="identifier_linking"),
            models.UniqueConstraint(fields=["digest", "profile"], name="identifier_of_profile"),
        ]

    def __str__(self) -> str:
        return f"{self.type_id}:{self.pk}"


class QuarantinedIdentifier(models.Model):
    """A value that tried to join more people in an hour than it may (rule 3): it joins nobody until it is released."""

    digest = models.BinaryField(max_length=16, unique=True)
    type = models.ForeignKey(IdentifierType, on_delete=models.CASCADE)
    created_at = models.BigIntegerField()
    released_at = models.BigIntegerField(null=True)

    def __str__(self) -> str:
        return f"{self.type} {bytes(self.digest).hex()}"


class IdentityLog(models.Model):
    """What resolution decided and why. Ids, digests and rule names only, never values. Rows are only ever added."""

    class Kind(models.TextChoices):
        CREATE = "create", "Profile created"
        ATTACH = "attach", "Identifier added on request"
        MERGE = "merge", "People merged"
        DEMOTE = "demote", "Identifier left out"
        REFUSE = "refuse", "Merge refused"
        UNMERGE = "unmerge", "People separated"
        BLOCK = "block", "Value blocked"
        CAP = "cap", "Cap reached"
        DELETE = "delete", "Person deleted on request"
        DETACH = "detach", "Identifier removed on request"

    id = models.BigAutoField(primary_key=True)
    at = models.BigIntegerField()
    kind = models.CharField(max_length=10, choices=Kind.choices)
    rule = models.CharField(max_length=40, help_text="The name of the rule that decided.")
    profile_id = models.BigIntegerField(null=True)
    other_id = models.BigIntegerField(null=True)
    type_id = models.SmallIntegerField(null=True)
    digest = models.BinaryField(max_length=16, null=True)
    event = models.BinaryField(max_length=16, null=True)
    actor = models.CharField(max_length=150, blank=True)

    class Meta:
        ordering: ClassVar = ["-id"]
        verbose_name_plural = "identity log"
        indexes: ClassVar = [models.Index(fields=["profile_id"], name="identitylog_profile")]

    def __str__(self) -> str:
        return f"{self.kind} ({self.rule})"


class SuppressedIdentifier(models.Model):
    """An identifier of an erased person (rule 14): messages that carry it are not stored until it is lifted.

    `digest` is made with the key that never rotates (`Keyring.suppression_digest` of type, namespace and normalised
    value), so that the row says nothing about whom it keeps out. `request` is the public id of what asked for it.
    """

    id = models.BigAutoField(primary_key=True)
    digest = models.BinaryField(max_length=16, unique=True)
    type = models.ForeignKey(IdentifierType, on_delete=models.PROTECT)
    request = models.UUIDField(null=True, db_index=True)
    created_at = models.BigIntegerField()
    lifted_at = models.BigIntegerField(null=True)
    lifted_by = models.CharField(max_length=150, blank=True)
    why = models.CharField(max_length=500, blank=True, help_text="Why it was lifted.")

    class Meta:
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"{self.type} {bytes(self.digest).hex()}"
