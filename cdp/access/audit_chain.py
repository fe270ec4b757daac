"""What a row of the audit is sealed with, and how each of its three seals is computed.

* `digest = SHA-256(salt ‖ payload)`: computed when the row is written, kept for ever.
* `mark = HMAC(k₁, digest ‖ SHA-256(salt ‖ payload))[:16]`: says that the installation wrote what the row holds *now*.
  In a row as it was written both halves are equal. In one from which a person was erased they differ, the old salt is
  gone, and only the holder of the key can have done it.
* `chain = HMAC(k₂, previous ‖ digest)`: the row's place among all; it needs neither payload nor salt.

The keys are derived from the one key of the ring that never rotates, so a chain outlives every rotation.
"""

import hashlib
import hmac
import os
from collections.abc import Sequence
from functools import lru_cache

import msgspec
from django.conf import settings

from cdp.core.crypto import Keyring

FIRST = bytes(32)
"""What stands before the first row."""

_encode = msgspec.json.Encoder().encode


class Payload(msgspec.Struct, frozen=True, array_like=True):
    """What an entry says, in the order in which it is encoded. `public_id` is 32 hex digits, `at` microseconds."""

    public_id: str
    at: int
    actor: str
    action: str
    object_type: str
    object_ids: Sequence[str]
    fields: Sequence[str]
    request_id: str
    address: str
    why: str


class Keys(msgspec.Struct, frozen=True):
    """The keys of mark and chain, and the seed of the signature of the head."""

    mark: bytes
    chain: bytes
    sign: bytes


def keys() -> Keys:
    """Derived from the installation's key ring."""
    return _derived(settings.KEYRING)


@lru_cache(1)
def _derived(ring: Keyring) -> Keys:
    return Keys(ring.fixed_key("audit:mark"), ring.fixed_key("audit:chain"), ring.fixed_key("audit:sign"))


def fresh_salt() -> bytes:
    """16 random bytes."""
    return os.urandom(16)


def digest_of(salt: bytes, payload: Payload) -> bytes:
    """SHA-256 of salt and payload."""
    return hashlib.sha256(salt + _encode(payload)).digest()


def mark_of(key: bytes, digest: bytes, now: bytes) -> bytes:
    """The mark of a row with the kept `digest`, whose salt and payload have the digest `now`."""
    return hmac.digest(key, digest + now, "sha256")[:16]


def link(key: bytes, previous: bytes, digest: bytes) -> bytes:
    """The chain value of a row behind the one with the value `previous`."""
    return hmac.digest(key, previous + digest, "sha256")
