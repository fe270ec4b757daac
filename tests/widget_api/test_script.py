"""The script as it is served: small, compressed, cached, and clean of what a strict policy forbids."""

import gzip
import re

import pytest
from django.test import Client

from tests.live import WebServer
from widget_api.script import SCRIPT

MAX_BYTES = 12 * 1024


def test_is_small_when_compressed():
    answer = Client().get("/widget/v1/widget.js", headers={"Accept-Encoding": "br, gzip"})
    assert answer.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(answer.content) == SCRIPT.read_bytes()
    assert len(answer.content) <= MAX_BYTES


def test_is_plain_for_who_wants_it_so():
    answer = Client().get("/widget/v1/widget.js")
    assert (answer.content, answer.headers.get("Content-Encoding")) == (SCRIPT.read_bytes(), None)
    assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert answer.headers["Cache-Control"] == "public, max-age=3600, stale-while-revalidate=86400"
    assert answer.headers["Vary"] == "Accept-Encoding"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_the_same_again_is_a_304(encoding):
    first = Client().get("/widget/v1/widget.js", headers={"Accept-Encoding": encoding})
    tag = first.headers["ETag"]
    again = Client().get("/widget/v1/widget.js", headers={"Accept-Encoding": encoding, "If-None-Match": f"W/{tag}"})
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag)
    other = Client().get("/widget/v1/widget.js", headers={"Accept-Encoding": encoding, "If-None-Match": '"other"'})
    assert other.status_code == 200


def test_only_reading():
    assert Client().post("/widget/v1/widget.js").status_code == 405


def test_makes_no_markup_and_no_code_from_text():
    source = SCRIPT.read_text()
    forbidden = (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|setAttribute\(\s*[\"']style"
    )
    assert re.findall(forbidden, source) == []
    assert re.findall(r"https?://(?!cdp\.example|www\.w3\.org/2000/svg)[\w.]+", source) == []


def test_the_web_process_serves_it(web: WebServer):
    """Through the server that runs in production: the door for ingestion leaves the address alone."""
    import requests

    answer = requests.get(f"{web.url}/widget/v1/widget.js", timeout=10)
    assert (answer.status_code, answer.content) == (200, SCRIPT.read_bytes())
