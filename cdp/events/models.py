"""Hot events, sessions, and the quarantine of what could not be used."""

from typing import ClassVar

from django.db import models

from cdp.access.models import Source
from cdp.core.clock import DAY
from cdp.profiles.models import Profile


class Event(models.Model):
    """One processed message. `digest` is its id: the first 16 bytes of SHA-256(source, messageId), shown as a UUID.

    The profile 0 is nobody: a person does not allow more (`cdp.consents.gate`). It is declared null so that joins keep
    such events; the column is never null. `body` is the encrypted rest (`cdp.events.body.EventBody`): properties,
    context, the identifiers it carried and what resolution did with each. Times are microseconds since 1970; `ts` is
    corrected for clock skew.
    """

    class Call(models.IntegerChoices):
        TRACK = 1, "track"
        IDENTIFY = 2, "identify"
        PAGE = 3, "page"
        SCREEN = 4, "screen"
        GROUP = 5, "group"
        ALIAS = 6, "alias"

    id = models.BigAutoField(primary_key=True)
    digest = models.BinaryField(max_length=16, unique=True)
    profile = models.ForeignKey(Profile, on_delete=models.DO_NOTHING, db_constraint=False, null=True, db_index=False)
    source = models.ForeignKey(Source, on_delete=models.DO_NOTHING, db_constraint=False, null=True, db_index=False)
    session = models.ForeignKey("Session", on_delete=models.DO_NOTHING, db_constraint=False, null=True, db_index=False)
    call = models.SmallIntegerField(choices=Call.choices)
    type = models.CharField(max_length=20, help_text="The vocabulary of `cdp.events.vocabulary`.")
    name = models.CharField(max_length=200)
    ts = models.BigIntegerField()
    received = models.BigIntegerField()
    decision = models.SmallIntegerField(help_text="What resolution decided (`cdp.identities.decisions.Decision`).")
    body = models.BinaryField()

    class Meta:
        ordering: ClassVar = ["-ts", "-id"]
        indexes: ClassVar = [
            models.Index(fields=["profile", "ts"], name="event_profile_ts"),
            models.Index(fields=["ts"], name="event_ts"),
            models.Index(fields=["ts"], name="event_ahead", condition=models.Q(ts__gt=models.F("received"))),
        ]

    def __str__(self) -> str:
        return self.name


class Session(models.Model):
    """A stretch of activity of one profile with no gap over 30 minutes, or one that the client named or stopped."""

    id = models.BigAutoField(primary_key=True)
    public_id = models.UUIDField(unique=True)
    profile = models.ForeignKey(Profile, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False)
    key = models.BinaryField(max_length=16, null=True, help_text="Blind index of the client's own session id.")
    started = models.BigIntegerField()
    last = models.BigIntegerField()
    # Indexed in its place: it changes once a day, so that counting an event writes no index (HOT on PostgreSQL).
    last_day = models.GeneratedField(
        expression=models.F("last") / DAY, output_field=models.IntegerField(), db_persist=True
    )
    stopped = models.BooleanField(default=False)
    event_count = models.IntegerField(default=0)
    entry = models.TextField(default="{}", help_text="JSON: path, referrer host, utm_* of the first event.")

    class Meta:
        ordering: ClassVar = ["-started"]
        indexes: ClassVar = [
            models.Index(fields=["profile", "last_day"], name="session_profile_day"),
            models.Index(fields=["last_day", "id"], name="session_day"),
            models.Index(fields=["key"], name="session_key", condition=models.Q(key__isnull=False)),
        ]

    def __str__(self) -> str:
        return str(self.public_id)


class QuarantinedMessage(models.Model):
    """A message that could not be used, with the reason. It can be corrected and replayed; nothing is thrown away."""

    class Stage(models.TextChoices):
        DOOR = "door", "Refused at the door"
        PROCESSING = "processing", "Failed while it was processed"

    class Status(models.TextChoices):
        OPEN = "open", "Waiting"
        REPLAYED = "replayed", "Replayed"
        DISCARDED = "discarded", "Discarded"

    id = models.BigAutoField(primary_key=True)
    digest = models.BinaryField(max_length=16, unique=True)
    source = models.ForeignKey(Source, on_delete=models.DO_NOTHING, db_constraint=False, null=True)
    received = models.BigIntegerField()
    stage = models.CharField(max_length=10, choices=Stage.choices)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.OPEN, db_index=True)
    code = models.CharField(max_length=40)
    reason = models.CharField(max_length=300)
    body = models.BinaryField(help_text="The message as it came, encrypted.")
    resolved_at = models.BigIntegerField(null=True)

    class Meta:
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"{self.code}: {self.reason}"
