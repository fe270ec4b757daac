"""What the door is measured against: the least that a durable ASGI app, or a bulk insert, can do.

`python _bare.py serve PORT` inserts each request's body into a table of its own with the same kind of group commit.
`python _bare.py bulk SECONDS` inserts rows like those of the inbox, 100 in a transaction, and prints how many a second.
Both find the store in DATABASE_URL or DATA_DIR, as the product does.
"""

import asyncio
import os
import queue
import sqlite3
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

_STORE = os.environ.get("DATABASE_URL", "")
_ANSWER = b'{"success":true,"ok":1,"rejected":[]}'
_HEADERS = [(b"content-type", b"application/json"), (b"content-length", str(len(_ANSWER)).encode())]
_BATCH = 100
_BODY = 500


def connect() -> Any:
    """A connection with the durability of the door's."""
    if _STORE:
        import psycopg

        return psycopg.connect(_STORE, autocommit=True)
    path = os.path.join(os.environ["DATA_DIR"], "cdp.sqlite3")
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)
    connection.execute("pragma journal_mode=wal")
    connection.execute("pragma synchronous=full")
    return connection


class _Bare:
    """The app and its writer thread."""

    def __init__(self) -> None:
        self.queue: queue.SimpleQueue[tuple[bytes, asyncio.Future[None]]] = queue.SimpleQueue()
        self.connection = connect()
        kinds = ("bigserial", "bytea") if _STORE else ("integer", "blob")
        self.connection.execute(f"create table bare (id {kinds[0]} primary key, received bigint, body {kinds[1]})")
        threading.Thread(target=self.run, daemon=True).start()

    def run(self) -> None:
        while True:
            group = [self.queue.get()]
            while True:
                try:
                    group.append(self.queue.get_nowait())
                except queue.Empty:
                    break
            self.write([body for body, _ in group], time.time_ns() // 1000)
            group[0][1].get_loop().call_soon_threadsafe(_wake, group)

    def write(self, bodies: list[bytes], now: int) -> None:
        if _STORE:
            sql = "insert into bare (received, body) select * from unnest(%b::bigint[], %b::bytea[])"
            self.connection.execute(sql, ([now] * len(bodies), bodies), prepare=True)
            return
        self.connection.execute("begin immediate")
        rows = [(now, body) for body in bodies]
        self.connection.executemany("insert into bare (received, body) values (?, ?)", rows)
        self.connection.execute("commit")

    async def __call__(
        self, scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
    ) -> None:
        if scope["type"] != "http":
            return
        event = await receive()
        body = event["body"]
        while event.get("more_body"):
            event = await receive()
            body += event["body"]
        future = asyncio.get_running_loop().create_future()
        self.queue.put((body, future))
        await future
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        await send({"type": "http.response.body", "body": _ANSWER})


def _wake(group: list[tuple[bytes, asyncio.Future[None]]]) -> None:
    for _, future in group:
        future.set_result(None)


def bulk(seconds: float) -> float:
    """Rows a second into a table that has nothing but its number, each hundred durable before the next."""
    connection = connect()
    kinds = ("bigserial", "bytea") if _STORE else ("integer", "blob")
    connection.execute(
        f"create table if not exists bulk (id {kinds[0]} primary key, digest {kinds[1]}, source_id integer,"
        f" received bigint, body {kinds[1]})"
    )
    columns = "insert into bulk (digest, source_id, received, body)"
    many = f"{columns} select * from unnest(%b::bytea[], %b::int4[], %b::int8[], %b::bytea[])"
    one = f"{columns} values (?, ?, ?, ?)"
    body, now, count = os.urandom(_BODY), time.time_ns() // 1000, 0
    begin = time.perf_counter()
    while time.perf_counter() - begin < seconds:
        rows = [(os.urandom(16), 1, now, body) for _ in range(_BATCH)]
        if _STORE:
            connection.execute(many, [list(column) for column in zip(*rows, strict=True)], prepare=True)
        else:
            connection.execute("begin immediate")
            connection.executemany(one, rows)
            connection.execute("commit")
        count += _BATCH
    return count / (time.perf_counter() - begin)


def _serve(port: int) -> None:
    import uvicorn

    sys.setswitchinterval(0.0005)
    uvicorn.run(
        _Bare(), port=port, http="httptools", loop="uvloop", lifespan="off", access_log=False, log_level="error",
        server_header=False, proxy_headers=False, backlog=2048,
    )  # fmt: skip


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        _serve(int(sys.argv[2]))
    else:
        sys.stdout.write(str(bulk(float(sys.argv[2]))))
