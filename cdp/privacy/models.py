"""Requests of people about their data, erasures with their receipts, legal holds and retention policies."""

from typing import ClassVar

from django.db import models

from cdp.core.ids import uuid7
from cdp.profiles.models import Profile


class PrivacyRequest(models.Model):
    """What somebody asks about the data of one person. Times are µs.

    `body` holds what may be personal, encrypted: the identifiers that were given, contact, wanted changes, the answer;
    it goes when the person is erased. `external_id` is that of whoever sent it by OpenDSR. `subject` is the digest of
    the identifiers while nobody is known by them. `link` is the random part of the verification link that is good now.
    `duplicate` is true on what `open_request` found instead of making a second one.
    """

    duplicate = False

    class Kind(models.TextChoices):
        ACCESS = "access", "Access"
        PORTABILITY = "portability", "Portability"
        DELETION = "deletion", "Deletion"
        RECTIFICATION = "rectification", "Rectification"
        OBJECTION = "objection", "Objection"

    class Status(models.TextChoices):
        UNVERIFIED = "unverified", "Waits for verification"
        PENDING = "pending", "Waits for an officer"
        RUNNING = "running", "In progress"
        PARTIAL = "partial", "Done in part"
        COMPLETED = "completed", "Completed"
        REJECTED = "rejected", "Rejected"
        CANCELLED = "cancelled", "Cancelled"

    class Regulation(models.TextChoices):
        GDPR = "gdpr", "GDPR"
        CCPA = "ccpa", "CCPA"

    id = models.BigAutoField(primary_key=True)
    public_id = models.UUIDField(default=uuid7, unique=True, editable=False)
    kind = models.CharField(max_length=15, choices=Kind.choices)
    regulation = models.CharField(max_length=10, choices=Regulation.choices, default=Regulation.GDPR)
    status = models.CharField(max_length=12, choices=Status.choices, default=Status.UNVERIFIED, db_index=True)
    person = models.ForeignKey(
        Profile, on_delete=models.DO_NOTHING, db_constraint=False, null=True, related_name="privacy_requests"
    )
    channel = models.CharField(max_length=10, help_text="api, console, command or opendsr.")
    external_id = models.CharField(max_length=100, null=True, unique=True)
    callbacks = models.JSONField(default=list)
    created_at = models.BigIntegerField()
    created_by = models.CharField(max_length=150)
    verified_at = models.BigIntegerField(null=True)
    verified_by = models.CharField(max_length=150, blank=True, help_text="`link`, or the officer who did it.")
    due_at = models.BigIntegerField(db_index=True)
    extended_at = models.BigIntegerField(null=True)
    ended_at = models.BigIntegerField(null=True)
    outcome = models.CharField(max_length=500, blank=True, help_text="In words, without personal data.")
    body = models.BinaryField(null=True)
    subject = models.BinaryField(max_length=32, null=True)
    link = models.BinaryField(max_length=16, null=True)
    link_expires_at = models.BigIntegerField(null=True)
    link_tries = models.PositiveSmallIntegerField(default=0, help_text="Wrong tries; too many lock the link.")
    mail = models.CharField(max_length=10, blank=True, help_text="The mail that waits to be sent.")
    alerted = models.SmallIntegerField(null=True, help_text="Days before the deadline of the last alert.")
    carried_by = models.CharField(max_length=150, blank=True, help_text="Who had it carried out.")
    holder = models.CharField(max_length=100, blank=True, help_text="The process at it, until `held_until`.")
    held_until = models.BigIntegerField(default=0)

    class Meta:
        ordering: ClassVar = ["-id"]
        indexes: ClassVar = [models.Index(fields=["subject"], name="privacyrequest_subject")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.public_id}"


class RequestNote(models.Model):
    """A note of an officer beside a request, or a file that was handed in. Rows are only added.

    `body` is the text, or name and type of the file, encrypted; `content` is the file, encrypted.
    """

    id = models.BigAutoField(primary_key=True)
    public_id = models.UUIDField(default=uuid7, unique=True, editable=False)
    request = models.ForeignKey(PrivacyRequest, on_delete=models.CASCADE, related_name="notes")
    at = models.BigIntegerField()
    actor = models.CharField(max_length=150)
    size = models.PositiveIntegerField(null=True, help_text="Bytes of the file; null: a note.")
    body = models.BinaryField()
    content = models.BinaryField(null=True)

    class Meta:
        ordering: ClassVar = ["id"]

    def __str__(self) -> str:
        return f"{'note' if self.size is None else 'file'} {self.public_id}"


class AccessPackage(models.Model):
    """The zip that answers an access or portability request: an encrypted file under DATA_DIR until it expires.

    `token` is the SHA-256 of what the link carries; the file is `DATA_DIR/packages/<public id in hex>`. `key` is that
    of the file, encrypted: without it, and it goes when the package expires, nobody can read the file. While one is
    prepared in the background there is no key; whoever works at it is `holder`, until `held_until` (µs).
    """

    class Status(models.TextChoices):
        PREPARING = "preparing", "Being prepared"
        READY = "ready", "Ready"
        FAILED = "failed", "Failed"

    id = models.BigAutoField(primary_key=True)
    public_id = models.UUIDField(default=uuid7, unique=True, editable=False)
    request = models.ForeignKey(PrivacyRequest, on_delete=models.CASCADE, null=True, related_name="packages")
    person = models.ForeignKey(Profile, on_delete=models.DO_NOTHING, db_constraint=False, related_name="packages")
    token = models.BinaryField(max_length=32, unique=True)
    created_at = models.BigIntegerField()
    expires_at = models.BigIntegerField()
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.READY)
    asked_by = models.CharField(max_length=150, blank=True)
    problem = models.CharField(max_length=200, blank=True, help_text="Why it failed, without personal data.")
    holder = models.CharField(max_length=100, blank=True, help_text="The process at it, until `held_until`.")
    held_until = models.BigIntegerField(default=0)
    size = models.BigIntegerField(default=0, help_text="Bytes of the zip.")
    key = models.BinaryField(null=True, editable=False)
    fetched_at = models.BigIntegerField(null=True, help_text="The last time it was downloaded.")
    fetches = models.IntegerField(default=0, help_text="How often it was downloaded.")

    class Meta:
        ordering: ClassVar = ["-id"]
        indexes: ClassVar = [
            models.Index(fields=["expires_at"], name="accesspackage_kept", condition=models.Q(key__isnull=False)),
            models.Index(fields=["id"], name="accesspackage_waiting", condition=models.Q(status="preparing")),
        ]

    def __str__(self) -> str:
        return str(self.public_id)


class ControllerNotice(models.Model):
    """What the controller who sent a request by OpenDSR is told of it at one address, until it knows the last state.

    `told` is the state that it took last; `next_at` (µs) when it may be tried again.
    """

    id = models.BigAutoField(primary_key=True)
    request = models.ForeignKey(PrivacyRequest, on_delete=models.CASCADE, related_name="notices")
    url = models.CharField(max_length=500)
    version = models.SmallIntegerField(help_text="Of OpenDSR: 1, 2 or 3.")
    told = models.CharField(max_length=12, blank=True)
    attempts = models.SmallIntegerField(default=0, help_text="Since it took one.")
    next_at = models.BigIntegerField()
    error = models.CharField(max_length=200, blank=True)
    settled = models.BooleanField(default=False, help_text="It knows the last state, or was tried too often.")

    class Meta:
        ordering: ClassVar = ["-id"]
        indexes: ClassVar = [
            models.Index(fields=["next_at"], name="controllernotice_due", condition=models.Q(settled=False))
        ]

    def __str__(self) -> str:
        return f"notice {self.pk}"


class Erasure(models.Model):
    """The erasure of one person, step by step, until nothing is found any more; `receipt` is the signed proof.

    `subject` holds, encrypted, whom it is about (profile numbers, public ids, digests, values to look for) for as long
    as it runs, and is emptied when the receipt is written.
    """

    class Status(models.TextChoices):
        RUNNING = "running", "In progress"
        PARTIAL = "partial", "Something could not be reached"
        DONE = "done", "Erased and proven"

    id = models.BigAutoField(primary_key=True)
    public_id = models.UUIDField(default=uuid7, unique=True, editable=False)
    request = models.ForeignKey(PrivacyRequest, on_delete=models.PROTECT, null=True, related_name="erasures")
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.RUNNING, db_index=True)
    actor = models.CharField(max_length=150)
    started_at = models.BigIntegerField()
    ended_at = models.BigIntegerField(null=True)
    steps = models.JSONField(default=dict, help_text="Step → rows that went, or why it could not be reached.")
    subject = models.BinaryField(null=True)
    receipt = models.JSONField(null=True)
    holder = models.CharField(max_length=60, blank=True, help_text="Who works on it now.")
    expires_at = models.BigIntegerField(default=0, help_text="Until when that is believed.")

    class Meta:
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return str(self.public_id)


class LegalHold(models.Model):
    """A person whose data must be kept: neither retention nor a deletion touches it until it is released."""

    id = models.BigAutoField(primary_key=True)
    public_id = models.UUIDField(default=uuid7, unique=True, editable=False)
    person = models.ForeignKey(Profile, on_delete=models.DO_NOTHING, db_constraint=False, related_name="legal_holds")
    reason = models.CharField(max_length=500)
    created_at = models.BigIntegerField()
    created_by = models.CharField(max_length=150)
    released_at = models.BigIntegerField(null=True)
    released_by = models.CharField(max_length=150, blank=True)

    class Meta:
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"hold {self.public_id}"


class RetentionPolicy(models.Model):
    """How long what is kept. Among the active ones that name something the shortest that matches decides; one that

    names nothing is the default: it decides where no other matches. `event_names`, `source` and `purpose` are for
    events, `logs` for request logs (empty: every log). Times are µs.
    """

    class Subject(models.TextChoices):
        EVENTS = "events", "Events"
        PROFILES = "profiles", "Profiles without activity"
        LOGS = "logs", "Request logs"

    public_id = models.UUIDField(default=uuid7, unique=True, editable=False)
    name = models.CharField(max_length=100, unique=True)
    subject = models.CharField(max_length=10, choices=Subject.choices, default=Subject.EVENTS)
    event_names = models.JSONField(
        default=list, blank=True, help_text="Names of events, or types such as PURCHASE. Empty: every event."
    )
    source = models.ForeignKey("access.Source", on_delete=models.PROTECT, null=True, blank=True)
    purpose = models.ForeignKey(
        "consents.Purpose",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        help_text="Events that are for this purpose, as the gate's rules say.",
    )
    logs = models.JSONField(default=list, blank=True, help_text="Names of logs. Empty: every log.")
    days = models.PositiveIntegerField(help_text="What is older goes.")
    active = models.BooleanField(default=False, help_text="Only an active policy deletes; look at the preview first.")
    changed_at = models.BigIntegerField(default=0, editable=False)
    wanted_at = models.BigIntegerField(null=True, editable=False, help_text="When somebody asked for a run.")
    running_since = models.BigIntegerField(null=True, editable=False, help_text="Until the run has ended.")
    last_run_at = models.BigIntegerField(null=True, editable=False)
    last_deleted = models.BigIntegerField(null=True, editable=False)
    error = models.CharField(max_length=300, blank=True, editable=False)
    error_at = models.BigIntegerField(null=True, editable=False)

    class Meta:
        ordering: ClassVar = ["name"]
        verbose_name_plural = "retention policies"

    def __str__(self) -> str:
        return self.name
