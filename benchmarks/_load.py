"""A load generator of its own process: raw sockets that send one request after the other and note each answer's time.

`python _load.py PORT PATH KEY CONNECTIONS SECONDS BATCH` prints a `Load` as JSON.
"""

import asyncio
import base64
import os
import sys
import time

import msgspec
import uvloop

_ITEM = (
    b'{"type":"track","messageId":"%b","userId":"user-4711","anonymousId":"b2f2c7d4-9f3b-4b57-8f5e-0d6a3c1e9a11",'
    b'"event":"Product Viewed","timestamp":"2026-11-20T12:00:00.000Z","properties":{"product_id":"p-1234",'
    b'"price":19.99,"currency":"EUR","category":"Books"},"context":{"library":{"name":"analytics-node",'
    b'"version":"2.1.0"},"page":{"path":"/p/1","title":"A page"}}}'
)


class Load(msgspec.Struct):
    """What came back. Times in seconds."""

    requests: int
    seconds: float
    p50: float
    p99: float
    refused: int


class _Sender(asyncio.Protocol):
    """One connection with one request under way."""

    def __init__(self, path: str, key: str, batch: int, until: float, times: list[float], refused: list[bytes]) -> None:
        self.batch, self.until, self.times, self.refused = batch, until, times, refused
        self.name, self.count = os.urandom(8).hex().encode(), 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        length = len(self._body())
        basic = base64.b64encode(f"{key}:".encode()).decode()
        self.head = (
            f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nUser-Agent: bench/1\r\n"
            f"Authorization: Basic {basic}\r\nContent-Length: {length}\r\n\r\n"
        ).encode()
        self.answer = b""

    def _body(self) -> bytes:
        if not self.batch:
            self.count += 1
            return _ITEM % (b"%b-%012d" % (self.name, self.count))
        items = [_ITEM % (b"%b-%012d" % (self.name, self.count + n)) for n in range(self.batch)]
        self.count += self.batch
        return b'{"batch":[' + b",".join(items) + b"]}"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self._send()

    def _send(self) -> None:
        body = self._body()
        self.sent = time.perf_counter()
        self.transport.write(self.head + body)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self.answer += data
        head, found, body = self.answer.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        if len(body) < length:
            return
        now = time.perf_counter()
        self.times.append(now - self.sent)
        if not head.startswith(b"HTTP/1.1 200"):
            self.refused.append(self.answer)
        self.answer = b""
        if now < self.until:
            self._send()
        else:
            self.transport.close()
            self.done.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("The server closed the connection."))


async def _run(port: int, path: str, key: str, connections: int, seconds: float, batch: int) -> Load:
    times: list[float] = []
    refused: list[bytes] = []
    begin = time.perf_counter()
    loop = asyncio.get_running_loop()
    pairs = [
        await loop.create_connection(
            lambda: _Sender(path, key, batch, begin + seconds, times, refused), "127.0.0.1", port
        )
        for _ in range(connections)
    ]
    await asyncio.gather(*(sender.done for _, sender in pairs))
    taken = time.perf_counter() - begin
    times.sort()
    return Load(len(times), taken, times[len(times) // 2], times[int(len(times) * 0.99)], len(refused))


if __name__ == "__main__":
    port, path, key, connections, seconds, batch = sys.argv[1:]
    found = uvloop.run(_run(int(port), path, key, int(connections), float(seconds), int(batch)))
    sys.stdout.buffer.write(msgspec.json.encode(found))
