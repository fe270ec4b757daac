"""Looking a customer up: at the connected provider, through a cache; in our own store when that fails or is off."""

import time
from functools import partial
from typing import Any

import msgspec
from django.conf import settings

from cdp.core.clock import SECOND, now_us
from integrations.afterwards import aside, later
from integrations.circuit import note_failure, note_success, state_of
from integrations.connection import Connection, assume, connected
from integrations.erased import is_erased
from integrations.flight import Entry, Landed, fetch_once, read_entry
from integrations.kept import kept
from integrations.mapping import Mapping
from integrations.provider import FetchFailed
from integrations.providers import PROVIDERS
from integrations.refusal import deactivate_refused
from integrations.request_log import log_request
from integrations.store import stored_profile
from integrations.written import write_columns

STORE = "store"
MAX_ID = 200
UNKNOWN_SECONDS = 60
"""How long “no such customer” is believed, at most."""
PURPOSE = "lookup"
"""What customer ids are hashed for in the log and as keys of the cache."""
_GRACE_SECONDS = 0.25


class Answer(msgspec.Struct, frozen=True):
    """What is known of a customer.

    `cdp_available` is false when the provider did not answer (`fallback_reason` says why: a code of
    `integrations.provider.REASONS`). `source` is the provider's code or `store`. A `stale` answer is older than
    CDP_CACHE_TTL: it is being asked for again, or cannot be now. `fetched_at` is in µs.
    """

    found: bool
    profile: dict[str, Any]
    cdp_available: bool
    fallback_reason: str | None
    source: str
    cached: bool
    stale: bool
    fetched_at: int


def look_up(customer_id: str) -> Answer:
    """The profile of a customer. Takes CDP_REQUEST_TIMEOUT and the time of our own store at the longest.

    Thread-safe. Never raises because of the provider; what our own store raises comes through. Of people who ask for
    the same customer at the same time one calls the provider, over all processes when they share Redis.
    """
    started = time.perf_counter()
    customer = customer_id.strip()
    connection = connected()
    if isinstance(connection, str):
        return _from_store(customer, connection, _default_mapping())
    if not 0 < len(customer) <= MAX_ID or not customer.isprintable():
        return _nobody(connection.provider.code)
    if is_erased(customer, connection.erased):
        return _nobody(connection.provider.code)
    digest = settings.KEYRING.digest(PURPOSE, customer)
    if digest[0] * 256 + digest[1] >= 65536 * connection.rollout / 100:
        return _from_store(customer, "feature_off", connection.mapping)
    return _Look(connection, customer, digest, started).answer()


class _Look:
    """One look-up at a provider."""

    def __init__(self, connection: Connection, customer: str, digest: bytes, started: float) -> None:
        self._connection = connection
        self._customer = customer
        self._digest = digest
        self._started = started
        self._key = f"lookup:{connection.version}:{digest.hex()}"
        self._seconds = settings.CDP_REQUEST_TIMEOUT / 1000
        self._called = False
        self._status = 0

    def answer(self) -> Answer:
        now = now_us()
        found = read_entry(kept(), self._key)
        if found is not None and found.fresh_until > now:
            return self._of(found, cached=True)
        state = state_of(self._connection, now)
        if state == "open":
            return self._without_provider(self._connection.paused_reason or "circuit_open", found)
        if found is not None:
            refresh = _Look(self._connection, self._customer, self._digest, self._started)
            aside(refresh.again)
            return self._of(found, cached=True, stale=True)
        landed = self._fetch(now)
        if landed.entry is None:
            return self._without_provider(landed.reason, None)
        return self._of(landed.entry, cached=not self._called)

    def again(self) -> None:
        """Ask for what is stale, behind the back of whoever got the stale answer."""
        self._started = time.perf_counter()
        landed = self._fetch(now_us())
        if self._called:
            self._log(cached=False, error=landed.reason)

    def _fetch(self, now: int) -> Landed:
        return fetch_once(kept(), self._key, self._ask, seconds=self._seconds + _GRACE_SECONDS, now=now)

    def _ask(self) -> tuple[Entry, float]:
        """The only place that calls the provider. Raises FetchFailed."""
        connection = self._connection
        if is_erased(self._customer):
            return self._entry(None)
        self._called = True
        try:
            fetched = connection.provider.fetch(connection.account, self._customer, seconds=self._seconds)
        except FetchFailed as failure:
            self._status = failure.status
            if failure.reason == "unauthorized":
                assume(None, "unauthorized")
                later(partial(deactivate_refused, connection.id, failure.message))
            else:
                note_failure(connection, failure)
            raise
        self._status = fetched.status
        note_success(connection)
        return self._entry(fetched.row)

    def _entry(self, row: dict[str, Any] | None) -> tuple[Entry, float]:
        """What is kept of the provider's columns, and for how many seconds: as long again as it is fresh."""
        connection, now, ttl = self._connection, now_us(), settings.CDP_CACHE_TTL
        if row is None:
            fresh = min(ttl, UNKNOWN_SECONDS)
            return Entry(None, now, now + fresh * SECOND), fresh
        columns = connection.mapping.columns(row)
        if connection.write_traits:
            later(partial(write_columns, self._customer, columns, connection=connection, at=now))
        return Entry(connection.mapping.profile(columns), now, now + ttl * SECOND), 2 * ttl

    def _of(self, entry: Entry, *, cached: bool, stale: bool = False) -> Answer:
        self._log(cached=cached)
        return _answer_of(entry, self._connection.provider.code, cached=cached, stale=stale)

    def _without_provider(self, reason: str, found: Entry | None) -> Answer:
        """The last answer if there is one, else our own store."""
        self._log(cached=found is not None, error=reason)
        if found is not None:
            last = _answer_of(found, self._connection.provider.code, cached=True, stale=True)
            return msgspec.structs.replace(last, cdp_available=False, fallback_reason=reason)
        return _from_store(self._customer, reason, self._connection.mapping)

    def _log(self, *, cached: bool, error: str = "") -> None:
        log_request(
            self._connection.id,
            at=now_us(),
            customer=self._digest,
            status=self._status,
            ms=round((time.perf_counter() - self._started) * 1000),
            cached=cached,
            called=self._called,
            error=error,
        )


def _answer_of(entry: Entry, source: str, *, cached: bool, stale: bool) -> Answer:
    return Answer(
        found=entry.profile is not None,
        profile=dict(entry.profile or {}),
        cdp_available=True,
        fallback_reason=None,
        source=source,
        cached=cached,
        stale=stale,
        fetched_at=entry.fetched_at,
    )


def _from_store(customer: str, reason: str, mapping: Mapping) -> Answer:
    profile = stored_profile(customer, mapping)
    return Answer(profile is not None, profile or {}, False, reason, STORE, False, False, now_us())


def _nobody(source: str) -> Answer:
    """The answer about an id that can be nobody's."""
    return Answer(False, {}, True, None, source, False, False, now_us())


def _default_mapping() -> Mapping:
    """What stored traits are shaped by while nothing is connected."""
    return next(iter(PROVIDERS.values())).mapping
