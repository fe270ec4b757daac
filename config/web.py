"""The web process: uvicorn on a socket that the supervisor has opened (`python -m config.web FD`)."""

import socket
import sys

import uvicorn
from django.conf import settings

import config.asgi  # noqa: F401 - sets Django up, and its logging, before uvicorn logs its first line


class _Server(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            sys.stderr.write(f"\nPorta Futuri CDP is running: {settings.PUBLIC_URL}/  (Ctrl-C stops it)\n\n")


def main() -> None:
    """Serve until SIGTERM; requests that are in flight then have five seconds."""
    options = uvicorn.Config(
        "config.asgi:application",
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
    server.run(sockets=[socket.socket(fileno=int(sys.argv[1]))])
    sys.exit(0 if server.started else 3)


if __name__ == "__main__":
    main()
