"""How far the lake has come, for each of its tables."""

from typing import ClassVar

from django.db import models


class LakeState(models.Model):
    """What the operational store knows of one table of the lake. Times are microseconds since 1970.

    How far the table has come stands in the table itself: `position` and the sizes are what was last seen there, for
    health and the console. `erased` is the fence up to which deleted profiles are gone from its files; `purged_to` the
    greatest id and `purged_before` the greatest time of hot events that were deleted because the lake has them;
    `next_expiry` when the next trait in it runs out. `holder` and `expires_at` are the lease for writing the table.
    """

    name = models.CharField(max_length=20, primary_key=True)
    store = models.UUIDField(help_text="The operational store that the lake belongs to; it stands in the lake too.")
    position = models.BigIntegerField(null=True)
    rows = models.BigIntegerField(default=0)
    files = models.IntegerField(default=0)
    bytes = models.BigIntegerField(default=0)
    flushed_at = models.BigIntegerField(null=True)
    compacted_at = models.BigIntegerField(null=True)
    compacted_rows = models.BigIntegerField(default=0)
    erased = models.BigIntegerField(default=0)
    purged_to = models.BigIntegerField(default=0)
    purged_before = models.BigIntegerField(null=True)
    next_expiry = models.BigIntegerField(null=True)
    error = models.CharField(max_length=300, blank=True)
    error_at = models.BigIntegerField(null=True)
    holder = models.CharField(max_length=60, blank=True)
    expires_at = models.BigIntegerField(default=0)

    class Meta:
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name
