"""The API behind the real web process: keys, bodies and errors arrive as they are."""

import json
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from cdp.access.keys import add_api_key
from tests.live import WebServer


def call(web: WebServer, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, object]:
    sent = {"Content-Type": "application/json", **{name.replace("_", "-"): value for name, value in headers.items()}}
    try:
        with urlopen(Request(web.url + path, body, sent, method=method), timeout=20) as answer:
            return answer.status, json.loads(answer.read() or b"null")
    except HTTPError as error:
        return error.code, json.loads(error.read())


def test_a_profile_by_http(web):
    _, key = add_api_key("live-rest", ["write", "read"])
    status, made = call(web, "POST", "/api/v1/cdp/profiles/", b'{"user_id": "ada"}', Authorization=f"Bearer {key}")
    assert (status, made["externalIds"]) == (201, {"customerId": "ada"})
    assert call(web, "GET", f"/api/cdp/profiles/{made['id']}", X_API_Key=key) == (200, made)
    status, error = call(web, "POST", "/api/v1/cdp/profiles", b"{", X_API_Key=key)
    assert (status, error["code"]) == (400, "bad_json")
    assert call(web, "DELETE", "/api/nothing", X_API_Key=key)[1]["code"] == "not_found"
    assert call(web, "GET", "/api/v1/cdp/profiles")[0] == 401
    big = b'{"firstName": "%b"}' % (b"x" * 5_000_000)
    assert call(web, "POST", "/api/v1/cdp/profiles", big, X_API_Key=key)[0] == 413
