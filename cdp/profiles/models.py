"""Profiles (fragments that are never rewritten), the merges between them, and the people that the merges make."""

from typing import ClassVar

from django.db import models

from cdp.core.ids import uuid7


class Profile(models.Model):
    """A fragment: identifiers, traits, consents, sessions and events belong for ever to the one that first owned them.

    `person` caches the connected component of active merges: it is the component's first profile, whose `public_id` is
    the person's. Times are microseconds since 1970. Only `cdp.pipeline` writes, under the processing fence. Fences are
    handed out in the order of commits: whoever remembers one up to which it has seen everything finds what came later.
    """

    id = models.BigAutoField(primary_key=True)
    public_id = models.UUIDField(default=uuid7, unique=True, editable=False)
    person = models.ForeignKey(
        "self", on_delete=models.DO_NOTHING, db_constraint=False, related_name="fragments", editable=False
    )
    created_at = models.BigIntegerField()
    updated_at = models.BigIntegerField()
    first_seen = models.BigIntegerField(help_text="Event time of the first event.")
    last_seen = models.BigIntegerField(help_text="Event time of the last event.")
    event_count = models.IntegerField(default=0)
    purchase_count = models.IntegerField(default=0)
    first_purchase = models.BigIntegerField(null=True)
    last_purchase = models.BigIntegerField(null=True)
    revenue = models.TextField(default="{}", help_text="JSON: currency → sum in 1/10,000 units.")
    touched = models.BigIntegerField(db_default=0, db_index=True, help_text="Fence of the last write of any kind.")
    described = models.BigIntegerField(
        db_default=0,
        db_index=True,
        help_text="Fence of the last write that changed traits, consents or the person it belongs to.",
    )

    class Meta:
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return str(self.public_id)


class Merge(models.Model):
    """Two profiles that are one person while `active`. Append-only but for being set inactive by an unmerge."""

    class Cause(models.TextChoices):
        INFERENCE = "inference", "An event joined them"
        ALIAS = "alias", "An alias call"
        API = "api", "Merged by hand or by API"

    class Strategy(models.TextChoices):
        RULE = "rule", "The golden record's own rule"
        LATEST = "latest", "The later value wins"
        OLDEST = "oldest", "The earlier value wins"
        TARGET = "target", "The target's value wins"
        SOURCE = "source", "The source's value wins"

    id = models.BigAutoField(primary_key=True)
    public_id = models.UUIDField(default=uuid7, unique=True, editable=False)
    target = models.ForeignKey(
        Profile, on_delete=models.DO_NOTHING, db_constraint=False, related_name="merges_as_target"
    )
    source = models.ForeignKey(
        Profile, on_delete=models.DO_NOTHING, db_constraint=False, related_name="merges_as_source"
    )
    cause = models.CharField(max_length=10, choices=Cause.choices)
    strategy = models.CharField(max_length=10, choices=Strategy.choices, default=Strategy.RULE)
    active = models.BooleanField(default=True)
    created_at = models.BigIntegerField()
    undone_at = models.BigIntegerField(null=True)
    fence = models.BigIntegerField(default=0, help_text="Fence under which it was made or, later, undone.")
    event = models.BinaryField(max_length=16, null=True, help_text="Digest of the event that caused it.")
    via_target = models.BinaryField(
        max_length=16, null=True, help_text="Digest of the identifier on the target's side."
    )
    via_source = models.BinaryField(
        max_length=16, null=True, help_text="Digest of the identifier on the source's side."
    )
    actor = models.CharField(max_length=150, blank=True)

    class Meta:
        ordering: ClassVar = ["-id"]
        indexes: ClassVar = [
            models.Index(fields=["via_target", "created_at"], name="merge_via_target"),
            models.Index(fields=["via_source", "created_at"], name="merge_via_source"),
        ]

    def __str__(self) -> str:
        return f"{self.cause} merge {self.public_id}"


class DeletedProfile(models.Model):
    """A profile that was deleted under the fence `deleted_in`, so that what follows the store by fences learns it."""

    profile_id = models.BigIntegerField(primary_key=True)
    deleted_in = models.BigIntegerField(db_index=True)

    def __str__(self) -> str:
        return f"profile {self.profile_id}"


class KeepApart(models.Model):
    """Two profiles that an unmerge separated: no inference may join their people until it is lifted (rule 9)."""

    id = models.BigAutoField(primary_key=True)
    first = models.ForeignKey(Profile, on_delete=models.DO_NOTHING, db_constraint=False, related_name="+")
    second = models.ForeignKey(Profile, on_delete=models.DO_NOTHING, db_constraint=False, related_name="+")
    merge = models.ForeignKey(Merge, on_delete=models.DO_NOTHING, db_constraint=False, null=True, related_name="+")
    created_at = models.BigIntegerField()
    lifted_at = models.BigIntegerField(null=True)

    class Meta:
        verbose_name = "pair to keep apart"
        verbose_name_plural = "pairs to keep apart"

    def __str__(self) -> str:
        return f"{self.first_id} | {self.second_id}"
