"""Segments, who is in them and since when, what changed and why, and the audiences that are made of them."""

from typing import ClassVar

from django.core.validators import MaxValueValidator
from django.db import models

from cdp.core.ids import uuid7
from cdp.segments.types import CHOICES, LIST, TYPES


class Segment(models.Model):
    """A set of people, by a rule or by a list. Times are microseconds since 1970.

    Members are read at `generation`: rows of a generation that is still being written are seen by nobody. Only the
    holder of the lease writes memberships and everything from `generation` on (`cdp.segments.lease`).
    """

    id = models.BigAutoField(primary_key=True)
    public_id = models.UUIDField(default=uuid7, unique=True, editable=False)
    key = models.SlugField(max_length=100, unique=True, help_text="How rules and the API name it.")
    name = models.CharField(max_length=200)
    description = models.TextField(blank=True, max_length=2000)
    type = models.CharField(max_length=12, choices=CHOICES, default="rule-based")
    rules = models.JSONField(null=True, blank=True, help_text="The rule as JSON; none for a list.")
    words = models.TextField(blank=True, editable=False)
    refers_to = models.JSONField(default=list, editable=False, help_text="Keys of the segments that its rule names.")
    windowed = models.BooleanField(default=False, editable=False, help_text="Members may change as time goes by.")
    relative = models.BooleanField(
        default=False, editable=False, help_text="Whether someone is a member depends on everybody else (RFM)."
    )
    definition_version = models.IntegerField(default=1, editable=False)
    created_at = models.BigIntegerField(editable=False)
    updated_at = models.BigIntegerField(editable=False)

    generation = models.IntegerField(default=0, editable=False)
    building = models.BooleanField(default=False, editable=False, help_text="Rows of the next generation may exist.")
    size = models.BigIntegerField(default=0, editable=False)
    computed_version = models.IntegerField(default=0, editable=False, help_text="The definition that it follows.")
    computed_at = models.BigIntegerField(null=True, editable=False, help_text="When it last was brought up to date.")
    swept_at = models.BigIntegerField(default=0, editable=False, help_text="When everybody was last looked at.")
    cursor = models.BigIntegerField(default=0, editable=False, help_text="Fence up to which it has seen all writes.")
    event_cursor = models.BigIntegerField(default=0, editable=False, help_text="The last event of that fence.")
    seen = models.JSONField(default=dict, editable=False, help_text="Key → generation of the segments it refers to.")
    error = models.TextField(blank=True, editable=False)
    error_at = models.BigIntegerField(null=True, editable=False)
    lease_holder = models.CharField(max_length=80, blank=True, editable=False)
    lease_until = models.BigIntegerField(default=0, editable=False)

    class Meta:
        ordering: ClassVar = ["name", "id"]
        permissions: ClassVar = [("export_members", "Can export the members of segments and audiences")]

    def __str__(self) -> str:
        return self.name

    @property
    def listed(self) -> bool:
        """Whether its members are written down, not found by a rule."""
        return TYPES[self.type] == LIST

    @property
    def due(self) -> bool:
        """Whether everybody must be looked at: the definition is newer than the members, or somebody asked."""
        return self.computed_version != self.definition_version or not self.swept_at

    def status(self, *, now: int) -> str:
        """`failed`, `computing`, `waiting` (to be computed) or `ready`, at `now` (µs)."""
        if self.error:
            return "failed"
        if self.due:
            return "computing" if self.lease_until > now else "waiting"
        return "ready"


class Membership(models.Model):
    """A person in a segment from generation `from_gen` on, until `to_gen` (exclusive) if that is known.

    `person_id` is the id of the person's first profile.
    """

    pk = models.CompositePrimaryKey("segment_id", "person_id", "from_gen")
    segment = models.ForeignKey(Segment, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False)
    person_id = models.BigIntegerField(db_index=True)
    from_gen = models.IntegerField()
    to_gen = models.IntegerField(null=True)
    entered_at = models.BigIntegerField()
    left_at = models.BigIntegerField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["segment", "person_id"], condition=models.Q(to_gen=None), name="membership_once"
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["left_at"], name="membership_left", condition=models.Q(left_at__isnull=False))
        ]

    def __str__(self) -> str:
        return f"person {self.person_id} in segment {self.segment_id}"


class MembershipChange(models.Model):
    """An entry or an exit: the history of a segment, and the outbox for whoever acts on it.

    Ids of one segment grow in the order of its generations, so a reader keeps one cursor per segment. Rows of a
    generation above the segment's are not valid yet.
    """

    class Change(models.TextChoices):
        ENTERED = "entered", "Entered"
        LEFT = "left", "Left"

    class Cause(models.TextChoices):
        EVENT = "event", "An event"
        TRAIT = "trait", "A trait or a consent"
        TIME = "time", "Time went by"
        SEGMENT = "segment", "Another segment changed"
        DEFINITION = "definition", "The segment was changed"
        MERGE = "merge", "People were merged or separated"
        MANUAL = "manual", "By hand"
        MODEL = "model", "A model chose"
        DELETED = "deleted", "The person was deleted"
        INITIAL = "initial", "The segment was computed for the first time"

    id = models.BigAutoField(primary_key=True)
    segment = models.ForeignKey(Segment, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False)
    person_id = models.BigIntegerField(db_index=True)
    generation = models.IntegerField()
    change = models.CharField(max_length=7, choices=Change.choices)
    cause = models.CharField(max_length=10, choices=Cause.choices)
    historical = models.BooleanField(default=False, help_text="Only imported history caused it: nothing is triggered.")
    at = models.BigIntegerField()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["segment", "id"], name="change_segment")]

    def __str__(self) -> str:
        return f"person {self.person_id} {self.change} segment {self.segment_id}"


class SegmentSize(models.Model):
    """The size of a segment at the end of an hour, and what came and went in it."""

    pk = models.CompositePrimaryKey("segment_id", "hour")
    segment = models.ForeignKey(Segment, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False)
    hour = models.BigIntegerField(help_text="Hours since 1970.")
    size = models.BigIntegerField()
    entries = models.BigIntegerField(default=0)
    exits = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"segment {self.segment_id} in hour {self.hour}"


class ListedProfile(models.Model):
    """A profile on the list of a static segment. It is the profile that is listed, so merges can be undone exactly."""

    pk = models.CompositePrimaryKey("segment_id", "profile_id")
    segment = models.ForeignKey(Segment, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False)
    profile_id = models.BigIntegerField(db_index=True)
    added_at = models.BigIntegerField()
    actor = models.CharField(max_length=150, blank=True)

    def __str__(self) -> str:
        return f"profile {self.profile_id} on the list of segment {self.segment_id}"


class Audience(models.Model):
    """The people of a segment who may be addressed: without those suppressed and without the held-out share."""

    id = models.BigAutoField(primary_key=True)
    public_id = models.UUIDField(default=uuid7, unique=True, editable=False)
    key = models.SlugField(max_length=100, unique=True, help_text="How the API names it.")
    name = models.CharField(max_length=200)
    description = models.TextField(blank=True, max_length=2000)
    segment = models.ForeignKey(Segment, on_delete=models.PROTECT, related_name="audiences")
    suppressed = models.ManyToManyField(
        Segment, blank=True, related_name="suppressing", help_text="Whoever is in one of these is left out."
    )
    hold_out = models.FloatField(
        default=0.0,
        validators=[MaxValueValidator(100)],
        help_text="Percent of the people who are left out to compare with, chosen by a hash that never changes.",
    )
    salt = models.CharField(max_length=36, default=uuid7, editable=False)
    consent = models.CharField(
        max_length=40, blank=True, help_text="Only people who granted this consent type, such as MARKETING_EMAIL."
    )
    created_at = models.BigIntegerField(editable=False)
    updated_at = models.BigIntegerField(editable=False)

    class Meta:
        ordering: ClassVar = ["name", "id"]

    def __str__(self) -> str:
        return self.name


class Lookalike(models.Model):
    """How the members of a lookalike segment were found: asked for, built by the worker, and its report kept."""

    class Status(models.TextChoices):
        WAITING = "waiting", "Waiting for the worker"
        READY = "ready", "Ready"
        FAILED = "failed", "Failed"

    segment = models.OneToOneField(Segment, on_delete=models.CASCADE, primary_key=True, related_name="lookalike")
    source = models.ForeignKey(Segment, on_delete=models.SET_NULL, null=True, related_name="lookalikes")
    threshold = models.FloatField(help_text="Similarity from which on people are members, 0 to 1.")
    status = models.CharField(max_length=7, choices=Status.choices, default=Status.WAITING, db_index=True)
    report = models.JSONField(default=dict)
    error = models.TextField(blank=True)
    asked_at = models.BigIntegerField()
    built_at = models.BigIntegerField(null=True)

    def __str__(self) -> str:
        return f"lookalike {self.segment_id}"
