"""`/api/widget/v1/config` and `/api/widget/v1/profile`.

Field names are in snake_case here, because customers' programs know them so from the look-up behind it.
"""

import threading
import time
from typing import Any
from urllib.parse import unquote

import msgspec
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from cdp.access.audit import record_read
from cdp.access.rights import Rights
from cdp.core.clock import now_us
from cdp.core.errors import DomainError, Invalid, TooLarge
from cdp.core.json import encode
from integrations.lookup import Answer, look_up
from widget_api.answers import NotAllowed, bytes_answer, for_pages, json_answer, refusal
from widget_api.fields import field_names, shown_fields, without_personal_looks
from widget_api.signing import require_signature
from widget_api.tokens import customer_digest, customer_of
from widget_api.visit import TooMany, Visit, count_open_lookup, count_signed, count_visit, key_of

_CONFIG_CACHE = "private, max-age=300"
_MAX_ID = 200
_MAX_BODY = 4096
STEP_SECONDS = 0.1
"""Answers without a token take whole steps, so that their time does not tell a known customer from an unknown one."""


class Config(msgspec.Struct, frozen=True):
    """What a page has to know of its key; `write_key` takes page views at /v1/page."""

    open_lookup: bool
    write_key: str


class Shown(msgspec.Struct, frozen=True):
    """What a page is shown. `cdp_available` is false when the answer comes from our own store, or there is none."""

    customer_id: str | None
    found: bool
    cdp_available: bool
    fallback_reason: str | None
    stale: bool
    profile: dict[str, Any]


class _Asked(msgspec.Struct, frozen=True):
    customer_id: str


NO_TOKEN = encode(Shown(None, False, False, "token_required", False, {}))
"""The answer to everybody who has no token: nobody was looked up."""
_open_places = threading.BoundedSemaphore(4)
"""How many open look-ups wait at a time: the process has eight threads, and others want to be answered too."""
_decode_asked = msgspec.json.Decoder(_Asked).decode


@for_pages
def config(request: HttpRequest, visit: Visit) -> HttpResponse:
    """GET: what the script asks first."""
    _require_get(request)
    count_visit(visit)
    return json_answer(Config(visit.key.open_lookup, visit.key.write_key), request, cache=_CONFIG_CACHE)


@csrf_exempt
def profile(request: HttpRequest) -> HttpResponse:
    """GET for pages (a customer token, or an open look-up); POST, signed, for the shop's server."""
    return _signed_profile(request) if request.method == "POST" else _page_profile(request)


@for_pages
def _page_profile(request: HttpRequest, visit: Visit) -> HttpResponse:
    _require_get(request)
    count_visit(visit)
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        customer = customer_of(token.strip(), visit.key, now=now_us())
        found = look_up(customer)
        return json_answer(_shown(customer, found, shown_fields(found.profile, visit.key.fields)), request)
    if not visit.key.open_lookup:
        return bytes_answer(NO_TOKEN, request, cache="private, no-cache")
    return _open_lookup(request, visit)


def _open_lookup(request: HttpRequest, visit: Visit) -> HttpResponse:
    """What is not personal, to anybody. Every unknown id gets the same bytes, after a whole number of steps."""
    count_open_lookup(visit)
    customer = unquote(request.headers.get("X-Customer-Id", "")).strip()
    if not customer or len(customer) > _MAX_ID:
        raise Invalid(f"Give the customer id in X-Customer-Id, percent-encoded, of up to {_MAX_ID} characters.")
    if not _open_places.acquire(blocking=False):
        raise TooMany(1)
    try:
        start = time.monotonic()
        found = look_up(customer)
        profile = without_personal_looks(shown_fields(found.profile, visit.key.open_fields))
        shown = _shown(customer if found.found else None, found, profile)
        passed = time.monotonic() - start
        time.sleep(STEP_SECONDS - passed % STEP_SECONDS)
    finally:
        _open_places.release()
    return json_answer(shown, request)


def _signed_profile(request: HttpRequest) -> HttpResponse:
    """The shop's server asks for any customer; what it is told is in the record of reads."""
    try:
        key = key_of(request)
        if len(request.body) > _MAX_BODY:
            raise TooLarge(f"The body may have {_MAX_BODY} bytes.")
        kid = require_signature(request, key, now=now_us())
        count_signed(key)
        customer = _asked(request.body)
        found = look_up(customer)
        shown = _shown(customer, found, shown_fields(found.profile, key.fields))
        personal = set(field_names(shown.profile)) - set(key.open_fields)
        if personal:
            rights = Rights(True, frozenset(), f"widget:{kid}")
            whose = [customer_digest(customer)]
            record_read(rights, object_type="customer", object_ids=whose, fields=personal, request=request)
        return json_answer(shown, request)
    except DomainError as error:
        return refusal(error)


def _asked(body: bytes) -> str:
    try:
        customer = _decode_asked(body).customer_id.strip()
    except (msgspec.MsgspecError, UnicodeDecodeError):
        customer = ""
    if not customer or len(customer) > _MAX_ID:
        raise Invalid('Send {"customer_id": "…"}, of up to 200 characters.', details={"path": "customer_id"})
    return customer


def _shown(customer: str | None, found: Answer, profile: dict[str, Any]) -> Shown:
    return Shown(
        customer_id=customer,
        found=found.found,
        cdp_available=found.cdp_available,
        fallback_reason=found.fallback_reason,
        stale=found.stale,
        profile=profile,
    )


def _require_get(request: HttpRequest) -> None:
    if request.method not in {"GET", "HEAD"}:
        raise NotAllowed("Use GET here.")
