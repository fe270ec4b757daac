"""A widget key: which pages may show which fields of a customer, and the secrets that say who the customer is."""

from typing import ClassVar

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from cdp.access.models import Source

_LIMIT = [MinValueValidator(1), MaxValueValidator(1_000_000)]


class WidgetKey(models.Model):
    """A publishable key. It is public by nature: alone it shows nobody's data, unless `open_lookup` is on."""

    name = models.CharField(max_length=90, unique=True)
    key = models.CharField(max_length=64, unique=True, editable=False, help_text="Publishable: it stands in the page.")
    enabled = models.BooleanField(default=True, help_text="A disabled key is answered 401.")
    allowed_origins = models.JSONField(
        default=list, blank=True, help_text='Origins such as "https://shop.example" or "https://*.shop.example".'
    )
    allowed_fields = models.JSONField(
        default=list, blank=True, help_text="The fields of a profile that may be shown; all others stay here."
    )
    open_lookup = models.BooleanField(
        "open look-up",
        default=False,
        help_text="Anybody who opens the page sees the allowed fields that are not personal, of every customer whose "
        "id they type. For a call centre, a kiosk or the demo page; never for a public site.",
    )
    rate_limit = models.PositiveIntegerField(
        "requests a minute", default=6000, validators=_LIMIT, help_text="Of all visitors together."
    )
    visitor_limit = models.PositiveIntegerField(
        "requests a minute and visitor", default=60, validators=_LIMIT, help_text="Of one address."
    )
    open_limit = models.PositiveIntegerField(
        "open look-ups a minute and visitor",
        default=10,
        validators=_LIMIT,
        help_text="Of one address, without a token.",
    )
    source = models.OneToOneField(
        Source, on_delete=models.PROTECT, editable=False, help_text="The browser source that its page views come from."
    )
    write_key = models.CharField(max_length=64, editable=False, help_text="Of that source; public too.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name


class WidgetSecret(models.Model):
    """A secret with which the shop's server signs. `body` is the secret, encrypted; it is shown once, when it is made.

    A key has at most two that are not retired, so that one can take over from the other without a gap.
    """

    widget_key = models.ForeignKey(WidgetKey, on_delete=models.CASCADE, related_name="secrets")
    kid = models.CharField("key id", max_length=16, unique=True)
    body = models.BinaryField()
    created_at = models.DateTimeField(auto_now_add=True)
    retired_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return self.kid


class UsedNonce(models.Model):
    """A signed request that was taken: the same one is refused as long as its time would let it in."""

    digest = models.BinaryField(primary_key=True, max_length=32)
    expires = models.BigIntegerField(db_index=True, help_text="Microseconds since 1970.")

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return bytes(self.digest).hex()[:12]
