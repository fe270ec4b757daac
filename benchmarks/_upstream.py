"""A customer data platform for benchmarks: `python _upstream.py MILLISECONDS` prints its port and serves.

Answers every customer after the given time, and 500 while the file `down` is in its folder. `GET /count` says how many
look-ups there were.
"""

import asyncio
import os
import sys
from urllib.parse import parse_qs, urlsplit

import msgspec

_DELAY = float(sys.argv[1]) / 1000
_asked = 0


def _row(customer: str) -> bytes:
    return msgspec.json.encode(
        [
            {
                "userIdType": "user_id", "userId": customer, "dt": "2022-09-07", "has_amazon_prime": 0, "has_hbo": 0,
                "has_netflix": 1, "home_subscriptions_count_daily": 2, "mobile_subscriptions_count_daily": 0,
                "mobile_subscriptions_revenue": 12.5, "current_phone": "iPhone", "version": 20221017135048008,
            }
        ]
    )  # fmt: skip


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    global _asked  # noqa: PLW0603
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split(b" ", 2)[1].decode()
            status, body = b"200 OK", str(_asked).encode()
            if path != "/count":
                _asked += 1
                await asyncio.sleep(_DELAY)
                body = _row(parse_qs(urlsplit(path).query)["userId"][0])
                if os.path.exists("down"):
                    status, body = b"500 Oops", b"{}"
            writer.write(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body))
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def _main() -> None:
    server = await asyncio.start_server(_serve, "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 - whoever started it reads this
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main())
