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
    """A catalogued trait: what it means, what its values are, who owns it and who may see it.

    With a data type it has a typed column in the lake, unless it is personal. `readers` are names of groups: when there
    are any, only their people, superusers and keys with the scope admin read it.
    """

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

    class DataType(models.TextChoices):
        NUMBER = "number", "Number"
        TEXT = "text", "Text"
        FLAG = "flag", "Yes or no"
        TIME = "time", "Time"
        LIST = "list", "List of texts"

    key = models.CharField(max_length=100, unique=True)
    type = models.CharField(max_length=15, choices=Type.choices, default=Type.DEMOGRAPHIC)
    classification = models.CharField(max_length=10, choices=Classification.choices, default=Classification.INTERNAL)
    data_type = models.CharField(max_length=6, choices=DataType.choices, blank=True)
    readers = models.JSONField(default=list, blank=True, help_text="Groups that may read it; none: everybody.")
    description = models.CharField(max_length=300, blank=True)
    owner = models.CharField(max_length=100, blank=True)

    class Meta:
        ordering: ClassVar = ["key"]

    def __str__(self) -> str:
        return self.key


class CalculatedField(models.Model):
    """A trait that is calculated from others when it is read (`cdp.lake.fields` has the language)."""

    key = models.CharField(max_length=100, unique=True)
    expression = models.TextField(max_length=2000)
    kind = models.CharField(max_length=6, choices=TraitDefinition.DataType.choices, editable=False)
    description = models.CharField(max_length=300, blank=True)
    owner = models.CharField(max_length=100, blank=True)

    class Meta:
        ordering: ClassVar = ["key"]

    def __str__(self) -> str:
        return self.key


class ComputedTrait(models.Model):
    """A trait that is computed from events: count, sum, average and so on, over all time or a window.

    `version` grows with every change of the definition; `computed_version` is the one that the values follow.
    """

    key = models.CharField(max_length=100, unique=True)
    definition = models.JSONField(help_text="The aggregate as JSON: event, where, aggregate, property, within.")
    kind = models.CharField(max_length=6, choices=TraitDefinition.DataType.choices, editable=False)
    words = models.TextField(editable=False)
    windowed = models.BooleanField(default=False, editable=False, help_text="Values change as time goes by.")
    description = models.CharField(max_length=300, blank=True)
    owner = models.CharField(max_length=100, blank=True)
    version = models.IntegerField(default=1, editable=False)
    computed_version = models.IntegerField(default=0, editable=False)

    class Meta:
        ordering: ClassVar = ["key"]

    def __str__(self) -> str:
        return self.key


class ComputedValue(models.Model):
    """The value of a computed trait for a person (the id of their first profile), as JSON. Missing has no row."""

    pk = models.CompositePrimaryKey("trait_id", "person_id")
    trait = models.ForeignKey(ComputedTrait, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False)
    person_id = models.BigIntegerField(db_index=True)
    value = models.TextField()
    computed_at = models.BigIntegerField()

    def __str__(self) -> str:
        return f"value of trait {self.trait_id} for person {self.person_id}"


class ComputedProgress(models.Model):
    """How far the values of computed traits have followed the store: one row.

    `cursor` is the fence up to which all writes were seen, `swept_at` when everybody was last looked at (µs). Only the
    holder of the lease computes.
    """

    cursor = models.BigIntegerField(default=0)
    swept_at = models.BigIntegerField(default=0)
    computed_at = models.BigIntegerField(null=True)
    error = models.TextField(blank=True)
    error_at = models.BigIntegerField(null=True)
    lease_holder = models.CharField(max_length=80, blank=True)
    lease_until = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"computed traits up to fence {self.cursor}"
