"""The trait document of one profile: what it holds, how it is written and how it is kept."""

from typing import Any

import msgspec
from django.conf import settings

_PURPOSE = "trait"


class TraitValue(msgspec.Struct, array_like=True, omit_defaults=True):
    """A value with where it comes from. Times are microseconds since 1970.

    `source_id` is the source that said it (0: the system itself) and `priority` that source's rank when it did; `label`
    is 001's free `source` text.
    """

    value: Any
    at: int
    source_id: int = 0
    priority: int = 100
    verified: bool = False
    type: str = ""
    label: str = ""
    computed_at: int | None = None
    expires_at: int | None = None
    metadata: dict[str, Any] | None = None

    def live(self, now: int) -> bool:
        """Whether it has not expired at `now`."""
        return self.expires_at is None or self.expires_at > now


Document = dict[str, TraitValue]

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Document).decode


def seal_document(document: Document) -> bytes:
    """The encrypted bytes of `document`."""
    return settings.KEYRING.encrypt(_PURPOSE, _encode(document))


def open_document(sealed: bytes | memoryview | None) -> Document:
    """What `seal_document` was given; nothing is the empty document. Raises KeyMissing."""
    return _decode(settings.KEYRING.decrypt(_PURPOSE, sealed)) if sealed else {}
