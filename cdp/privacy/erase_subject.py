"""Whom an erasure is about: what it looks for while it runs, and the little that is kept of it for good.

While an erasure runs its row holds the whole `Subject`, encrypted with the keys that rotate. What stays, in the receipt
and in the journal, is the `Trace`: numbers and ids that nothing bears any more, and digests of the identifiers, sealed
with a key that never rotates, so that a receipt can be verified and an erasure repeated on a restored backup.
"""

import base64
import os
import uuid
from collections.abc import Iterable, Sequence

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

from cdp.core.bulk import Database
from cdp.core.errors import Invalid
from cdp.identities.rules import Rules, digests
from cdp.identities.suppression import KINDS, Suppression, suppression_digest
from cdp.identities.value import open_identifier

_PURPOSE = "erasure"
_FIXED = "erasure:trace"
_NONCE = 12
MANY = 5_000
"""How many ids of one person are looked for in the audit beside those of the profiles."""


class Known(msgspec.Struct, frozen=True, array_like=True):
    """An identifier of the person. `alone`: nobody else has it."""

    type: str
    type_id: int
    namespace: str
    value: str
    raw: str
    alone: bool

    @property
    def suppressed(self) -> bool:
        """Whether its type is one that is kept out afterwards."""
        return self.type in KINDS


class Trace(msgspec.Struct, frozen=True, array_like=True):
    """What is kept: (number, public id) of the profiles, (type's number, suppression digest) of the identifiers."""

    profiles: list[tuple[int, str]]
    suppressed: list[tuple[int, bytes]]

    @property
    def numbers(self) -> list[int]:
        """The numbers of the profiles."""
        return [number for number, _ in self.profiles]

    @property
    def public_ids(self) -> list[str]:
        """Their public ids, as text."""
        return [public_id for _, public_id in self.profiles]


class Subject(msgspec.Struct, frozen=True, array_like=True):
    """Everything that an erasure looks for. `objects` are ids of what was theirs, as the audit names them."""

    trace: Trace
    known: list[Known]
    objects: list[str]

    def digests(self, rules: Rules, *, which: Iterable[Known] | None = None) -> set[bytes]:
        """The blind indexes of the identifiers under every key that is active now."""
        wanted = self.known if which is None else which
        return {
            digest
            for one in wanted
            for digest in digests(settings.KEYRING, rules.kinds[one.type], one.namespace, one.value)
        }

    def values(self) -> set[str]:
        """The identifiers that are kept out, in clear, as they were sent and as they are compared."""
        return {text for one in self.known if one.suppressed for text in (one.value, one.raw) if text}

    def customers(self) -> set[str]:
        """What a look-up at another platform may have been asked for."""
        types = ("user_id", "external")
        return {text for one in self.known if one.type in types for text in (one.value, one.raw.strip()) if text}


def subject_of(db: Database, person_id: int, rules: Rules, *, returns: bool = False) -> Subject:
    """The subject that a person is now: six queries, under the fence. One who `returns` is not kept out afterwards."""
    rows = db.rows("select id, public_id from profiles_profile where person_id = ? order by id", (person_id,))
    profiles = [(number, _id_text(public_id)) for number, public_id in rows]
    numbers = [number for number, _ in profiles]
    known = known_of(db, numbers, rules)
    objects: list[str] = []
    for sql in (
        "select public_id from profiles_merge where target_id {in}",
        "select public_id from events_session where profile_id {in}",
        "select public_id from consents_consentrecord where profile_id {in}",
    ):
        objects += [_id_text(row[0]) for row in db.rows_in(f"{sql} order by id desc limit {MANY}", numbers, "bigint")]
    kept_out = [] if returns else suppressions(known, rules)
    return Subject(Trace(profiles, [(one.type_id, one.digest) for one in kept_out]), known, objects)


def known_of(db: Database, numbers: Sequence[int], rules: Rules) -> list[Known]:
    """The identifiers of these profiles, and whether somebody else has the same: two queries."""
    codes = {kind.id: kind.code for kind in rules.kinds.values()}
    rows = db.rows_in(
        "select type_id, namespace, digest, body from identities_identifier where profile_id {in}", numbers, "bigint"
    )
    others = db.rows_in(
        "select digest, profile_id from identities_identifier where digest {in}",
        {bytes(row[2]) for row in rows},
        "bytea",
    )
    mine = set(numbers)
    shared = {bytes(digest) for digest, profile in others if profile not in mine}
    known: dict[bytes, Known] = {}
    for type_id, namespace, digest, body in rows:
        opened = open_identifier(body)
        raw = opened.raw if opened.raw != opened.value else ""
        alone = bytes(digest) not in shared
        known[bytes(digest)] = Known(codes[type_id], type_id, namespace, opened.value, raw, alone)
    return list(known.values())


def suppressions(known: Iterable[Known], rules: Rules) -> list[Suppression]:
    """What is to be kept out of these."""
    ring = settings.KEYRING
    found = {
        suppression_digest(ring, rules.kinds[one.type], one.namespace, one.value): one.type_id
        for one in known
        if one.suppressed
    }
    return [Suppression(digest, type_id) for digest, type_id in found.items()]


_encode = msgspec.msgpack.Encoder().encode
_decode_subject = msgspec.msgpack.Decoder(Subject).decode
_decode_trace = msgspec.msgpack.Decoder(Trace).decode


def seal_subject(subject: Subject) -> bytes:
    """The encrypted bytes of `subject`."""
    return settings.KEYRING.encrypt(_PURPOSE, _encode(subject))


def open_subject(sealed: bytes | memoryview) -> Subject:
    """What `seal_subject` was given. Raises KeyMissing."""
    return _decode_subject(settings.KEYRING.decrypt(_PURPOSE, sealed))


def seal_trace(trace: Trace) -> str:
    """`trace` encrypted for good, in base64."""
    nonce = os.urandom(_NONCE)
    return base64.b64encode(nonce + _cipher().encrypt(nonce, _encode(trace), None)).decode()


def open_trace(sealed: str) -> Trace:
    """What `seal_trace` was given. Raises Invalid when it was sealed elsewhere, or altered."""
    try:
        raw = base64.b64decode(sealed, validate=True)
        return _decode_trace(_cipher().decrypt(raw[:_NONCE], raw[_NONCE:], None))
    except (InvalidTag, ValueError, msgspec.DecodeError) as error:
        raise Invalid(
            "Whom this is about cannot be read: it was sealed by another installation, or altered."
        ) from error


def _cipher() -> AESGCM:
    return AESGCM(settings.KEYRING.fixed_key(_FIXED))


def _id_text(value: object) -> str:
    return str(value if isinstance(value, uuid.UUID) else uuid.UUID(str(value)))
