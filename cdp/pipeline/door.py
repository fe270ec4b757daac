"""The ingestion door: a plain ASGI app that speaks the wire contract (WIRE.md) and answers after the durable write."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs

import msgspec
from django.conf import settings

from cdp.access.source import SourceRef
from cdp.core.address import shortened
from cdp.core.clock import now_us
from cdp.core.crypto import Keyring
from cdp.core.errors import DomainError, Invalid, NotFound, TooLarge
from cdp.core.ids import request_id
from cdp.pipeline import answers, wire
from cdp.pipeline.answers import Answer, Rejection, Send
from cdp.pipeline.check import Checked, checked
from cdp.pipeline.group_commit import GroupCommit
from cdp.pipeline.limits import Limits
from cdp.pipeline.message import CALLS, HISTORICAL, PRIVACY_CONTROL, Envelope, sealer, tail_of
from cdp.pipeline.visitor import RateLimit, client_address, origin_allowed
from cdp.pipeline.write_keys import Forbidden, TooMany, WriteKeys
from cdp.pipeline.writer import kept, refused

Scope = MutableMapping[str, Any]

BATCH = "batch"
IMPORT = "import"
_SHORT = {"i": "identify", "t": "track", "p": "page", "s": "screen", "g": "group", "a": "alias", "b": BATCH}
_POSTS = {f"/v1/{name}": name for name in (*CALLS, BATCH, IMPORT)} | {f"/v1/{s}": name for s, name in _SHORT.items()}
_POSTS |= {f"{path}/": name for path, name in _POSTS.items()}
_PIXELS = {f"/v1/pixel/{name}": name for name in CALLS}
_shortened = lru_cache(4096)(shortened)
_SLICE = 200
_MAX_AGENT = 512
_NO_MESSAGE_AT_ALL = frozenset({"bad_json", "not_utf8", "too_large"})
_NO_MESSAGE = msgspec.Raw(b"null")


class _Request:
    """What is said about a request outside its body."""

    __slots__ = ("_query", "address", "flags", "headers", "method", "origin", "path")

    def __init__(self, scope: Scope, proxies: tuple[str, ...]) -> None:
        self.path: str = scope["path"]
        self.method: str = scope["method"]
        self._query: bytes = scope["query_string"]
        self.headers: Mapping[bytes, bytes] = dict(scope["headers"])
        self.address = client_address(scope, proxies)
        self.origin = self.headers.get(b"origin")
        self.flags = PRIVACY_CONTROL if self.headers.get(b"sec-gpc") == b"1" else 0

    def visitor(self, source: SourceRef, *, full: bool) -> tuple[str, str]:
        """Address (shortened unless `full`) and user agent, for the context of messages that say none.

        Blank for a server source, whose own address is nobody's; but an image is fetched by the visitor.
        """
        if source.trusted and self.path not in _PIXELS:
            return "", ""
        address = self.address if full else _shortened(self.address)
        return address, self.headers.get(b"user-agent", b"")[:_MAX_AGENT].decode("latin-1")

    def id(self) -> bytes:
        """The client's X-Request-ID, or a new one."""
        return request_id(self.headers.get(b"x-request-id", b"").decode("latin-1")).encode()

    def query(self, name: str) -> str:
        """The first value of a query parameter, or blank."""
        values: list[str] = parse_qs(self._query.decode("latin-1")).get(name, [""])
        return values[0]


class Door:
    """All of `/v1/…` and `/sourceConfig/`. `on_commit` is called after each commit: something waits in the inbox."""

    def __init__(self, *, on_commit: Callable[[], None] = lambda: None) -> None:
        self._limits = Limits.of_settings()
        self._keyring: Keyring = settings.KEYRING
        self._commits = GroupCommit(max_backlog=self._limits.backlog, on_commit=on_commit)
        self._keys = WriteKeys()
        self._limit = RateLimit()

    async def close(self) -> None:
        """Commit what waits; nothing may be sent to it afterwards."""
        await asyncio.to_thread(self._commits.close)
        await asyncio.to_thread(self._keys.close)

    async def __call__(self, scope: Scope, receive: wire.Receive, send: Send) -> None:
        """Answer one HTTP request."""
        request = _Request(scope, self._limits.proxies)
        try:
            answer = await self._answer(request, receive)
        except wire.Gone:
            return
        except TooMany as error:
            answer = answers.refusal(error, {"retry-after": str(error.seconds)})
        except DomainError as error:
            answer = answers.refusal(error)
        await answers.send_answer(send, answer, origin=request.origin, request_id=request.id())

    async def _answer(self, request: _Request, receive: wire.Receive) -> Answer:
        path, method = request.path, request.method
        call = _POSTS.get(path)
        if call is not None:
            if method == "POST":
                return await (self._take_batch if call in {BATCH, IMPORT} else self._take_one)(request, receive, call)
            return _other_method(method, b"POST, OPTIONS")
        get = self._get(path)
        if get is None:
            raise NotFound("There is no such endpoint. See /v1/batch, /v1/track, /v1/identify.", code="unknown_path")
        if method == "GET":
            return await get(request)
        return _other_method(method, b"GET, OPTIONS")

    def _get(self, path: str) -> Callable[[_Request], Awaitable[Answer]] | None:
        if path in _PIXELS:
            return self._take_pixel
        if path.startswith("/v1/projects/") and path.endswith("/settings") and path.count("/") == 4:
            return self._settings
        return self._source_config if path in {"/sourceConfig", "/sourceConfig/"} else None

    async def _take_one(self, request: _Request, receive: wire.Receive, call: str) -> Answer:
        raw = await wire.body_of(receive, request.headers, limit=self._limits.event_bytes, too_large=_message_too_large)
        source = await self._source(request, lambda: wire.key_in(raw))
        return await self._take_message(request, source, raw, call)

    async def _take_message(self, request: _Request, source: SourceRef, raw: bytes, call: str) -> Answer:
        received = now_us()
        message = checked(raw, source=source, received=received, max_bytes=self._limits.event_bytes, call=call)
        address, agent = request.visitor(source, full=self._limits.full_addresses)
        if not message.code:
            row = kept(sealer(self._keyring), message, source.id, received, _tail(address, agent, request.flags))
            await self._commits.submit((row,), (), size=len(row.body))
            return _TAKEN_ONE
        if message.code in _NO_MESSAGE_AT_ALL or not raw.lstrip().startswith(b"{"):
            raise Invalid(message.reason, code=message.code)
        envelope = Envelope(_NO_MESSAGE, None, _context(address, agent), request.flags)
        refusal = refused(self._keyring, message, source.id, received, envelope)
        await self._commits.submit((), (refusal,), size=len(refusal.body))
        return answers.taken(0, [_rejection(0, message)])

    async def _take_batch(self, request: _Request, receive: wire.Receive, call: str) -> Answer:
        limits = self._limits
        body = await wire.body_of(receive, request.headers, limit=limits.batch_bytes, too_large=_batch_too_large)
        batch, key = wire.batch_of(body, most=limits.batch_events)
        source = await self._source(request, lambda: key)
        if call == IMPORT and not source.trusted:
            raise Forbidden("Only a server source may import history.", code="import_not_allowed")
        envelope = _batch_envelope(request, source, batch, limits, HISTORICAL if call == IMPORT else 0)
        tail = tail_of(envelope)
        if len(tail) * len(batch.batch) > 8 * limits.batch_bytes:
            raise TooLarge("The batch's `context` is too large for so many messages.", code="context_too_large")
        received = now_us()
        rows, refusals, rejected = [], [], []
        keyring, most, seal = self._keyring, limits.event_bytes, sealer(self._keyring)
        plain = body.isascii() and b"\\" not in body
        for index, raw in enumerate(batch.batch):
            if index % _SLICE == _SLICE - 1:
                await asyncio.sleep(0)  # a large batch lets others in between
            message = checked(
                bytes(raw), source=source, received=received, max_bytes=most, sent_at=envelope.sent_at, plain=plain
            )
            if message.code:
                refusals.append(refused(keyring, message, source.id, received, envelope))
                rejected.append(_rejection(index, message))
            else:
                rows.append(kept(seal, message, source.id, received, tail))
        if rows or refusals:
            await self._commits.submit(rows, refusals, size=len(body) + len(tail) * len(batch.batch))
        return answers.taken(len(rows), rejected)

    async def _take_pixel(self, request: _Request) -> Answer:
        raw = wire.pixel_message(request.query("data"))
        source = await self._source(request, lambda: request.query("writeKey") or wire.key_in(raw))
        await self._take_message(request, source, raw, _PIXELS[request.path])
        return answers.pixel()

    async def _settings(self, request: _Request) -> Answer:
        key = request.path.split("/")[3]
        if await self._keys.find(key) is None:
            raise self._keys.unknown(key)
        plan = {call: {"__default": {"enabled": True}} for call in ("track", "identify", "group")}
        return answers.document({"integrations": {"Segment.io": {"apiKey": key}}, "plan": plan})

    async def _source_config(self, request: _Request) -> Answer:
        key = request.query("writeKey") or wire.key_of(request.headers)
        source = await self._keys.find(key)
        if source is None:
            raise self._keys.unknown(key)
        config = {"statsCollection": {"errors": {"enabled": False}, "metrics": {"enabled": False}}}
        described: dict[str, object] = {
            "id": str(source.id),
            "name": source.name,
            "writeKey": key,
            "enabled": True,
            "config": config,
            "connections": [],
            "destinations": [],
        }
        return answers.document({"source": described})

    async def _source(self, request: _Request, key_inside: Callable[[], str | None]) -> SourceRef:
        """The source of the key in the header or else inside; raises Unauthorized, Forbidden, TooMany, Unavailable."""
        key = wire.key_of(request.headers)
        source = self._keys.known(key) or await self._keys.find(key)
        if source is None:
            inside = key_inside()
            source = await self._keys.find(inside)
            key = inside or key
        if source is None:
            raise self._keys.unknown(key)
        if not source.trusted and source.allowed_origins and not _may_send(request.origin, source.allowed_origins):
            raise Forbidden("Pages of this origin may not send with this key.", code="origin_not_allowed")
        if source.rate_limit:
            seconds = self._limit.wait(str(key), request.address, source.rate_limit, now=time.monotonic())
            if seconds:
                raise TooMany(seconds)
        return source


_TAKEN_ONE = answers.taken(1)


def _message_too_large(limit: int) -> DomainError:
    return TooLarge(f"A message may have {limit} bytes; make it smaller.", code="too_large")


def _batch_too_large(limit: int) -> DomainError:
    return Invalid(f"A batch may have {limit} bytes; send several.", code="batch_too_large")


class _WrongMethod(DomainError):
    code = "method_not_allowed"
    status = 405


def _other_method(method: str, allow: bytes) -> Answer:
    if method == "OPTIONS":
        return answers.preflight(allow)
    wanted = allow.decode()
    return answers.refusal(_WrongMethod(f"Use {wanted.partition(',')[0]} here."), {"allow": wanted})


def _may_send(origin: bytes | None, allowed: tuple[str, ...]) -> bool:
    """An app names no origin, and who wants to can name any: this helps an honest page only."""
    return origin is None or origin_allowed(origin.decode("latin-1"), allowed)


def _batch_envelope(request: _Request, source: SourceRef, batch: wire.Batch, limits: Limits, flags: int) -> Envelope:
    limit = limits.event_bytes
    context = _context(*request.visitor(source, full=limits.full_addresses))
    context |= wire.shared_object(batch.context, "context", limit=limit)
    integrations = wire.shared_object(batch.integrations, "integrations", limit=limit)
    sent_at = batch.sent_at if isinstance(batch.sent_at, str | int | float) else None
    return Envelope(_NO_MESSAGE, sent_at, context or None, request.flags | flags, integrations or None)


@lru_cache(4096)
def _tail(address: str, agent: str, flags: int) -> bytes:
    return tail_of(Envelope(_NO_MESSAGE, None, _context(address, agent) or None, flags))


def _context(address: str, agent: str) -> dict[str, Any]:
    return {name: value for name, value in (("ip", address), ("userAgent", agent)) if value}


def _rejection(index: int, message: Checked) -> Rejection:
    return Rejection(index, message.message_id, message.code, message.reason)
