"""Widget keys and their secrets: made, rotated, and looked up through a small cache in the process."""

import logging
import secrets
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from cdp.access.keys import add_write_key, forget_keys
from cdp.access.models import Source
from cdp.core.crypto import KeyMissing
from cdp.core.errors import Conflict
from widget_api.fields import open_fields
from widget_api.models import WidgetKey, WidgetSecret

log = logging.getLogger(__name__)

MAX_SECRETS = 2
KEEP_SECONDS = 10.0
"""How long a change in another process may go unnoticed."""
AGAIN_SECONDS = 0.25
_PURPOSE = "widget secret"
_SOURCE_LIMIT = 600


class KeyRef(msgspec.Struct, frozen=True):
    """An enabled widget key as a request needs it; `secrets` by key id, those that are not retired."""

    id: int
    key: str
    name: str
    source_id: int
    write_key: str
    origins: tuple[str, ...]
    fields: tuple[str, ...]
    open_fields: tuple[str, ...]
    """Those of `fields` that are not personal."""
    open_lookup: bool
    rate_limit: int
    visitor_limit: int
    open_limit: int
    secrets: Mapping[str, bytes]

    def __repr__(self) -> str:
        """Without the secrets: a page about an error may show it."""
        return f"KeyRef({self.key})"


def create_widget_key(name: str, *, origins: Sequence[str] = (), fields: Sequence[str] = (), **more: Any) -> WidgetKey:
    """Make a key with a browser source of its own, in one transaction. `more` are other columns of `WidgetKey`."""
    row = WidgetKey(name=name, allowed_origins=list(origins), allowed_fields=list(fields), **more)
    save_widget_key(row)
    return row


def save_widget_key(row: WidgetKey) -> None:
    """Save a key, new or edited, and let its source take page views from the same origins, in one transaction.

    A new one gets its publishable key and its source with a write key.
    """
    with transaction.atomic():
        if row._state.adding:
            row.key = f"pk_{secrets.token_urlsafe(24)}"
            row.source = Source.objects.create(
                name=_source_name(row.name), kind=Source.Kind.BROWSER, rate_limit=_SOURCE_LIMIT
            )
            row.write_key = add_write_key(row.source)
        source = row.source
        source.allowed_origins = [*row.allowed_origins, settings.PUBLIC_URL]
        source.enabled = row.enabled
        source.save(update_fields=["allowed_origins", "enabled"])
        row.save()
    forget_keys()
    forget_widget_keys()


def add_secret(row: WidgetKey) -> tuple[WidgetSecret, str]:
    """Give the key another secret and return it in clear: it cannot be shown again.

    Raises Conflict when two are active: one has to be retired first.
    """
    with transaction.atomic():
        WidgetKey.objects.select_for_update().get(pk=row.pk)
        if row.secrets.filter(retired_at=None).count() >= MAX_SECRETS:
            raise Conflict("Two secrets are active already. Retire the older one first.", code="two_secrets")
        clear = f"ws_{secrets.token_urlsafe(32)}"
        made = WidgetSecret.objects.create(
            widget_key=row, kid=secrets.token_hex(4), body=settings.KEYRING.encrypt(_PURPOSE, clear.encode())
        )
    forget_widget_keys()
    return made, clear


def retire_secret(secret: WidgetSecret) -> None:
    """What it signed counts no longer (in other processes after `KEEP_SECONDS`)."""
    WidgetSecret.objects.filter(pk=secret.pk, retired_at=None).update(retired_at=timezone.now())
    forget_widget_keys()


def widget_key_of(key: str) -> KeyRef | None:
    """The enabled key with this publishable text, or None. The answer may be `KEEP_SECONDS` old.

    One that is not known may be new: then the keys are read again, at most every `AGAIN_SECONDS`.
    """
    return _directory.now().by_key.get(key) or _directory.now(AGAIN_SECONDS).by_key.get(key)


def widget_key_of_source(source_id: int) -> KeyRef | None:
    """The enabled key whose page views come from this source, or None. May be `KEEP_SECONDS` old."""
    return _directory.now().by_source.get(source_id)


def forget_widget_keys() -> None:
    """Read the keys again at their next use: after an edit in this process."""
    _directory.forget()


class _Keys(msgspec.Struct, frozen=True):
    by_key: Mapping[str, KeyRef]
    by_source: Mapping[int, KeyRef]


class _Directory:
    """All enabled keys: there are few, so a few queries read them at once and nobody can fill a cache with guesses."""

    def __init__(self) -> None:
        self._kept: tuple[float, _Keys] | None = None
        self._reading = threading.Lock()

    def now(self, seconds: float = KEEP_SECONDS) -> _Keys:
        """The keys as they were at most `seconds` ago; one thread reads, the others wait for it."""
        kept = self._kept
        if kept is None or kept[0] + seconds <= time.monotonic():
            with self._reading:
                kept = self._kept
                if kept is None or kept[0] + seconds <= time.monotonic():
                    kept = self._kept = time.monotonic(), _read()
        return kept[1]

    def forget(self) -> None:
        self._kept = None


_directory = _Directory()


def _read() -> _Keys:
    rows = list(WidgetKey.objects.filter(enabled=True).prefetch_related("secrets"))
    harmless = frozenset(open_fields()) if rows else frozenset()
    refs = [_ref(row, harmless) for row in rows]
    return _Keys({ref.key: ref for ref in refs}, {ref.source_id: ref for ref in refs})


def _ref(row: WidgetKey, harmless: frozenset[str]) -> KeyRef:
    return KeyRef(
        id=row.pk,
        key=row.key,
        name=row.name,
        source_id=row.source_id,
        write_key=row.write_key,
        origins=tuple(row.allowed_origins),
        fields=tuple(row.allowed_fields),
        open_fields=tuple(name for name in row.allowed_fields if name in harmless),
        open_lookup=row.open_lookup,
        rate_limit=row.rate_limit,
        visitor_limit=row.visitor_limit,
        open_limit=row.open_limit,
        secrets=_open(secret for secret in row.secrets.all() if secret.retired_at is None),
    )


def _open(rows: Iterable[WidgetSecret]) -> dict[str, bytes]:
    """The secrets by key id. One that cannot be read signs nothing any more; the others go on."""
    found = {}
    for row in rows:
        try:
            found[row.kid] = settings.KEYRING.decrypt(_PURPOSE, row.body)
        except KeyMissing:
            log.error("The widget secret %s was encrypted with a key that is not there: make a new one.", row.kid)
    return found


def _source_name(name: str) -> str:
    """`Widget: <name>`, with a number when a source is called so."""
    wanted = f"Widget: {name}"
    taken = set(Source.objects.filter(name__startswith=wanted).values_list("name", flat=True))
    return next(text for n in range(1, len(taken) + 2) if (text := wanted if n == 1 else f"{wanted} {n}") not in taken)
