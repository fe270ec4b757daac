"""A server that behaves like Exacaster's Customer 360, and badly when it is told to.

with Upstream() as upstream:
    upstream.people["C1"] = row("C1", current_phone="iPhone")
    upstream.fault = "slow"
"""

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from cdp.core.clock import now_us
from integrations.connection import forget_connection, seal_secrets
from integrations.models import Integration

TOKEN = "token-that-must-never-be-seen-0123456789"
WORKSPACE = "workspace-7"
RESOURCE = "resource/8"


def row(customer: str, **columns: Any) -> dict[str, Any]:
    """A row as the platform answers it; `columns` replace or add."""
    return {
        "userIdType": "user_id",
        "userId": customer,
        "dt": "2022-09-07",
        "has_amazon_prime": 0,
        "has_hbo": 0,
        "has_netflix": 1,
        "home_subscriptions_count_daily": 2,
        "mobile_subscriptions_count_daily": 0,
        "mobile_subscriptions_revenue": 0.000,
        "current_phone": "iPhone",
        "version": 20221017135048008,
        **columns,
    }


class Upstream:
    """Listens on a free port of 127.0.0.1 until it is closed. `requests` has (path, query, headers) of every call."""

    def __init__(self) -> None:
        self.people: dict[str, dict[str, Any]] = {}
        self.shape: Callable[[list[dict[str, Any]]], Any] = lambda rows: rows
        self.fault = ""
        self.delay = 0.0
        self.gate = threading.Event()
        """Answers wait until it is open."""
        self.gate.set()
        self.requests: list[tuple[str, dict[str, list[str]], dict[str, str]]] = []
        self.stopped = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.request_queue_size = 256
        self._server.upstream = self  # type: ignore[attr-defined]
        self.port: int = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/courier/api/v1"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def answers(self, customer: str) -> list[dict[str, Any]]:
        """The rows of a customer."""
        return [self.people[customer]] if customer in self.people else []

    def settings(self) -> dict[str, str]:
        """What the form of an integration is filled in with."""
        return {"api_url": self.url, "workspace_id": WORKSPACE, "resource_id": RESOURCE}

    def close(self) -> None:
        """Refuse connections from now on."""
        self.gate.set()
        self.stopped.set()
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> "Upstream":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.stopped.is_set():
            self.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def upstream(self) -> Upstream:
        return self.server.upstream  # type: ignore[attr-defined,no-any-return]

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = parse_qs(parts.query)
        self.upstream.requests.append((parts.path, query, dict(self.headers.items())))
        fault = self.upstream.fault
        self.upstream.gate.wait(60)
        if self.upstream.delay:
            self.upstream.stopped.wait(self.upstream.delay)
        if fault:
            getattr(self, f"fault_{fault}")()
        elif self.headers["Authorization"] != f"Bearer {TOKEN}":
            self._say(401, {"message": f"The token {self.headers['Authorization']} is not known."})
        elif unquote(parts.path) != f"/courier/api/v1/workspaces/{WORKSPACE}/resources/{RESOURCE}":
            self._say(404, {"message": "No such resource."})
        else:
            rows = self.upstream.answers(query["userId"][0])
            self._say(200, self.upstream.shape(rows))

    def fault_401(self) -> None:
        self._say(401, {"message": "Unauthorized", "token": self.headers["Authorization"]})

    def fault_403(self) -> None:
        self._say(403, {"message": "Forbidden"})

    def fault_404(self) -> None:
        self._say(404, {"message": "Not found"})

    def fault_429(self) -> None:
        self._say(429, {"message": "Slow down"}, **{"Retry-After": "7"})

    def fault_500(self) -> None:
        self._say(500, {"message": "Oops", "customer": self.path})

    def fault_503(self) -> None:
        self._say(503, {"message": "Busy"})

    def fault_once(self) -> None:
        """The first answer is 502; whoever asks again gets what there is."""
        self.upstream.fault = ""
        self._say(502, {})

    def fault_malformed(self) -> None:
        self._send(200, b'[{"userId": "C1", "current_phone": ')

    def fault_html(self) -> None:
        self._send(200, b"<html>Please sign in</html>", "text/html")

    def fault_wrong_type(self) -> None:
        self._say(200, "a text")

    def fault_wrong_rows(self) -> None:
        self._say(200, [["userId", "C1"]])

    def fault_other_customer(self) -> None:
        self._say(200, [row("somebody-else")])

    def fault_error_object(self) -> None:
        self._say(200, {"error": "no such workspace"})

    def fault_empty_body(self) -> None:
        self._send(200, b"")

    def fault_huge(self) -> None:
        self._send(200, b'[{"userId": "C1", "x": "' + b"x" * (3 * 1024 * 1024) + b'"}]')

    def fault_deep(self) -> None:
        self._send(200, b"[" * 100_000)

    def fault_slow(self) -> None:
        """Accepts the request and says nothing."""
        self.upstream.stopped.wait(30)
        self.close_connection = True

    def fault_drip_body(self) -> None:
        """A byte now and then, for ever."""
        self.send_response(200)
        self.send_header("Content-Length", "100000")
        self.end_headers()
        self._drip(b" ")

    def fault_drip_headers(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\n")
        self._drip(b"X-Header: a\r\n")

    def fault_closes(self) -> None:
        """Breaks the connection without an answer."""
        self.close_connection = True
        self.connection.close()

    def fault_breaks_off(self) -> None:
        """Promises more than it sends."""
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b"[{")
        self.close_connection = True

    def fault_redirect(self) -> None:
        """To the address where clouds keep their secrets."""
        self._say(302, {}, Location="http://169.254.169.254/latest/meta-data/")

    def fault_redirect_to_itself(self) -> None:
        self._say(307, {}, Location=f"{self.upstream.url}/elsewhere")

    def _drip(self, piece: bytes) -> None:
        try:
            while not self.upstream.stopped.wait(0.02):
                self.wfile.write(piece)
                self.wfile.flush()
        except OSError:
            self.upstream.stopped.wait(0)
        self.close_connection = True

    def _say(self, status: int, value: Any, **headers: str) -> None:
        self._send(status, json.dumps(value).encode(), **headers)

    def _send(self, status: int, body: bytes, kind: str = "application/json", **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


def wait_for(condition: Callable[[], bool], *, within: float = 10.0) -> None:
    """Until `condition`; fails when it does not come."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"not within {within:g} s"
        time.sleep(0.005)


def connect(upstream: Upstream, *, token: str = TOKEN, **columns: Any) -> Integration:
    """A row of an active integration with `upstream`; `columns` replace or add."""
    now = now_us()
    values = {"provider": "exacaster", "name": "Exacaster", "created_at": now, "updated_at": now, **columns}
    secrets = seal_secrets({"bearer_token": token})
    made = Integration.objects.create(config=upstream.settings(), credentials=secrets, **values)
    forget_connection()
    return made
