"""Calling an ASGI app in the process of the test."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote


@dataclass(frozen=True)
class Response:
    """What the app answered."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class Caller:
    """Calls `app` in an event loop of its own, which lives until `close`."""

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self.app = app
        self.runner = asyncio.Runner()

    def __call__(
        self,
        method: str,
        path: str,
        body: bytes | Sequence[bytes] = b"",
        *,
        headers: Mapping[str, str] | Sequence[tuple[str, str]] = (),
        client: str = "203.0.113.77",
    ) -> Response:
        """One request; `path` may have a query; a `body` in several parts arrives so."""
        return self.runner.run(self.call(method, path, body, headers=headers, client=client))

    async def call(
        self,
        method: str,
        path: str,
        body: bytes | Sequence[bytes] = b"",
        *,
        headers: Mapping[str, str] | Sequence[tuple[str, str]] = (),
        client: str = "203.0.113.77",
    ) -> Response:
        """The same inside the event loop."""
        path, _, query = path.partition("?")
        pairs = headers.items() if isinstance(headers, Mapping) else headers
        scope = {
            "type": "http",
            "method": method,
            "path": unquote(path),
            "query_string": query.encode(),
            "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in pairs],
            "client": (client, 4711),
        }
        parts = [body] if isinstance(body, bytes) else [*body]
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            if not parts:
                return {"type": "http.disconnect"}
            part = parts.pop(0)
            return {"type": "http.request", "body": part, "more_body": bool(parts)}

        async def send(event: dict[str, Any]) -> None:
            sent.append(event)

        await self.app(scope, receive, send)
        start = sent[0]
        return Response(
            start["status"],
            {name.decode(): value.decode("latin-1") for name, value in start["headers"]},
            b"".join(event.get("body", b"") for event in sent[1:]),
        )
