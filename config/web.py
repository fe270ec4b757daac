"""The web process: uvicorn with its three doors.

`python -m config.web FD` serves on a socket that the supervisor has opened, `python -m config.web` on HOST and PORT.
"""

import asyncio
import socket
import sys

import uvicorn
from django.conf import settings

import config.asgi  # noqa: F401 - sets Django up, and its logging, before uvicorn logs its first line
from config import environment as env

_TICK_SECONDS = 0.5


class _Server(uvicorn.Server):
    """uvicorn that says where it is, and looks for a stop twice a second instead of ten times: that is idle CPU."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            sys.stderr.write(f"\nPorta Futuri CDP is running: {settings.PUBLIC_URL}/  (Ctrl-C stops it)\n\n")

    async def main_loop(self) -> None:
        """Until a signal has asked to stop; the counter is in tenths of a second."""
        counter = 0
        while not await self.on_tick(counter):
            counter = (counter + int(_TICK_SECONDS * 10)) % 864_000
            await asyncio.sleep(_TICK_SECONDS)


def main() -> None:
    """Serve until SIGTERM; requests that are in flight then have five seconds."""
    options = uvicorn.Config(
        "config.asgi:application",
        host=env.text("HOST", "127.0.0.1"),
        port=env.integer("PORT", 8000, low=1, high=65535),
        http="httptools",
        loop="uvloop",
        ws="websockets-sansio",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=2048,
        timeout_graceful_shutdown=5,
    )
    server = _Server(options)
    server.run(sockets=[socket.socket(fileno=int(sys.argv[1]))] if sys.argv[1:] else None)
    sys.exit(0 if server.started else 3)


if __name__ == "__main__":
    main()
