"""The request of Exacaster's Customer 360, and its answers.

    GET {api_url}/workspaces/{workspace_id}/resources/{resource_id}?userId={customer_id}&page=0&size=1
    Authorization: Bearer {bearer_token}
    Accept: application/json

It answers a list of rows, or an object with such a list or one row in `data`. Nothing in it, or 404, is: no such
customer.
"""

from typing import Any
from urllib.parse import quote, urlencode

import msgspec
from django.views.decorators.debug import sensitive_variables

from integrations.outbound import Reply, get
from integrations.provider import Account, Fetched, FetchFailed

MAX_BYTES = 1024 * 1024
_decode = msgspec.json.Decoder().decode


@sensitive_variables()
def fetch_customer(account: Account, customer_id: str, *, seconds: float) -> Fetched:
    """The columns of one customer, or none. Raises FetchFailed."""
    reply = get(
        address(account, customer_id),
        headers={"Authorization": f"Bearer {account.secrets['bearer_token']}", "Accept": "application/json"},
        seconds=seconds,
        max_bytes=MAX_BYTES,
    )
    if reply.status == 404:
        return Fetched(None, 404)
    _require_success(reply)
    return Fetched(_row(reply, customer_id), reply.status)


def address(account: Account, customer_id: str) -> str:
    """The URL of the request; every part of it is quoted."""
    config = account.config
    workspace, resource = quote(config["workspace_id"], safe=""), quote(config["resource_id"], safe="")
    query = urlencode({"userId": customer_id, "page": 0, "size": 1}, quote_via=quote)
    return f"{config['api_url'].rstrip('/')}/workspaces/{workspace}/resources/{resource}?{query}"


def _require_success(reply: Reply) -> None:
    status = reply.status
    if status in (401, 403):
        raise FetchFailed("unauthorized", f"It refused the bearer token (HTTP {status}).", status=status)
    if status == 429:
        raise FetchFailed("rate_limited", status=status, retry_after=reply.retry_after)
    if 300 <= status < 400:
        message = f"It answered with a redirect (HTTP {status}), which is not followed. Is the API URL right?"
        raise FetchFailed("upstream_error", message, status=status)
    if not 200 <= status < 300:
        message = f"It answered with an error (HTTP {status})."
        raise FetchFailed("upstream_error", message, status=status, retry_after=reply.retry_after)


def _row(reply: Reply, customer_id: str) -> dict[str, Any] | None:
    if not reply.body.strip():
        return None
    try:
        answer = _decode(reply.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise FetchFailed("bad_answer", "Its answer is no JSON.", status=reply.status) from None
    whole = isinstance(answer, dict) and "userId" in answer
    if isinstance(answer, dict) and not whole and (not answer or "data" in answer):
        answer, whole = answer.get("data"), True
    if isinstance(answer, list):
        answer, whole = (answer[0] if answer else None), True
    if answer is None or (whole and answer in ({}, [])):
        return None
    if not whole or not isinstance(answer, dict):
        message = "Its answer is JSON, but neither a list of rows nor an object with `data`."
        raise FetchFailed("bad_answer", message, status=reply.status)
    about = answer.get("userId")
    if about is not None and str(about).strip().casefold() != customer_id.casefold():
        raise FetchFailed("bad_answer", "It answered about another customer.", status=reply.status)
    return answer
