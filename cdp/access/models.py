"""Who may send, read and change: users, sources with their write keys, API keys, and the record of personal reads."""

from typing import Any, ClassVar

import msgspec
from django.contrib.auth.models import AbstractUser, Group, Permission
from django.core.validators import MinValueValidator
from django.db import connections, models, transaction
from django.db.models.functions import Cast, StrIndex
from django.utils.functional import cached_property

from cdp.core.ids import uuid7

PROTECTED = ("personal", "sensitive")
"""Classifications that need a right: the permission `access.view_<classification>`."""


class User(AbstractUser):
    """A person who signs in. What they may do is said by their groups (`cdp.access.roles`)."""

    class Meta(AbstractUser.Meta):
        permissions: ClassVar = [
            ("view_personal", "Can see personal data in clear"),
            ("view_sensitive", "Can see sensitive data in clear"),
            ("write_data", "Can change profiles, traits, events and consents"),
            ("replay_quarantine", "Can correct and replay quarantined messages"),
            ("merge_people", "Can merge and unmerge people"),
        ]

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save, in one transaction with what is recorded of it (`cdp.access.users`)."""
        with transaction.atomic():
            super().save(*args, **kwargs)


class Source(models.Model):
    """Where messages come from. A server source is trusted; a browser source is public, so anybody may send with it."""

    class Kind(models.TextChoices):
        SERVER = "server", "Server (secret key, trusted)"
        BROWSER = "browser", "Browser or app (public key, untrusted)"

    name = models.CharField(max_length=100, unique=True)
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.SERVER)
    enabled = models.BooleanField(default=True, help_text="A disabled source is answered 401.")
    priority = models.PositiveSmallIntegerField(
        default=100, help_text="Where two sources disagree on a trait, the lower number wins, then the newer value."
    )
    allowed_origins = models.JSONField(
        default=list,
        blank=True,
        help_text='Browser sources: origins such as "https://shop.example" or "https://*.shop.example". Empty: any.',
    )
    rate_limit = models.PositiveIntegerField(
        default=0, validators=[MinValueValidator(0)], help_text="Requests a minute per key and address; 0: no limit."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def trusted(self) -> bool:
        """Whether identifiers from this source may be believed (IDENTITY.md rule 13)."""
        return self.kind == self.Kind.SERVER


class WriteKey(models.Model):
    """A key that only ingests. Only its SHA-256 is kept; it is shown once, when it is made."""

    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="write_keys")
    digest = models.CharField(max_length=64, unique=True, editable=False)
    hint = models.CharField(max_length=12, editable=False, help_text="The first letters, to tell keys apart.")
    created_at = models.DateTimeField(auto_now_add=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.hint}…"


class FieldRight(models.Model):
    """What a group may see of one field, whatever its classification says: in clear, or never in clear."""

    class Kind(models.TextChoices):
        SEE = "see", "Sees it in clear"
        MASK = "mask", "Sees it masked"

    group = models.ForeignKey(Group, on_delete=models.CASCADE, related_name="field_rights")
    field = models.CharField(max_length=100, help_text="A trait or profile field: email, firstName, medical.bloodType.")
    kind = models.CharField(max_length=4, choices=Kind.choices, default=Kind.MASK)

    class Meta:
        ordering: ClassVar = ["field", "group_id"]
        verbose_name = "exception for a field"
        verbose_name_plural = "exceptions for fields"
        constraints: ClassVar = [models.UniqueConstraint(fields=["group", "field"], name="one_right_a_field")]

    def __str__(self) -> str:
        return f"{self.field}: {self.get_kind_display()}"


class RoleGrant(models.Model):
    """A permission that the product gave to a role once: whatever the admin did since, it is not given again.

    `role` is the name in `cdp.access.roles`; `group` is that role, also under another name, or null: it was deleted.
    """

    role = models.CharField(max_length=150)
    permission = models.CharField(max_length=201, help_text="app.codename")
    group = models.ForeignKey(Group, on_delete=models.SET_NULL, null=True, related_name="+")

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["role", "permission"], name="given_once")]

    def __str__(self) -> str:
        return f"{self.role}: {self.permission}"


class ApiKey(models.Model):
    """A key for the REST API with scopes, a rate limit and an end.

    `scopes` say what it may do. What it sees in clear is said by its `role`, as for the people of that group, or else
    by its `classifications`.
    """

    name = models.CharField(max_length=100, unique=True)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    hint = models.CharField(max_length=12, editable=False)
    scopes = models.JSONField(default=list, help_text="Any of ingest, read, read_masked, write, admin.")
    role = models.ForeignKey(
        Group, on_delete=models.PROTECT, null=True, blank=True, related_name="api_keys",
        help_text="It sees what the people of this group see. Empty: what is ticked below.",
    )  # fmt: skip
    classifications = models.JSONField(
        default=list, blank=True, help_text="What it sees in clear without a role: any of personal, sensitive."
    )
    rate_limit = models.PositiveIntegerField(default=6000, help_text="Requests a minute; 0: no limit.")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering: ClassVar = ["name"]
        verbose_name = "API key"

    def __str__(self) -> str:
        return f"{self.name} ({self.hint}…)"

    @cached_property
    def sees(self) -> frozenset[str]:
        """The protected classifications that it sees in clear: as its role has them now, else its own."""
        if self.role_id is None:
            return frozenset(self.classifications)
        held = Permission.objects.filter(group=self.role_id, content_type__app_label="access")
        codenames = set(held.values_list("codename", flat=True))
        return frozenset(name for name in PROTECTED if f"view_{name}" in codenames)


class AuditQuerySet(models.QuerySet["AuditEntry"]):
    """What may be asked of the audit."""

    def about(self, object_id: str) -> "AuditQuerySet":
        """Entries that name the object: by the index on PostgreSQL, by looking at each row on SQLite."""
        if connections[self.db].vendor == "postgresql":
            return self.filter(object_ids__contains=[object_id])
        named = models.Value(msgspec.json.encode(object_id).decode())
        return self.alias(_at=StrIndex(Cast("object_ids", models.TextField()), named)).filter(_at__gt=0)


class AuditEntry(models.Model):
    """A change of configuration or of a person by hand, or a read or export of personal data. Never a value.

    Written by `cdp.access.audit` alone, chained by `cdp.access.audit_seal`: a row that came another way is found out.
    """

    id = models.BigAutoField(primary_key=True)
    public_id = models.UUIDField(default=uuid7, editable=False, unique=True)
    at = models.BigIntegerField(help_text="Microseconds since 1970.")
    actor = models.CharField(max_length=150, help_text="user:<id>, key:<id>, or shell:<login> for a command.")
    action = models.CharField(max_length=60)
    object_type = models.CharField(max_length=60)
    object_ids = models.JSONField(default=list)
    fields = models.JSONField(default=list)
    request_id = models.CharField(max_length=64, blank=True)
    address = models.CharField(max_length=64, blank=True, help_text="Shortened.")
    why = models.CharField(max_length=500, blank=True)
    salt = models.BinaryField(max_length=16, editable=False)
    digest = models.BinaryField(max_length=32, editable=False, help_text="SHA-256 of salt and payload when written.")
    mark = models.BinaryField(max_length=16, editable=False, help_text="Says that we wrote what the row holds.")
    place = models.BigIntegerField(null=True, unique=True, editable=False, help_text="In the chain; null: not yet.")
    chain = models.BinaryField(max_length=32, null=True, editable=False)

    objects = AuditQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-at", "-id"]
        verbose_name_plural = "audit entries"
        indexes: ClassVar = [
            models.Index(fields=["at", "id"], name="audit_time"),
            models.Index(fields=["actor", "at"], name="audit_actor"),
            models.Index(fields=["id"], name="audit_unsealed", condition=models.Q(place=None)),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.object_type} by {self.actor}"


class AuditHead(models.Model):
    """One row: the end of the chain, locked by the one who seals; and what the last verification found."""

    id = models.SmallIntegerField(primary_key=True)
    place = models.BigIntegerField(default=0)
    chain = models.BinaryField(max_length=32)
    sealed_at = models.BigIntegerField(default=0)
    verified_at = models.BigIntegerField(null=True)
    verified_rows = models.BigIntegerField(default=0)
    problem = models.CharField(max_length=300, blank=True)

    def __str__(self) -> str:
        return f"audit sealed to {self.place}"
