"""Trying a connection out: one real request, told in a sentence; no customer's data is shown or kept."""

import time

import msgspec
from django.conf import settings

from cdp.core.clock import now_us
from integrations.connection import account_of, forget_connection, mapping_of
from integrations.mapping import type_of
from integrations.models import Integration
from integrations.provider import FetchFailed, incomplete
from integrations.providers import provider_of
from integrations.refusal import deactivate_refused

NOBODY = "connection-test"
"""The customer that is asked for when none is given."""


class Tested(msgspec.Struct, frozen=True):
    """How it went. `columns` are column → type of what came back; `hint` says what to look at."""

    success: bool
    sentence: str
    hint: str
    ms: int
    columns: dict[str, str]


def try_connection(row: Integration, customer_id: str = "") -> Tested:
    """Ask the provider of `row` for a customer and note on the row how it went, and the columns that came back.

    Refused credentials deactivate the integration, as they do in a look-up. The caller records it in the audit.
    Raises NotFound for a provider that is not there any more, Invalid for a mapping that cannot be read.
    """
    started = time.perf_counter()
    refused = False
    try:
        tested = _ask(row, customer_id.strip(), started)
    except FetchFailed as failure:
        refused = failure.reason == "unauthorized"
        tested = Tested(False, failure.message, _HINTS.get(failure.reason, ""), _ms(started), {})
    _note(row, tested)
    if refused:
        deactivate_refused(row.pk, tested.sentence)
        row.refresh_from_db()
    forget_connection()
    return tested


def _note(row: Integration, tested: Tested) -> None:
    """Write the result to the row; after a success it is asked again at once."""
    now = now_us()
    row.last_tested_at = now
    if tested.success:
        row.test_status = Integration.TestStatus.SUCCESS
        row.last_error, row.last_error_at = "", None
        row.paused_until, row.paused_reason = 0, ""
    else:
        row.test_status = Integration.TestStatus.FAILED
        row.last_error, row.last_error_at = tested.sentence[:300], now
    row.columns = tested.columns or row.columns
    row.save(
        update_fields=[
            "last_tested_at", "test_status", "last_error", "last_error_at", "paused_until", "paused_reason", "columns",
        ]
    )  # fmt: skip


def _ask(row: Integration, customer_id: str, started: float) -> Tested:
    provider = provider_of(row.provider)
    account = account_of(row, provider)
    missing = incomplete(provider, account)
    if missing:
        return Tested(False, f"It is not complete: {', '.join(missing)}.", "Fill it in and save.", 0, {})
    mapping = mapping_of(row, provider)
    fetched = provider.fetch(account, customer_id or NOBODY, seconds=settings.CDP_REQUEST_TIMEOUT / 1000)
    took = _ms(started)
    said = f"It answered in {took} ms (HTTP {fetched.status})"
    if fetched.row is None:
        return Tested(True, f"{said}: no such customer.", _NOBODY_HINT, took, {})
    columns = {column: type_of(value) for column, value in mapping.columns(fetched.row).items()}
    return Tested(True, f"{said} with {len(columns)} columns of the customer.", "", took, columns)


_NOBODY_HINT = (
    "A wrong workspace or resource id may be answered in the same way: to be sure, test with the id of a customer who "
    "is there."
)
_HINTS = {
    "timeout": "It had the time of CDP_REQUEST_TIMEOUT. Is the API URL right, and can this machine reach it?",
    "unreachable": "Is the API URL right, and can this machine reach it?",
    "unauthorized": "The integration is off until it has a token that is accepted.",
    "bad_answer": "Is the API URL that of the Customer 360 API?",
    "upstream_error": "Are the API URL, the workspace id and the resource id right?",
    "rate_limited": "Try again later.",
}


def _ms(started: float) -> int:
    return round((time.perf_counter() - started) * 1000)
