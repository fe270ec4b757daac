"""A connection to another customer data platform, and the log of what was asked of it."""

from typing import ClassVar

from django.conf import settings
from django.core.validators import MaxValueValidator
from django.db import models

from cdp.core.ids import uuid7


class Integration(models.Model):
    """A configured provider. One at a time is active. Times are microseconds since 1970.

    `config` holds what was typed into the provider's form and is no secret; `credentials` the secrets, encrypted.
    What is blank in either is taken from the environment (`integrations.connection`).
    """

    class TestStatus(models.TextChoices):
        UNTESTED = "untested", "Untested"
        SUCCESS = "success", "Success"
        FAILED = "failed", "Failed"

    id = models.BigAutoField(primary_key=True)
    public_id = models.UUIDField(default=uuid7, editable=False, unique=True)
    provider = models.CharField(max_length=30, editable=False)
    name = models.CharField(max_length=100, unique=True)
    config = models.JSONField(default=dict, blank=True)
    credentials = models.BinaryField(null=True, editable=False)
    mapping = models.JSONField(
        "field mapping", default=dict, blank=True, help_text="Empty: the mapping that comes with the provider."
    )
    active = models.BooleanField(default=True, help_text="Customers are looked up there. One integration is active.")
    rollout = models.PositiveSmallIntegerField(
        "rollout in %",
        default=100,
        validators=[MaxValueValidator(100)],
        help_text="The share of customers that are looked up there; the others are answered from our own store.",
    )
    write_traits = models.BooleanField(
        "write to profiles",
        default=False,
        help_text="Write what comes back to the profile of a known customer, as traits of this source.",
    )
    test_status = models.CharField(
        max_length=10, choices=TestStatus.choices, default=TestStatus.UNTESTED, editable=False
    )
    last_tested_at = models.BigIntegerField(null=True, editable=False)
    last_error = models.CharField(max_length=300, blank=True, editable=False)
    last_error_at = models.BigIntegerField(null=True, editable=False)
    columns = models.JSONField(default=dict, editable=False, help_text="Column → type, as the last test saw them.")
    paused_until = models.BigIntegerField(default=0, editable=False, help_text="The circuit is open until then.")
    paused_reason = models.CharField(max_length=20, blank=True, editable=False)
    refused_at = models.BigIntegerField(
        null=True, editable=False, help_text="When its credentials were refused, and it was deactivated for that."
    )
    refusal_told = models.BooleanField(
        default=True, editable=False, help_text="Whether the administrators got the mail about that."
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, editable=False, related_name="+"
    )
    created_at = models.BigIntegerField(editable=False)
    updated_at = models.BigIntegerField(editable=False)

    class Meta:
        ordering: ClassVar = ["name"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["active"],
                condition=models.Q(active=True),
                name="one_active_integration",
                violation_error_message="Another integration is active. Deactivate it first: one is asked at a time.",
            )
        ]

    def __str__(self) -> str:
        return self.name


class RequestLog(models.Model):
    """One look-up: whether it was answered from the cache, how the other side answered, how long it took.

    The customer is a keyed hash, so that repetitions show and nobody is named.
    """

    id = models.BigAutoField(primary_key=True)
    integration = models.ForeignKey(Integration, on_delete=models.CASCADE, related_name="requests")
    at = models.BigIntegerField(db_index=True, help_text="Microseconds since 1970.")
    customer = models.BinaryField(max_length=16, help_text="Keyed hash of the customer id.")
    status = models.SmallIntegerField(help_text="HTTP status of the call; 0 without an answer.")
    ms = models.IntegerField(help_text="Milliseconds that the look-up took.")
    cached = models.BooleanField(help_text="Answered from the cache, or by the call of somebody else at that time.")
    called = models.BooleanField(help_text="Called the provider.")
    error = models.CharField(max_length=20, blank=True, help_text="Why it fell back; blank when it did not.")

    class Meta:
        ordering: ClassVar = ["-id"]
        verbose_name = "look-up"
        indexes: ClassVar = [models.Index(fields=["integration", "at"], name="requestlog_time")]

    def __str__(self) -> str:
        return f"{self.status} in {self.ms} ms"
