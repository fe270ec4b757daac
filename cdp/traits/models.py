"""What is known of a profile: one encrypted document each, and the catalogue that says what a key means."""

from typing import ClassVar

from django.db import models

from cdp.profiles.models import Profile


class TraitDocument(models.Model):
    """The traits that one profile owns: key → value, time, source and the rest (`cdp.traits.document`), encrypted."""

    profile = models.OneToOneField(
        Profile, on_delete=models.DO_NOTHING, db_constraint=False, primary_key=True, related_name="trait_document"
    )
    updated_at = models.BigIntegerField()
    body = models.BinaryField()

    def __str__(self) -> str:
        return f"traits of {self.profile_id}"


class TraitDefinition(models.Model):
    """A catalogued trait: its type and who may see it."""

    class Classification(models.TextChoices):
        PUBLIC = "public", "Public"
        INTERNAL = "internal", "Internal"
        PERSONAL = "personal", "Personal"
        SENSITIVE = "sensitive", "Sensitive"

    class Type(models.TextChoices):
        DEMOGRAPHIC = "DEMOGRAPHIC"
        BEHAVIORAL = "BEHAVIORAL"
        COMPUTED = "COMPUTED"
        TRANSACTIONAL = "TRANSACTIONAL"
        PREFERENCE = "PREFERENCE"
        ENGAGEMENT = "ENGAGEMENT"
        RISK = "RISK"
        LIFECYCLE = "LIFECYCLE"

    key = models.CharField(max_length=100, unique=True)
    type = models.CharField(max_length=15, choices=Type.choices, default=Type.DEMOGRAPHIC)
    classification = models.CharField(max_length=10, choices=Classification.choices, default=Classification.INTERNAL)
    description = models.CharField(max_length=300, blank=True)
    owner = models.CharField(max_length=100, blank=True)

    class Meta:
        ordering: ClassVar = ["key"]

    def __str__(self) -> str:
        return self.key
