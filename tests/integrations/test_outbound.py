"""Requests to addresses that somebody typed: what they can reach, and how long they take."""

import gzip
import ipaddress
import socket
import threading
import time
from typing import Any

import pytest
import requests
import responses

from integrations.outbound import AT_ONCE, get
from integrations.provider import FetchFailed
from tests.integrations.upstream import Upstream, row, wait_for

HOSTILE = [
    "http://127.0.0.1:8000/",
    "https://127.0.0.1/",
    "https://localhost/",
    "https://[::1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://10.0.0.1/",
    "https://172.16.0.1/",
    "https://192.168.1.1/",
    "https://169.254.169.254/latest/meta-data/",
    "https://[fe80::1]/",
    "https://[fd00::1]/",
    "https://0.0.0.0/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://100.64.0.1/",
    "https://[64:ff9b::7f00:1]/",
]


def ask(url: str, *, seconds: float = 2.0, max_bytes: int = 1_000_000) -> Any:
    return get(url, headers={"Authorization": "Bearer x"}, seconds=seconds, max_bytes=max_bytes)


def outcome(url: str, **options: Any) -> str:
    try:
        return str(ask(url, **options).status)
    except FetchFailed as failure:
        return failure.reason


class TestReach:
    @pytest.mark.parametrize("url", HOSTILE)
    def test_no_private_network(self, url: str, settings: Any):
        settings.OUTBOUND_ALLOW = ()
        assert outcome(url) == "unreachable"

    @pytest.mark.parametrize("url", HOSTILE[5:])
    def test_what_is_allowed_opens_nothing_else(self, url: str, settings: Any):
        settings.OUTBOUND_ALLOW = (ipaddress.ip_network("127.0.0.0/8"),)
        if "2130706433" not in url and "7f00" not in url:
            assert outcome(url) == "unreachable"

    def test_what_the_operator_allows(self, upstream: Upstream, settings: Any):
        upstream.fault = "404"
        assert outcome(f"{upstream.url}/x") == "404"
        assert outcome(f"{upstream.url.replace('127.0.0.1', 'localhost')}/x") == "404"
        assert upstream.requests[1][2]["Host"] == f"localhost:{upstream.port}"
        settings.OUTBOUND_ALLOW = (ipaddress.ip_network("10.0.0.0/8"),)
        assert outcome(f"{upstream.url}/x") == "unreachable"
        assert len(upstream.requests) == 2

    def test_public_addresses_need_tls(self, settings: Any):
        settings.OUTBOUND_ALLOW = ()
        assert outcome("http://93.184.215.14/") == "unreachable"

    def test_no_redirect_is_followed(self, upstream: Upstream):
        upstream.fault = "redirect_to_itself"
        assert outcome(f"{upstream.url}/x") == "307"
        assert len(upstream.requests) == 1

    def test_neither_proxies_nor_netrc_of_the_machine(
        self, upstream: Upstream, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
    ):
        netrc = tmp_path / "netrc"
        netrc.write_text("machine 127.0.0.1 login a password b\n")
        monkeypatch.setenv("NETRC", str(netrc))
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
        upstream.fault = "404"
        assert outcome(f"{upstream.url}/x") == "404"
        assert upstream.requests[0][2]["Authorization"] == "Bearer x"

    def test_a_host_that_nobody_knows(self, upstream: Upstream):
        assert outcome("https://does-not-exist.invalid/") == "unreachable"


class TestTime:
    @pytest.mark.parametrize("fault", ["slow", "drip_body", "drip_headers"])
    def test_is_a_limit_for_everything_together(self, fault: str, upstream: Upstream):
        upstream.fault = fault
        start = time.monotonic()
        assert outcome(f"{upstream.url}/x", seconds=0.3) == "timeout"
        assert 0.25 < time.monotonic() - start < 1.0
        # The thread that asked ends too, although the server goes on.
        wait_for(lambda: not [t for t in threading.enumerate() if t.name == "outbound"], within=5)

    def test_includes_finding_the_host(self, upstream: Upstream, monkeypatch: pytest.MonkeyPatch):
        released = threading.Event()

        def find(*_: Any, **__: Any) -> Any:
            released.wait(10)
            raise socket.gaierror

        monkeypatch.setattr("socket.getaddrinfo", find)
        start = time.monotonic()
        assert outcome(f"{upstream.url}/x", seconds=0.3) == "timeout"
        assert time.monotonic() - start < 1.0
        released.set()
        wait_for(lambda: not [t for t in threading.enumerate() if t.name == "outbound"])

    def test_threads_are_bounded(self, upstream: Upstream):
        upstream.fault = "slow"
        url = f"{upstream.url}/x"
        threads = [threading.Thread(target=outcome, args=(url,), kwargs={"seconds": 25.0}) for _ in range(AT_ONCE)]
        for thread in threads:
            thread.start()
        wait_for(lambda: len([t for t in threading.enumerate() if t.name == "outbound"]) == AT_ONCE, within=20)
        begin = time.monotonic()
        assert outcome(url, seconds=25.0) == "unreachable"
        assert time.monotonic() - begin < 5
        upstream.stopped.set()
        for thread in threads:
            thread.join()
        wait_for(lambda: not [t for t in threading.enumerate() if t.name == "outbound"])


class TestRepeating:
    def test_a_502_is_asked_again_once(self, upstream: Upstream):
        upstream.fault = "once"
        upstream.people["C1"] = row("C1")
        assert outcome(f"{upstream.url}/x?userId=C1") == "401"
        assert len(upstream.requests) == 2

    @pytest.mark.parametrize(
        ("fault", "calls"), [("503", 2), ("closes", 2), ("500", 1), ("401", 1), ("429", 1), ("slow", 1), ("404", 1)]
    )
    def test_only_where_it_can_help(self, fault: str, calls: int, upstream: Upstream):
        upstream.fault = fault
        outcome(f"{upstream.url}/x", seconds=1.0)
        assert len(upstream.requests) == calls


class TestSize:
    def test_is_bounded(self, upstream: Upstream):
        upstream.fault = "huge"
        assert outcome(f"{upstream.url}/x", max_bytes=1000) == "bad_answer"

    @responses.activate
    def test_is_bounded_after_inflating(self):
        bomb = gzip.compress(b"x" * 10_000_000)
        responses.get("https://cdp.example/", body=bomb, headers={"Content-Encoding": "gzip"})
        assert outcome("https://cdp.example/", max_bytes=100_000) == "bad_answer"


class TestFailures:
    @responses.activate
    @pytest.mark.parametrize(
        ("error", "reason"),
        [
            (requests.exceptions.ConnectTimeout("userId=secret"), "timeout"),
            (requests.exceptions.ReadTimeout("userId=secret"), "timeout"),
            (requests.exceptions.SSLError("userId=secret"), "unreachable"),
            (requests.exceptions.ConnectionError("userId=secret"), "unreachable"),
            (requests.exceptions.InvalidURL("userId=secret"), "unreachable"),
            (requests.exceptions.ChunkedEncodingError("userId=secret"), "bad_answer"),
            (requests.exceptions.ContentDecodingError("userId=secret"), "bad_answer"),
        ],
    )
    def test_have_a_code_and_never_the_text_of_the_library(self, error: Exception, reason: str):
        responses.get("https://cdp.example/", body=error)
        with pytest.raises(FetchFailed) as caught:
            ask("https://cdp.example/")
        assert caught.value.reason == reason
        assert "secret" not in f"{caught.value} {caught.value.message}"

    @responses.activate
    @pytest.mark.parametrize(
        ("said", "seconds"),
        [("12", 12.0), ("0", 0.0), ("-5", 0.0), ("99999999", 3600.0), ("soon", 0.0), ("", 0.0),
         ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0)],
    )  # fmt: skip
    def test_retry_after(self, said: str, seconds: float):
        responses.get("https://cdp.example/", status=429, headers={"Retry-After": said})
        assert ask("https://cdp.example/").retry_after == seconds
