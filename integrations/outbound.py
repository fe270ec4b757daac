"""Requests to addresses that an administrator typed, or a caller of the API gave.

Private networks are out of reach unless OUTBOUND_ALLOW names them, plain http is for those networks alone, redirects
are not followed, and neither cookies, proxies nor .netrc of the machine are used. The time is a limit for everything
together: finding the host, connecting, and a server that drips.
"""

import ipaddress
import socket
import threading
import time
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import msgspec
import requests
import urllib3
from django.conf import settings
from django.views.decorators.debug import sensitive_variables
from requests.adapters import HTTPAdapter
from requests_hardened import Config, HTTPSession
from requests_hardened.ip_filter import InvalidIPAddress
from requests_hardened.ip_filter_adapter import IPFilterAdapter

from cdp.core.clock import now_us, to_us
from integrations.provider import FetchFailed

AT_ONCE = 64
"""Requests of this process that may be under way; one more is refused rather than queued."""
_CHUNK = 64 * 1024
_LONGEST_RETRY_AFTER = 3600.0
_AGAIN = frozenset({502, 503, 504})
_ENOUGH = 0.25
"""The part of the time that must be left for a second attempt."""


class Reply(msgspec.Struct, frozen=True):
    """An answer. `retry_after` is in seconds, 0 when it says nothing of the kind."""

    status: int
    body: bytes
    retry_after: float


@sensitive_variables()
def get(url: str, *, headers: dict[str, str], seconds: float, max_bytes: int) -> Reply:
    """The answer to GET `url`, whatever its status. Raises FetchFailed (timeout, unreachable, bad_answer).

    A connection that broke before an answer, and a 502, 503 or 504, are tried a second time while a quarter of the
    time is left: a GET may be repeated.
    """
    deadline = time.monotonic() + seconds
    for last in (False, True):
        may_repeat = not last
        try:
            reply = _Call(url, headers, max_bytes).run(deadline)
        except FetchFailed as error:
            if error.reason != "unreachable" or error.status or not may_repeat or not _left(deadline, seconds):
                raise
            continue
        if reply.status not in _AGAIN or reply.retry_after or not may_repeat or not _left(deadline, seconds):
            return reply
    raise AssertionError("The second attempt returns or raises.")


@sensitive_variables()
def post(url: str, body: bytes, *, headers: dict[str, str], seconds: float, max_bytes: int) -> Reply:
    """The answer to POST `body` to `url`, whatever its status; one attempt. Raises FetchFailed as `get` does."""
    return _Call(url, headers, max_bytes, body).run(time.monotonic() + seconds)


def _left(deadline: float, seconds: float) -> bool:
    return deadline - time.monotonic() > seconds * _ENOUGH


class _Call:
    """One attempt, in a thread of its own, because nothing else bounds the look-up of a host name.

    When the time is over the waiting thread closes the socket, so that the other one ends too.
    """

    _free = threading.BoundedSemaphore(AT_ONCE)

    def __init__(self, url: str, headers: dict[str, str], max_bytes: int, body: bytes | None = None) -> None:
        self._url = url
        self._body = body
        self._headers = headers
        self._max_bytes = max_bytes
        self._done = threading.Event()
        self._socket: socket.socket | None = None
        self._result: Reply | FetchFailed = FetchFailed("unreachable")

    def run(self, deadline: float) -> Reply:
        if not _Call._free.acquire(blocking=False):
            raise FetchFailed("unreachable", "Too many requests are under way.")
        threading.Thread(target=self._work, args=(deadline,), name="outbound", daemon=True).start()
        if not self._done.wait(max(0.0, deadline - time.monotonic())):
            self._abort()
            raise FetchFailed("timeout")
        if isinstance(self._result, FetchFailed):
            raise self._result
        return self._result

    def connected(self, opened: socket.socket) -> None:
        """The connection that the request goes out on."""
        self._socket = opened

    def _abort(self) -> None:
        opened = self._socket
        if opened is not None:
            try:
                opened.shutdown(socket.SHUT_RDWR)
            except OSError:
                return  # it is closed already

    def _work(self, deadline: float) -> None:
        _under_way.call = self
        try:
            self._result = self._ask(deadline)
        except FetchFailed as error:
            self._result = error
        except InvalidIPAddress:
            message = "Its address is in a private network, or has no TLS. OUTBOUND_ALLOW names those that may be used."
            self._result = FetchFailed("unreachable", message)
        except requests.exceptions.SSLError:
            self._result = FetchFailed("unreachable", "Its TLS certificate is not accepted.")
        except requests.exceptions.Timeout:
            self._result = FetchFailed("timeout")
        except (requests.exceptions.ContentDecodingError, requests.exceptions.ChunkedEncodingError):
            self._result = FetchFailed("bad_answer", "Its answer breaks off.")
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError):
            self._result = FetchFailed("unreachable")
        finally:
            _under_way.call = None
            _Call._free.release()
            self._done.set()

    def _ask(self, deadline: float) -> Reply:
        left = max(0.001, deadline - time.monotonic())
        method = "GET" if self._body is None else "POST"
        with _session().request(
            method, self._url, headers=self._headers, data=self._body, timeout=left, stream=True, allow_redirects=False
        ) as answer:
            body = b""
            for chunk in answer.iter_content(_CHUNK):
                body += chunk
                if len(body) > self._max_bytes:
                    raise FetchFailed("bad_answer", "Its answer is too large.", status=answer.status_code)
                if time.monotonic() > deadline:
                    raise FetchFailed("timeout", status=answer.status_code)
            return Reply(answer.status_code, body, _seconds(answer.headers.get("Retry-After", "")))


class _UnderWay(threading.local):
    call: _Call | None = None


_under_way = _UnderWay()


class _Telling:
    """Tells the attempt that is under way in this thread which socket it goes out on."""

    sock: Any

    def request(self, *args: Any, **kwargs: Any) -> None:
        _tell(self.sock)
        super().request(*args, **kwargs)  # type: ignore[misc]  # of the class that it is mixed into

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]
        _tell(self.sock)


class _Connection(_Telling, urllib3.connection.HTTPConnection):
    """Plain."""


class _TlsConnection(_Telling, urllib3.connection.HTTPSConnection):
    """With TLS."""


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


def _tell(opened: socket.socket | None) -> None:
    call = _under_way.call
    if call is not None and opened is not None:
        call.connected(opened)


class _Adapter(IPFilterAdapter):
    """Like its base, but reaches the networks of OUTBOUND_ALLOW, and nothing but them without TLS.

    The address that was checked is the one that is connected to, so a host cannot name another one in between.
    """

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        parts = urlsplit(str(request.url))
        host, port = parts.hostname or "", parts.port or (443 if self._is_https_proto else 80)
        allowed = _allowed_address(host, port)
        if allowed is None:
            if not self._is_https_proto:
                raise InvalidIPAddress(host)
            found: tuple[dict[str, Any], dict[str, Any]]
            found = super().build_connection_pool_key_attributes(request, verify, cert)
            return found
        host_params: Any
        pool_kwargs: Any
        host_params, pool_kwargs = HTTPAdapter.build_connection_pool_key_attributes(self, request, verify, cert)
        request.headers["Host"] = parts.netloc.rpartition("@")[2]
        if self._is_https_proto:
            pool_kwargs["assert_hostname"] = pool_kwargs["server_hostname"] = host
        host_params["host"] = f"[{allowed}]" if allowed.version == 6 else str(allowed)
        return host_params, pool_kwargs


def _allowed_address(host: str, port: int) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The first address of `host` if it is in a network of OUTBOUND_ALLOW."""
    networks = settings.OUTBOUND_ALLOW
    if not networks:
        return None
    try:
        found = ipaddress.ip_address(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][4][0])
    except (OSError, ValueError, UnicodeError) as error:
        raise requests.exceptions.ConnectionError("The host is not known.") from error
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return found if any(found in network for network in networks) else None


_made: HTTPSession | None = None
_making = threading.Lock()


def _session() -> HTTPSession:
    """The session of the process: its connections are used again."""
    global _made  # noqa: PLW0603 - one for the process
    with _making:
        if _made is None:
            _made = _new_session()
        return _made


def _new_session() -> HTTPSession:
    config = Config(
        ip_filter_enable=True,
        ip_filter_allow_loopback_ips=False,
        never_redirect=True,
        default_timeout=(5.0, 5.0),
        user_agent_override="porta-futuri-cdp",
    )
    session = HTTPSession(config)
    session.trust_env = False
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.mount("http://", _Adapter(is_https_proto=False))
    session.mount("https://", _Adapter(is_https_proto=True))
    return session


def _seconds(text: str) -> float:
    """What Retry-After says, as seconds from now: a number or a date."""
    try:
        seconds = float(text) if text.strip().isdigit() else (to_us(parsedate_to_datetime(text)) - now_us()) / 1e6
    except (TypeError, ValueError):
        return 0.0
    return min(max(seconds, 0.0), _LONGEST_RETRY_AFTER)
