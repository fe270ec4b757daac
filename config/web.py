"""The web process: uvicorn with its three doors.

`python -m config.web FD` serves on a socket that the supervisor has opened, `python -m config.web` on HOST and PORT.
"""

import asyncio
import gc
import socket
import sys

import uvicorn
from django.conf import settings
from django.db import DatabaseError, connection

import config.asgi  # noqa: F401 - sets Django up, and its logging, before uvicorn logs its first line
from cdp.core.errors import DomainError
from cdp.privacy.restore import replay_erasures
from config import environment as env
from config.protocol import OnePacket

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


def _replay() -> None:
    """Forget again whom a restored backup brought back, before anybody can ask for them.

    A store that does not answer is told by /readyz; nothing can be read from it meanwhile.
    """
    try:
        replayed = replay_erasures()
    except DatabaseError as error:
        sys.stderr.write(f"Whether erasures must be replayed could not be seen ({type(error).__name__}).\n")
        return
    except DomainError as error:
        sys.stderr.write(f"The journal of erasures cannot be followed, so nothing is served: {error.message}\n")
        sys.exit(3)
    finally:
        connection.close()
    if replayed:
        sys.stderr.write(f"The database is older than the journal of erasures: {replayed} are carried out again.\n")


def main() -> None:
    """Serve until SIGTERM; requests that are in flight then have five seconds."""
    options = uvicorn.Config(
        "config.asgi:application",
        host=env.text("HOST", "127.0.0.1"),
        port=env.integer("PORT", 8000, low=1, high=65535),
        http=OnePacket,
        loop="uvloop",
        ws="websockets-sansio",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=2048,
        timeout_graceful_shutdown=5,
    )
    _replay()
    server = _Server(options)
    # What is loaded by now stays: the garbage collector need not go through it again and again. Measured: a sixteenth
    # of the time of a busy door.
    gc.collect()
    gc.freeze()
    server.run(sockets=[socket.socket(fileno=int(sys.argv[1]))] if sys.argv[1:] else None)
    sys.exit(0 if server.started else 3)


if __name__ == "__main__":
    main()
