"""Writing the consent ledger: rows are only ever added."""

from typing import Any

import msgspec
from django.conf import settings

from cdp.consents.models import ConsentRecord
from cdp.core.errors import Invalid

_PURPOSE = "consent"
TYPES = ConsentRecord.Type.values


class ConsentBody(msgspec.Struct, array_like=True, omit_defaults=True):
    """The encrypted part of a statement: where it was made, and what the caller keeps beside it."""

    ip: str = ""
    metadata: dict[str, Any] | None = None


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(ConsentBody).decode


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
    """Add a statement of the profile (a fragment) at the time `at` (µs).

    Call it within `cdp.pipeline.lease.exclusive`. Raises Invalid for a type that is none.
    """
    if kind not in TYPES:
        raise Invalid(
            f"{kind[:40]!r} is no consent type. Use one of: {', '.join(TYPES)}.",
            code="unknown_consent_type",
            details={"path": "consentType"},
        )
    body = ConsentBody(ip, metadata)
    return ConsentRecord.objects.create(
        profile_id=profile_id,
        type=kind,
        granted=granted,
        at=at,
        expires_at=expires_at,
        source=source[:100],
        body=settings.KEYRING.encrypt(_PURPOSE, _encode(body)) if ip or metadata else None,
    )


def open_consent(sealed: bytes | memoryview | None) -> ConsentBody:
    """The encrypted part of a statement; an empty one when nothing was kept. Raises KeyMissing."""
    return _decode(settings.KEYRING.decrypt(_PURPOSE, sealed)) if sealed else ConsentBody()
