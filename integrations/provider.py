"""What a provider is: a form, a default mapping, and a way to ask for one customer."""

from collections.abc import Mapping as AnyMapping
from typing import Any, Protocol

import msgspec

from integrations.mapping import Mapping

REASONS = {
    "not_configured": "No integration is connected.",
    "feature_off": "The feature is switched off.",
    "timeout": "It did not answer in time.",
    "unreachable": "It cannot be reached.",
    "bad_answer": "Its answer cannot be understood.",
    "unauthorized": "It refused the credentials.",
    "circuit_open": "It failed several times in a row, so it is left alone for a while.",
    "rate_limited": "It said that it is asked too often.",
    "upstream_error": "It answered with an error.",
}
"""Why a look-up falls back: stable code → sentence."""


class FetchFailed(Exception):
    """The provider gave no answer that can be used.

    `reason` is one of `REASONS`; `message` is a sentence without any customer id, secret or address. `status` is the
    HTTP status or 0; `retry_after` the seconds that a 429 or 503 asked for.
    """

    def __init__(self, reason: str, message: str = "", *, status: int = 0, retry_after: float = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.message = message or REASONS[reason]
        self.status = status
        self.retry_after = retry_after


class Fetched(msgspec.Struct, frozen=True):
    """What the provider said: its columns for this customer, or None when it knows no such customer."""

    row: dict[str, Any] | None
    status: int


class Entry(msgspec.Struct, frozen=True):
    """A line of the provider's form. `setting` names the Django setting that fills it in while it is blank."""

    name: str
    label: str
    help: str = ""
    setting: str = ""
    kind: str = "text"
    """text, url or secret; a secret is encrypted and never shown again."""


class Account(msgspec.Struct, frozen=True):
    """Where and as whom to ask: the values of the form by name, secrets apart."""

    config: AnyMapping[str, str]
    secrets: AnyMapping[str, str]

    def __repr__(self) -> str:
        return "Account(…)"


class Provider(Protocol):
    """One kind of customer data platform."""

    @property
    def code(self) -> str:
        """Stable; also the `source` of answers and the name of the source of traits."""

    @property
    def name(self) -> str:
        """As the console shows it."""

    @property
    def form(self) -> tuple[Entry, ...]:
        """What is asked for in the console."""

    @property
    def mapping(self) -> Mapping:
        """The default."""

    def fetch(self, account: Account, customer_id: str, *, seconds: float) -> Fetched:
        """Ask for one customer, for at most `seconds` in all. Touches no database. Raises FetchFailed."""


def incomplete(provider: Provider, account: Account) -> list[str]:
    """The labels of what the account still lacks."""
    return [
        entry.label
        for entry in provider.form
        if not (account.secrets if entry.kind == "secret" else account.config).get(entry.name)
    ]
