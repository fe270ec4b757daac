"""Who may send, read and change: users, sources with their write keys, API keys, and the record of personal reads."""

from typing import ClassVar

from django.contrib.auth.models import AbstractUser
from django.core.validators import MinValueValidator
from django.db import models

from cdp.core.ids import uuid7


class User(AbstractUser):
    """A person who signs in. What they may do is said by their groups (`cdp.access.roles`)."""

    class Meta(AbstractUser.Meta):
        permissions: ClassVar = [
            ("view_personal", "Can see personal data in clear"),
            ("write_data", "Can change profiles, traits, events and consents"),
            ("replay_quarantine", "Can correct and replay quarantined messages"),
            ("merge_people", "Can merge and unmerge people"),
        ]


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


class ApiKey(models.Model):
    """A key for the REST API with scopes, a rate limit and an end."""

    name = models.CharField(max_length=100, unique=True)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    hint = models.CharField(max_length=12, editable=False)
    scopes = models.JSONField(default=list, help_text="Any of ingest, read, read_masked, write, admin.")
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


class AuditEntry(models.Model):
    """One read or export of personal data: who, what fields, which ids. Never a value. Rows are only added."""

    id = models.BigAutoField(primary_key=True)
    public_id = models.UUIDField(default=uuid7, editable=False, unique=True)
    at = models.BigIntegerField(help_text="Microseconds since 1970.")
    actor = models.CharField(max_length=150, help_text="user:<id> or key:<id>.")
    action = models.CharField(max_length=60)
    object_type = models.CharField(max_length=60)
    object_ids = models.JSONField(default=list)
    fields = models.JSONField(default=list)
    request_id = models.CharField(max_length=64, blank=True)
    address = models.CharField(max_length=64, blank=True, help_text="Shortened.")

    class Meta:
        ordering: ClassVar = ["-id"]
        verbose_name_plural = "audit entries"

    def __str__(self) -> str:
        return f"{self.action} {self.object_type} by {self.actor}"
