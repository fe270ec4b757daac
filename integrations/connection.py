"""The integration that is connected, as a look-up needs it. A process reads it again at most once a second."""

import hashlib
import logging
import threading
import time
from typing import Any

import msgspec
from django.conf import settings
from django.db import Error

from integrations.erased import lately_erased
from integrations.mapping import Mapping, parse_mapping
from integrations.models import Integration
from integrations.provider import Account, Provider, incomplete
from integrations.providers import PROVIDERS

KEEP_SECONDS = 1.0
_PURPOSE = "integration"
_log = logging.getLogger(__name__)
_encode = msgspec.json.Encoder(order="sorted").encode
_decode_secrets = msgspec.json.Decoder(dict[str, str]).decode


class Connection(msgspec.Struct, frozen=True):
    """An active integration. `version` changes with everything that decides about an answer; times are µs."""

    id: int
    provider: Provider
    account: Account
    mapping: Mapping
    rollout: int
    write_traits: bool
    version: str
    paused_until: int
    paused_reason: str
    erased: frozenset[bytes] = frozenset()
    """Suppression digests of people who were erased while answers about them may still be kept."""


class _Known(msgspec.Struct):
    until: float
    connection: Connection | None
    reason: str


_known: _Known | None = None
_reading = threading.Lock()


def connected() -> Connection | str:
    """The active integration, or why there is none: feature_off, not_configured or unauthorized (a REASONS code)."""
    global _known  # noqa: PLW0603 - a cache of one value
    if not settings.FEATURE_CDP_ENABLED:
        return "feature_off"
    known = _known
    if known is None or known.until < time.monotonic():
        with _reading:
            known = _known
            if known is None or known.until < time.monotonic():
                known = _known = _read_again(known)
    return known.connection if known.connection is not None else known.reason


def forget_connection() -> None:
    """Read it again at the next look-up: after an edit in this process."""
    global _known  # noqa: PLW0603
    _known = None


def assume(connection: Connection | None, reason: str = "") -> None:
    """Let this process go on with `connection` although its row does not say so yet, for at most `KEEP_SECONDS`."""
    global _known  # noqa: PLW0603
    _known = _Known(time.monotonic() + KEEP_SECONDS, connection, reason)


def account_of(row: Integration, provider: Provider) -> Account:
    """Where and as whom to ask: what the row holds, and the environment where the row is blank.

    A secret of the environment goes to the address of the environment only: nobody can have it sent elsewhere by
    typing another one.
    """
    held = open_secrets(row)
    config, secrets = {}, {}
    addresses = [entry for entry in provider.form if entry.kind == "url"]
    own_address = any(row.config.get(entry.name, "") not in ("", _default(entry.setting)) for entry in addresses)
    for entry in provider.form:
        if entry.kind == "secret":
            secrets[entry.name] = held.get(entry.name) or ("" if own_address else _default(entry.setting))
        else:
            config[entry.name] = row.config.get(entry.name) or _default(entry.setting)
    return Account(config, secrets)


def open_secrets(row: Integration) -> dict[str, str]:
    """The secrets that the row holds. Raises KeyMissing."""
    if not row.credentials:
        return {}
    return _decode_secrets(settings.KEYRING.decrypt(_PURPOSE, row.credentials))


def seal_secrets(secrets: dict[str, str]) -> bytes | None:
    """The encrypted form of the secrets that are not blank, or None without any."""
    kept = {name: value for name, value in secrets.items() if value}
    return settings.KEYRING.encrypt(_PURPOSE, _encode(kept)) if kept else None


def mapping_of(row: Integration, provider: Provider) -> Mapping:
    """The mapping of the row, or the provider's. Raises Invalid."""
    return parse_mapping(row.mapping) if row.mapping else provider.mapping


def _read_again(known: _Known | None) -> _Known:
    """What the store says now, or what was known when it does not answer. Raises its error when nothing was."""
    try:
        connection, reason = _read()
    except Error as error:
        if known is None:
            raise
        _log.warning("The connected integration was not read again (%s).", type(error).__name__)
        connection, reason = known.connection, known.reason
    return _Known(time.monotonic() + KEEP_SECONDS, connection, reason)


def _read() -> tuple[Connection | None, str]:
    row = Integration.objects.filter(active=True).first()
    if row is None:
        refused = Integration.objects.filter(refused_at__isnull=False).exists()
        return None, "unauthorized" if refused else "not_configured"
    provider = PROVIDERS.get(row.provider)
    if provider is None:  # its folder is gone
        return None, "not_configured"
    account = account_of(row, provider)
    if incomplete(provider, account):
        return None, "not_configured"
    mapping = mapping_of(row, provider)
    return (
        Connection(
            id=row.pk,
            provider=provider,
            account=account,
            mapping=mapping,
            rollout=row.rollout,
            write_traits=row.write_traits,
            version=_version(row.pk, account, mapping),
            paused_until=row.paused_until,
            paused_reason=row.paused_reason,
            erased=lately_erased(),
        ),
        "",
    )


def _version(pk: int, account: Account, mapping: Mapping) -> str:
    return hashlib.sha256(_encode([pk, dict(account.config), mapping])).hexdigest()[:12]


def _default(setting: str) -> str:
    value: Any = getattr(settings, setting, "") if setting else ""
    return str(value)
