"""The look-ups of a person in other platforms, for the package of what is held about them."""

from collections.abc import Iterator

from django.conf import settings

from cdp.core.clock import iso
from cdp.identities.lookup import identifiers_of
from cdp.privacy.package_part import Part, Record, Subject
from integrations.lookup import PURPOSE
from integrations.models import RequestLog

_AT_ONCE = 2_000


class LookUpRecord(Record, frozen=True):
    """One look-up. `status` is how the other platform answered; 0 when it was not asked or did not."""

    at: str
    integration: str
    status: int
    milliseconds: int
    from_cache: bool
    error: str | None


def _look_ups(subject: Subject) -> Iterator[LookUpRecord]:
    """The log has keyed hashes of customer ids: those of the person's identifiers are known."""
    values = {identifier.value for identifier in identifiers_of(subject.person.pk)}
    digests = [digest for value in values for digest in settings.KEYRING.digests(PURPOSE, value)]
    rows = RequestLog.objects.filter(customer__in=digests).select_related("integration").order_by("-id")
    for row in rows.iterator(chunk_size=_AT_ONCE):
        yield LookUpRecord(iso(row.at), row.integration.name, row.status, row.ms, row.cached, row.error or None)


LOOK_UPS = Part(
    "lookUps", "Look-ups", "When we asked another platform about you, newest first.",
    ("integrations.RequestLog",), LookUpRecord, _look_ups,
    ("at", "integration", "status", "from_cache", "error"),
)  # fmt: skip
