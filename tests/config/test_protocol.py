"""Answers leave in one packet, whole and in order."""

import asyncio
from typing import Any

import uvicorn

from config.protocol import Gathering, OnePacket


class Sent:
    """A transport that notes what it is told."""

    def __init__(self) -> None:
        self.calls: list[bytes | str] = []

    def write(self, data: bytes) -> None:
        self.calls.append(data)

    def close(self) -> None:
        self.calls.append("close")

    def is_closing(self) -> bool:
        return "close" in self.calls


def test_what_is_written_in_one_turn_is_one_write_before_the_close():
    async def turns() -> list[bytes | str]:
        sent: Any = Sent()
        gathering = Gathering(sent, asyncio.get_running_loop())
        gathering.write(b"head ")
        gathering.write(b"body")
        assert sent.calls == []
        await asyncio.sleep(0)
        gathering.write(b"second")
        assert not gathering.is_closing()
        gathering.close()
        assert gathering.is_closing()
        await asyncio.sleep(0)
        return sent.calls  # type: ignore[no-any-return]

    assert asyncio.run(turns()) == [b"head body", b"second", "close"]


class _Client(asyncio.Protocol):
    """Counts what arrives."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        self.parts.append(data)
        if data.endswith(b"}"):
            self.done.set_result(None)


def test_a_connection_of_uvicorn_answers_in_one_packet():
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        headers = [(b"content-length", b"2"), (b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"{}"})

    async def exchange() -> list[bytes]:
        config = uvicorn.Config(app, http=OnePacket, lifespan="off", access_log=False)
        config.load()
        state = uvicorn.server.ServerState()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: OnePacket(config, state, {}), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        transport, client = await loop.create_connection(_Client, "127.0.0.1", port)
        transport.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await asyncio.wait_for(client.done, 10)
        transport.close()
        server.close()
        return client.parts

    [answer] = asyncio.run(exchange())
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\n{}")


def test_much_is_not_kept_waiting():
    async def turn() -> list[bytes | str]:
        sent: Any = Sent()
        gathering = Gathering(sent, asyncio.get_running_loop())
        gathering.write(b"head ")
        gathering.write(b"x" * 70_000)
        return list(sent.calls)

    assert asyncio.run(turn()) == [b"head " + b"x" * 70_000]
