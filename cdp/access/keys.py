"""Write keys and API keys: made, kept as SHA-256, looked up through a small cache in the process.

The keys are random (256 bits), so a fast hash is enough; the query, not the hash, is the cost of a look-up. An answer,
also "there is no such key", is kept for 30 seconds: that is how long a revoked key may still work in another process.
"""

import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Generic, TypeVar

from django.contrib.auth.models import Group
from django.db import IntegrityError, transaction
from django.utils import timezone

from cdp.access.models import PROTECTED, ApiKey, Source, WriteKey
from cdp.access.source import SourceRef
from cdp.core.errors import Conflict, Invalid

SCOPES = ("ingest", "read", "read_masked", "write", "admin")
_HINT = 6
_KEEP_SECONDS = 30.0
_KEPT = 10_000

T = TypeVar("T")


class _Kept(Generic[T]):
    """Answers by digest, each for `_KEEP_SECONDS`; the oldest goes when there are too many."""

    def __init__(self, find: Callable[[str], T | None]) -> None:
        self._find = find
        self._answers: OrderedDict[str, tuple[float, T | None]] = OrderedDict()

    def get(self, key: str) -> T | None:
        if not key or len(key) > 200:
            return None
        digest = key_digest(key)
        found = self._answers.get(digest)
        if found is not None and found[0] > time.monotonic():
            return found[1]
        answer = self._find(digest)
        self._answers[digest] = time.monotonic() + _KEEP_SECONDS, answer
        self._answers.move_to_end(digest)
        while len(self._answers) > _KEPT:
            try:
                self._answers.popitem(last=False)
            except KeyError:  # another thread emptied it
                break
        return answer

    def forget(self) -> None:
        self._answers.clear()


def new_key() -> str:
    """A random secret of 43 url-safe letters, without `:` and `.`."""
    return secrets.token_urlsafe(32)


def key_digest(key: str) -> str:
    """The SHA-256 of a key, in hex: the only form in which a key is kept."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def add_write_key(source: Source, key: str | None = None) -> str:
    """Give `source` a key (a new one, or `key`) and return it in clear: it cannot be shown again.

    The same key for the same source again changes nothing. Raises Conflict when another source has it or it was
    revoked, Invalid when it cannot be used as a key.
    """
    clear = _usable(key) if key is not None else new_key()
    row = WriteKey.objects.filter(digest=key_digest(clear)).select_related("source").first()
    if row is None:
        try:
            with transaction.atomic():
                row = WriteKey.objects.create(source=source, digest=key_digest(clear), hint=clear[:_HINT])
        except IntegrityError:  # made by another process in between
            row = WriteKey.objects.select_related("source").get(digest=key_digest(clear))
    if row.source_id != source.pk:
        raise Conflict(f"The source {row.source.name} has this key: a key belongs to one source.", code="key_in_use")
    if row.revoked_at is not None:
        raise Conflict("This key was revoked. Use another one.", code="key_revoked")
    forget_keys()
    return clear


def add_api_key(
    name: str,
    scopes: Sequence[str],
    key: str | None = None,
    *,
    rate_limit: int = 6000,
    expires_at: datetime | None = None,
    role: Group | None = None,
    sees: Sequence[str] | None = None,
) -> tuple[ApiKey, str]:
    """Make the API key `name` and return it with the key in clear: it cannot be shown again.

    It sees what `role` does, else the classifications `sees`; without either what `usual_sight` says. The same name,
    key and scopes again change nothing. Raises Conflict when the name or the key is taken, Invalid for an unknown
    scope or classification, for both a role and classifications, or a key that cannot be used.
    """
    wanted = _known_scopes(scopes)
    if role is not None and sees:
        raise Invalid("Give the key a role or classifications, not both.", code="role_and_classifications")
    classifications = [] if role is not None else _known_sight(usual_sight(wanted) if sees is None else sees)
    clear = _usable(key) if key is not None else new_key()
    digest = key_digest(clear)
    try:
        with transaction.atomic():
            row = ApiKey.objects.create(
                name=name,
                digest=digest,
                hint=clear[:_HINT],
                scopes=wanted,
                rate_limit=rate_limit,
                expires_at=expires_at,
                role=role,
                classifications=classifications,
            )
    except IntegrityError:
        row = _same_key(name, digest, wanted)
    forget_keys()
    return row, clear


def usual_sight(scopes: Sequence[str]) -> list[str]:
    """What a key with these scopes sees when nothing else is said: personal with read or write, all with admin."""
    if "admin" in scopes:
        return list(PROTECTED)
    return ["personal"] if {"read", "write"} & set(scopes) else []


def source_of(write_key: str) -> SourceRef | None:
    """The enabled source that `write_key` belongs to, or None. The answer may be 30 seconds old."""
    return _sources.get(write_key)


def api_key_of(key: str) -> ApiKey | None:
    """The API key with this secret that is neither revoked nor expired, or None. May be 30 seconds old."""
    row = _api_keys.get(key)
    return None if row is None or (row.expires_at is not None and row.expires_at <= timezone.now()) else row


def forget_keys() -> None:
    """Look every key up again at its next use: after an edit in this process."""
    _sources.forget()
    _api_keys.forget()


def _find_source(digest: str) -> SourceRef | None:
    row = WriteKey.objects.filter(digest=digest, revoked_at=None, source__enabled=True).select_related("source").first()
    return None if row is None else SourceRef.of(row.source)


def _find_api_key(digest: str) -> ApiKey | None:
    return ApiKey.objects.filter(digest=digest, revoked_at=None).first()


_sources = _Kept(_find_source)
_api_keys = _Kept(_find_api_key)


def _usable(key: str) -> str:
    if not 1 <= len(key) <= 200 or not key.isascii() or not key.isprintable() or set(key) & set(" :"):
        raise Invalid("A key has up to 200 printable ASCII characters, without blanks and ':'.", code="unusable_key")
    return key


def _known_sight(sees: Sequence[str]) -> list[str]:
    if unknown := [name for name in sees if name not in PROTECTED]:
        named = ", ".join(unknown)
        raise Invalid(f"Unknown classification {named}. Use any of: {', '.join(PROTECTED)}.", code="unknown_sight")
    return sorted(set(sees), key=PROTECTED.index)


def _known_scopes(scopes: Sequence[str]) -> list[str]:
    unknown = [scope for scope in scopes if scope not in SCOPES]
    if unknown or not scopes:
        named = f"Unknown scope {', '.join(unknown)}. " if unknown else ""
        raise Invalid(f"{named}Give at least one of: {', '.join(SCOPES)}.", code="unknown_scope")
    return sorted(set(scopes), key=SCOPES.index)


def _same_key(name: str, digest: str, scopes: list[str]) -> ApiKey:
    row = ApiKey.objects.filter(name=name).first()
    if row is None:
        raise Conflict("Another API key has this secret.", code="key_in_use")
    if row.digest != digest:
        raise Conflict(f"There is an API key called {name} with another secret. Use another name.", code="name_in_use")
    if row.revoked_at is not None:
        raise Conflict(f"The API key {name} was revoked. Use another name and key.", code="key_revoked")
    if row.scopes != scopes:
        raise Conflict(f"The API key {name} has the scopes {', '.join(row.scopes)}.", code="other_scopes")
    return row
