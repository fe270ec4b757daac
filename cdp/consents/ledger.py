"""Writing the consent ledger: rows are only ever added."""

import ipaddress
from collections.abc import Sequence
from typing import Any

import msgspec
from django.conf import settings

from cdp.consents.models import ConsentRecord
from cdp.consents.purposes import purposes_named
from cdp.core.address import shortened
from cdp.core.clock import now_us
from cdp.core.errors import Invalid, TooLarge

_PURPOSE = "consent"
MOST_METADATA = 8_192
"""Bytes of JSON."""
MOST_TEXT = 100


class ConsentBody(msgspec.Struct, array_like=True, omit_defaults=True):
    """The encrypted part of a statement: where it was made, and what the caller keeps beside it."""

    ip: str = ""
    metadata: dict[str, Any] | None = None


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(ConsentBody).decode


class ConsentStatement(msgspec.Struct, frozen=True):
    """What somebody states: granted or withdrawn at `at` (µs), a grant until `expires_at` if it ends.

    `source` is where it was made, `document` the version of what was agreed to. An IP address is shortened when it is
    written, unless KEEP_FULL_IP. `event` is the digest of the event that carried it.
    """

    granted: bool
    at: int
    expires_at: int | None = None
    source: str = ""
    document: str = ""
    ip: str = ""
    metadata: dict[str, Any] | None = None
    cause: str = "statement"
    event: bytes | None = None

    def checked(self, *, now: int) -> "ConsentStatement":
        """Itself. Raises Invalid or TooLarge naming the field of the API that cannot be used."""
        if self.at > now:
            message = "A statement is about what was said: `at` must not lie in the future."
            raise Invalid(message, code="in_the_future", details={"path": "at"})
        if self.expires_at is not None and not self.granted:
            message = "Only a grant can end: leave `expiresAt` out of a withdrawal."
            raise Invalid(message, details={"path": "expiresAt"})
        for name, text in (("source", self.source), ("documentVersion", self.document)):
            if len(text) > MOST_TEXT:
                raise Invalid(f"`{name}` has at most {MOST_TEXT} characters.", details={"path": name})
        if self.ip and not _is_address(self.ip):
            message = "`ipAddress` must be an IPv4 or IPv6 address."
            raise Invalid(message, details={"path": "ipAddress"})
        if self.metadata and len(msgspec.json.encode(self.metadata)) > MOST_METADATA:
            message = f"`metadata` has at most {MOST_METADATA} bytes of JSON."
            raise TooLarge(message, details={"path": "metadata"})
        return self

    def sealed(self) -> bytes | None:
        """The encrypted part; None when there is nothing in it."""
        ip = self.ip if settings.KEEP_FULL_IP else shortened(self.ip)
        if not ip and not self.metadata:
            return None
        return settings.KEYRING.encrypt(_PURPOSE, _encode(ConsentBody(ip, self.metadata)))


def record_statement(profile_id: int, purposes: Sequence[str], statement: ConsentStatement) -> list[ConsentRecord]:
    """Add `statement` about each of `purposes` (codes that exist) to what the profile said: one query.

    Call it within `cdp.pipeline.lease.exclusive`, with `mark_described`.
    """
    body, now = statement.sealed(), now_us()
    return ConsentRecord.objects.bulk_create(
        ConsentRecord(
            profile_id=profile_id,
            type=code,
            granted=statement.granted,
            at=statement.at,
            recorded_at=now,
            expires_at=statement.expires_at,
            source=statement.source,
            document=statement.document,
            cause=statement.cause,
            event=statement.event,
            body=body,
        )
        for code in dict.fromkeys(purposes)
    )


def record_consent(
    profile_id: int,
    kind: str,
    *,
    granted: bool,
    at: int,
    expires_at: int | None = None,
    source: str = "",
    ip: str = "",
    metadata: dict[str, Any] | None = None,
) -> ConsentRecord:
    """Add a statement of the profile (a fragment) about the purpose or group `kind` at the time `at` (µs).

    Returns the row, of a group the first. Call it within `cdp.pipeline.lease.exclusive`. Raises Invalid for a purpose
    that is none, or what cannot be used.
    """
    codes = purposes_named([kind], path="consentType")[kind]
    statement = ConsentStatement(granted, at, expires_at, source[:MOST_TEXT], ip=ip, metadata=metadata)
    return record_statement(profile_id, codes, statement.checked(now=now_us()))[0]


def open_consent(sealed: bytes | memoryview | None) -> ConsentBody:
    """The encrypted part of a statement; an empty one when nothing was kept. Raises KeyMissing."""
    return _decode(settings.KEYRING.decrypt(_PURPOSE, sealed)) if sealed else ConsentBody()


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
