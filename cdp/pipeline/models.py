"""The rows that carry a message from the door to its profile, and the fence that keeps one writer at a time."""

from typing import ClassVar

from django.db import models


class InboxMessage(models.Model):
    """An acknowledged message that waits to be processed. Deleted in the transaction that writes its event.

    The door adds rows without a look at what is there, so repeats wait here too: it has no index to keep but the
    number. The processor finds them out by `SeenMessage`.
    """

    id = models.BigAutoField(primary_key=True)
    digest = models.BinaryField(max_length=16)
    source_id = models.IntegerField(null=True)
    received = models.BigIntegerField()
    body = models.BinaryField(help_text="Encrypted `cdp.pipeline.message.Envelope`.")
    claimed = models.BooleanField(default=False, help_text="Its digest is in `SeenMessage` already: it is no repeat.")

    class Meta:
        verbose_name = "waiting message"

    def __str__(self) -> str:
        return bytes(self.digest).hex()


class SpoolMark(models.Model):
    """How far the door's own file was moved into the inbox (`cdp.pipeline.spool`), by the name that the file bears."""

    name = models.CharField(max_length=32, primary_key=True)
    message = models.BigIntegerField(default=0)
    refusal = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.name} up to {self.message}"


class SeenMessage(models.Model):
    """The digest of every message that was accepted, kept for DEDUPE_DAYS, so that each counts once.

    Who puts a digest here has claimed the message: the processor for what came through the door, in the transaction
    that takes it out of the inbox; imports, the REST API and a replay when they put it in, as they answer at once.
    """

    digest = models.BinaryField(max_length=16, primary_key=True)
    day = models.IntegerField(db_index=True, help_text="Days since 1970 on which it was accepted.")

    def __str__(self) -> str:
        return bytes(self.digest).hex()


class ProcessingLease(models.Model):
    """One row. `holder` and `expires_at` spare several workers the same work; `fence` is what makes them safe:

    whoever writes profiles, identifiers, traits or merges locks this row, checks that `fence` is what it was when they
    began to read, and raises it. A writer that lost its lease finds another number and starts again.
    """

    id = models.SmallIntegerField(primary_key=True)
    fence = models.BigIntegerField(default=0)
    key_version = models.SmallIntegerField(default=1, help_text="The key that indexes; set by rotate_keys.")
    holder = models.CharField(max_length=64, blank=True)
    expires_at = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"fence {self.fence}"


class ImportRun(models.Model):
    """One `import_file` of one file: how far it got, so that it can go on, and what it found."""

    class Status(models.TextChoices):
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"

    key = models.CharField(max_length=64, unique=True, help_text="SHA-256 of file, kind, mapping and source.")
    path = models.CharField(max_length=500)
    kind = models.CharField(max_length=20)
    source_id = models.IntegerField()
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.RUNNING)
    offset = models.BigIntegerField(default=0, help_text="Rows that are done.")
    accepted = models.BigIntegerField(default=0)
    duplicates = models.BigIntegerField(default=0)
    rejected = models.BigIntegerField(default=0)
    started_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering: ClassVar = ["-started_at"]

    def __str__(self) -> str:
        return f"{self.kind} from {self.path}"


class Counter(models.Model):
    """How many messages each source had with each outcome, per day (`cdp.pipeline.counters`)."""

    id = models.BigAutoField(primary_key=True)
    day = models.IntegerField()
    source_id = models.IntegerField()
    outcome = models.CharField(max_length=40)
    count = models.BigIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["day", "source_id", "outcome"], name="counter_once")]

    def __str__(self) -> str:
        return f"{self.outcome} {self.count}"
