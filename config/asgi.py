"""One process, three doors: ingestion is a plain ASGI app, WebSockets get their own, everything else is Django (WSGI).

Django under ASGI is 5 to 10 times as slow as under WSGI, so it runs in threads. Start it with uvicorn, without its
access log (queries hold personal data) and without its proxy headers (TRUSTED_PROXIES says whom to believe).
"""

import os
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from a2wsgi import WSGIMiddleware
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
# A busy thread gives way after a tenth of a millisecond and not after five: the committing thread asks for its turn
# several times a group. Measured on SQLite at 64 connections: 8,800 requests/s against 7,150 with half a millisecond.
sys.setswitchinterval(0.0001)
_wsgi: Any = get_wsgi_application()
_django: Any = WSGIMiddleware(_wsgi, workers=8)

from channels.auth import AuthMiddlewareStack  # noqa: E402  (these need the settings)
from channels.routing import URLRouter  # noqa: E402
from django.urls import path  # noqa: E402

from cdp.pipeline.door import Door  # noqa: E402
from config.celery import wake  # noqa: E402
from config.urls import SOCKETS  # noqa: E402

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

door = Door(on_commit=wake)
_socket_paths = {f"/{address}" for address in SOCKETS}
_routes: list[Any] = [path(address, consumer.as_asgi()) for address, consumer in SOCKETS.items()]
_sockets: Any = AuthMiddlewareStack(URLRouter(_routes))


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """The ASGI app of the web process."""
    if scope["type"] == "http":
        path: str = scope["path"]
        app: App = door if path.startswith(("/v1/", "/sourceConfig")) else _django
        await app(scope, receive, send)
    elif scope["type"] == "lifespan":
        await _live(receive, send)
    elif scope["path"] in _socket_paths:
        await _sockets(scope, receive, send)
    else:
        await _no_socket(scope, receive, send)


async def _live(receive: Receive, send: Send) -> None:
    """Start; at the end commit what the door still holds."""
    while True:
        event = await receive()
        if event["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        else:
            await door.close()
            await send({"type": "lifespan.shutdown.complete"})
            return


async def _no_socket(scope: Scope, receive: Receive, send: Send) -> None:
    """There is no WebSocket here: 404 where the server can say so, else the connection is closed unopened."""
    await receive()
    if "websocket.http.response" in scope.get("extensions", {}):
        await send({"type": "websocket.http.response.start", "status": 404, "headers": []})
        await send({"type": "websocket.http.response.body", "body": b""})
    else:
        await send({"type": "websocket.close"})
