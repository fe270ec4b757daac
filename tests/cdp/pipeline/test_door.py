"""The ingestion door, request by request (WIRE.md)."""

import base64
import gzip
import json
import logging
import re
import time
from typing import Any

import pytest
from django.conf import settings as configured

from cdp.access.models import Source, WriteKey
from cdp.core.clock import DAY, iso, now_us
from cdp.events.models import Event
from cdp.pipeline.accept import accept
from cdp.pipeline.answers import GIF
from cdp.pipeline.message import HISTORICAL, PRIVACY_CONTROL, Envelope, digest_of, original, unseal
from cdp.pipeline.models import Counter
from cdp.pipeline.process import process_inbox
from tests.asgi import Caller, Response
from tests.live import keyed_source
from tests.sending import inbox, quarantine

CALLS = ("identify", "track", "page", "screen", "group", "alias")
GOOD = {"userId": "alice", "event": "Tested", "previousId": "b"}
DEEP = b'[{"a":' * 4000 + b"1" + b"}]" * 4000
MANY = b"{}," * 2500
TAKEN = {"success": True, "ok": 1, "rejected": []}


def basic(key: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{key}:".encode()).decode()}


def waiting() -> list[Envelope]:
    return [unseal(configured.KEYRING, row.body) for row in inbox().order_by("id")]


def messages() -> list[dict[str, Any]]:
    return [json.loads(bytes(envelope.message)) for envelope in waiting()]


def counts() -> dict[str, int]:
    return dict(Counter.objects.values_list("outcome", "count"))


def refusal(answer: Response) -> tuple[int, str]:
    """Status and code of an error, which must have the shape of all errors."""
    assert answer.json()["message"].endswith(".")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["content-type"] == "application/json"
    return answer.status, answer.json()["code"]


@pytest.mark.parametrize("path", [*CALLS, "i", "t", "p", "s", "g", "a", "track/"])
def test_each_call_has_an_endpoint_that_names_its_type(door: Caller, path: str):
    source, key = keyed_source()
    answer = door("POST", f"/v1/{path}", json.dumps(GOOD).encode(), headers=basic(key))
    assert (answer.status, answer.json()) == (200, TAKEN)
    call = next(name for name in CALLS if name[0] == path[0])
    assert messages() == [{"type": call, **GOOD}]
    row = inbox().get()
    assert (row.source_id, abs(row.received - now_us()) < DAY) == (source.id, True)


@pytest.mark.parametrize("said", [{"type": "track"}, {"type": "identify"}, {"type": ""}])
def test_the_endpoint_decides_about_the_type(door: Caller, said: dict[str, str]):
    _, key = keyed_source()
    assert door("POST", "/v1/track", json.dumps({**GOOD, **said}).encode(), headers=basic(key)).json() == TAKEN
    assert messages() == [{**GOOD, "type": "track"}]


@pytest.mark.parametrize("path", ["batch", "b", "import", "batch/"])
def test_a_batch_shares_context_and_integrations(door: Caller, path: str):
    _, key = keyed_source()
    items = [{"type": "track", "event": "A", "userId": n, "messageId": f"m{n}", "context": {"a": n}} for n in range(3)]
    shared = {"context": {"a": 9, "b": 1}, "integrations": {"All": False}, "sentAt": "2026-01-01T00:00:00Z"}
    answer = door("POST", f"/v1/{path}", json.dumps({"batch": items, **shared}).encode(), headers=basic(key))
    assert (answer.status, answer.json()) == (200, {"success": True, "ok": 3, "rejected": []})
    assert messages() == items
    context = {"a": 9, "b": 1}
    flags = HISTORICAL if path == "import" else 0
    assert {(e.sent_at, json.dumps(e.context), e.flags, json.dumps(e.integrations)) for e in waiting()} == {
        (shared["sentAt"], json.dumps(context), flags, '{"All": false}')
    }


@pytest.mark.parametrize("where", ["basic", "basic without colon", "bearer", "body", "wrong header, right body"])
@pytest.mark.parametrize("path", ["track", "batch"])
def test_where_the_key_may_stand(door: Caller, where: str, path: str):
    _, key = keyed_source()
    body: dict[str, Any] = dict(GOOD) if path == "track" else {"batch": [{"type": "track", **GOOD}]}
    headers = {
        "basic": basic(key),
        "basic without colon": {"Authorization": "basic " + base64.b64encode(key.encode()).decode().rstrip("=")},
        "bearer": {"Authorization": f"Bearer {key}"},
        "wrong header, right body": basic("nobody"),
    }.get(where, {})
    if "body" in where:
        body["writeKey"] = key
    assert door("POST", f"/v1/{path}", json.dumps(body).encode(), headers=headers).json() == TAKEN


@pytest.mark.parametrize("path", ["track", "batch"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        basic("nobody-has-this-key"),
        {"Authorization": "Bearer nobody-has-this-key"},
        {"Authorization": "Basic !!!"},
        {"Authorization": "Digest x"},
        {"Authorization": "Basic /w=="},
        {"Authorization": ""},
    ],
)
def test_a_bad_key_is_401_and_nothing_is_stored(door: Caller, path: str, headers: dict[str, str]):
    body = json.dumps({**GOOD, "batch": [GOOD]}).encode()
    assert refusal(door("POST", f"/v1/{path}", body, headers=headers)) == (401, "unauthorized")
    assert (inbox().count(), quarantine().count()) == (0, 0)


@pytest.mark.parametrize("how", ["revoked", "disabled"])
def test_a_key_that_no_longer_counts(door: Caller, how: str):
    source, key = keyed_source()
    if how == "revoked":
        WriteKey.objects.update(revoked_at="2026-01-01T00:00:00Z")
    else:
        Source.objects.filter(pk=source.id).update(enabled=False)
    assert refusal(door("POST", "/v1/t", json.dumps(GOOD).encode(), headers=basic(key))) == (401, "unauthorized")


def test_a_bad_key_is_logged_once_a_minute_and_never_in_clear(door: Caller, caplog: pytest.LogCaptureFixture):
    for _ in range(3):
        door("POST", "/v1/t", json.dumps(GOOD).encode(), headers=basic("SecretKeyOfSomebody"))
    lines = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert lines == ["A sender's data is being LOST: write key Secr… (19 characters) has no source."]


@pytest.mark.parametrize(
    "content_type", ["application/json", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
)
@pytest.mark.parametrize("zipped", [False, True])
def test_the_body_is_json_whatever_the_content_type_says(door: Caller, content_type: str, zipped: bool):
    _, key = keyed_source()
    body = json.dumps(GOOD).encode()
    headers = {**basic(key), "Content-Type": content_type, **({"Content-Encoding": "gzip"} if zipped else {})}
    assert door("POST", "/v1/t", gzip.compress(body) if zipped else body, headers=headers).json() == TAKEN
    assert messages() == [{"type": "track", **GOOD}]


def test_a_body_that_comes_in_parts_and_gzip_of_several_members(door: Caller):
    _, key = keyed_source()
    body = json.dumps(GOOD).encode()
    zipped = gzip.compress(body[:10]) + gzip.compress(body[10:])
    headers = {**basic(key), "Content-Encoding": "gzip"}
    assert door("POST", "/v1/t", [zipped[:5], b"", zipped[5:]], headers=headers).json() == TAKEN


@pytest.mark.parametrize(
    ("path", "body", "encoding", "status", "code"),
    [
        ("t", b"", "", 400, "bad_json"),
        ("t", b"{", "", 400, "bad_json"),
        ("t", b"not json", "", 400, "bad_json"),
        ("t", b'{"userId":"\xff","event":"e"}', "", 400, "not_utf8"),
        ("t", b"[]", "", 400, "wrong_type"),
        ("t", b"null", "", 400, "wrong_type"),
        ("t", b'{"userId":"a","event":"' + b"e" * 32_768 + b'"}', "", 413, "too_large"),
        ("t", gzip.compress(b" " * 40_000), "gzip", 413, "too_large"),
        ("t", gzip.compress(b"{}")[:-9], "gzip", 400, "bad_gzip"),
        ("t", b"{}", "gzip", 400, "bad_gzip"),
        ("t", b"{}", "br", 400, "unsupported_encoding"),
        ("b", b"", "", 400, "bad_json"),
        ("b", b"{", "", 400, "bad_json"),
        ("b", b"[]", "", 400, "bad_body"),
        ("b", b"{}", "", 400, "bad_body"),
        ("b", b'{"batch":{}}', "", 400, "bad_body"),
        ("b", b'{"batch":null}', "", 400, "bad_body"),
        ("b", b'{"batch":[],"context":"x"}', "", 400, "bad_context"),
        ("b", b'{"batch":[],"context":{"a":"\\u0000"}}', "", 400, "bad_context"),
        ("b", b'{"batch":[],"context":{"a":"\xff"}}', "", 400, "bad_context"),
        ("b", b'{"batch":[],"integrations":[]}', "", 400, "bad_integrations"),
        ("b", b'{"batch":[],"context":{"a":"' + b"x" * 33_000 + b'"}}', "", 413, "context_too_large"),
        (
            "b",
            b'{"context":{"a":"' + b"x" * 9_000 + b'"},"batch":[' + MANY[:6000] + b"{}]}",
            "",
            413,
            "context_too_large",
        ),
        ("b", b'{"batch":[' + MANY + b"{}]}", "", 400, "too_many_messages"),
        ("b", b'{"batch":[], "x":"' + b"x" * 512_000 + b'"}', "", 400, "batch_too_large"),
        ("b", gzip.compress(b" " * 50_000_000), "gzip", 400, "batch_too_large"),
        ("b", b'{"batch":[],"context":{"a":' + b"[" * 5000 + b"]" * 5000 + b"}}", "", 400, "too_deep"),
        ("b", b"[" * 100_000, "", 400, "bad_body"),
        ("b", b'{"batch":[' * 20_000, "", 400, "too_deep"),
    ],
)
def test_a_request_that_cannot_be_used(door: Caller, path: str, body: bytes, encoding: str, status: int, code: str):
    _, key = keyed_source()
    headers = {**basic(key), **({"Content-Encoding": encoding} if encoding else {})}
    assert refusal(door("POST", f"/v1/{path}", body, headers=headers)) == (status, code)
    assert (inbox().count(), quarantine().count()) == (0, 0)


@pytest.mark.parametrize("announced", [True, False])
def test_too_large_a_body_is_refused_before_it_is_read_whole(door: Caller, announced: bool):
    _, key = keyed_source()
    headers = {**basic(key), **({"Content-Length": "900000000"} if announced else {})}
    assert refusal(door("POST", "/v1/b", [b" " * 300_000] * 3, headers=headers)) == (400, "batch_too_large")


def test_a_client_that_leaves_gets_no_answer_and_no_event(door: Caller):
    _, key = keyed_source()
    sent: list[object] = []

    async def receive() -> dict[str, Any]:
        return events.pop(0)

    async def send(event: object) -> None:
        sent.append(event)

    events: list[dict[str, Any]] = [
        {"type": "http.request", "body": json.dumps(GOOD).encode(), "more_body": True},
        {"type": "http.disconnect"},
    ]
    headers = [(name.lower().encode(), value.encode()) for name, value in basic(key).items()]
    scope = {"path": "/v1/t", "method": "POST", "query_string": b"", "headers": headers, "client": None}
    door.runner.run(door.app(scope, receive, send))
    assert (sent, inbox().count()) == ([], 0)


def test_a_mixed_batch_keeps_every_good_neighbour(door: Caller):
    source, key = keyed_source()
    good = [
        json.dumps({"type": "track", "event": "E", "userId": f"u{n}", "messageId": f"g{n}"}).encode() for n in range(8)
    ]
    bad = [
        (b'{"type":"track","userId":"a","messageId":"b0"}', "b0", "missing_event"),
        (b'{"type":"track","event":"E","messageId":"b1"}', "b1", "missing_id"),
        (b'"text"', None, "wrong_type"),
        (b'{"type":"nope","userId":"a","messageId":7}', "7", "unknown_type"),
        (b'{"type":"track","userId":"a","x":"\xff","messageId":"b4"}', "b4", "not_utf8"),
        (
            b'{"type":"track","userId":"a","messageId":"b5","x":' + b'[{"a":' * 4000 + b"1" + b"}]" * 4000 + b"}",
            "b5",
            "too_deep",
        ),
        (b'{"type":"track","userId":"a","messageId":"b6","x":"\\u0000"}', "b6", "nul_character"),
        (b'{"type":"track","userId":"a","messageId":"b7","x":"' + b"x" * 33_000 + b'"}', "b7", "too_large"),
    ]
    items = [item for pair in zip(good, [raw for raw, _, _ in bad], strict=True) for item in pair]
    answer = door("POST", "/v1/batch", b'{"batch":[' + b",".join(items) + b"]}", headers=basic(key))
    assert answer.status == 200
    assert (answer.json()["success"], answer.json()["ok"]) == (True, 8)
    rejected = answer.json()["rejected"]
    assert [(r["index"], r["code"]) for r in rejected] == [(2 * n + 1, code) for n, (_, _, code) in enumerate(bad)]
    assert [r["messageId"] for r, b in zip(rejected, bad, strict=True) if b[1]] == [b[1] for b in bad if b[1]]
    assert [bytes(envelope.message) for envelope in waiting()] == good
    rows = {bytes(row.digest): row for row in quarantine()}
    for (raw, _, code), said in zip(bad, rejected, strict=True):
        row = rows[digest_of(source.id, said["messageId"])]
        assert (original(unseal(configured.KEYRING, row.body)), row.code, row.reason) == (raw, code, said["message"])
    assert counts() == {f"rejected:{code}": 1 for _, _, code in bad}
    process_inbox()
    assert counts() == {"accepted": 8, "processed": 8, **{f"rejected:{code}": 1 for _, _, code in bad}}


def test_one_unusable_message_is_200_and_in_quarantine(door: Caller):
    _, key = keyed_source()
    answer = door("POST", "/v1/track", b'{"userId":"a","messageId":"m1"}', headers=basic(key))
    reason = "A track call needs the name of its `event`."
    rejected = [{"index": 0, "messageId": "m1", "code": "missing_event", "message": reason}]
    assert (answer.status, answer.json()) == (200, {"success": True, "ok": 0, "rejected": rejected})
    assert quarantine().get().reason == reason


@pytest.mark.parametrize("path", ["/v1/track", "/v1/pixel/track", "/v1/nope"])
def test_every_answer_has_the_id_of_its_request(door: Caller, path: str):
    made = [door("POST", path, b"{}").headers["x-request-id"] for _ in range(2)]
    assert [re.fullmatch("[0-9a-f]{32}", one) is not None for one in made] == [True, True]
    assert made[0] != made[1]
    assert door("POST", path, b"{}", headers={"X-Request-ID": "trace-7.B_1"}).headers["x-request-id"] == "trace-7.B_1"
    assert re.fullmatch("[0-9a-f]{32}", door("POST", path, headers={"X-Request-ID": "a@b"}).headers["x-request-id"])


def test_an_empty_batch(door: Caller):
    _, key = keyed_source()
    answer = door("POST", "/v1/batch", b'{"batch":[]}', headers=basic(key))
    assert (answer.status, answer.json()) == (200, {"success": True, "ok": 0, "rejected": []})


def test_a_repeat_is_answered_200_and_counts_as_one_event(door: Caller):
    _, key = keyed_source()
    item = json.dumps({"type": "track", "event": "E", "userId": "a", "messageId": "m"})
    other = json.dumps({"type": "track", "event": "E", "userId": "a", "timestamp": "2026-01-01"})
    for body in (f'{{"batch":[{item},{item},{other}]}}', f'{{"batch":[{other},{item}]}}'):
        answer = door("POST", "/v1/batch", body.encode(), headers=basic(key))
        assert (answer.status, answer.json()["ok"]) == (200, body.count("event"))
    assert door("POST", "/v1/track", item.encode(), headers=basic(key)).json() == TAKEN
    process_inbox()
    assert Event.objects.count() == 2
    assert counts() == {"accepted": 2, "duplicate": 4, "processed": 2}


def test_accept_and_the_door_store_the_same(door: Caller):
    source, key = keyed_source()
    items = [b'{"type":"track","event":"E","userId":"a","messageId":"m%d"}' % n for n in range(5)] + [b"7", b"{}"]
    door("POST", "/v1/batch", b'{"sentAt":1,"batch":[' + b",".join(items) + b"]}", headers=basic(key), client="")
    by_door = stored()
    assert set(inbox().values_list("claimed", flat=True)) == {False}
    inbox().delete()
    quarantine().delete()
    other, _ = keyed_source("other")
    accept(items, source=other, received=now_us(), sent_at=1)
    by_accept = stored()
    assert set(inbox().values_list("claimed", flat=True)) == {True}
    assert [row[1:] for row in by_accept[0]] == [row[1:] for row in by_door[0]]
    assert {row[1:] for row in by_accept[1]} == {row[1:] for row in by_door[1]}
    assert [row[0] for row in by_door[0]] == [digest_of(source.id, f"m{n}") for n in range(5)]


def stored() -> tuple[list[Any], set[Any]]:
    rows = [(bytes(r.digest), configured.KEYRING.decrypt("message", r.body)) for r in inbox().order_by("id")]
    bad = {
        (bytes(r.digest), configured.KEYRING.decrypt("message", r.body), r.code, r.reason, r.stage, r.status)
        for r in quarantine()
    }
    return rows, bad


@pytest.mark.parametrize(
    ("client", "full", "ip"),
    [
        ("203.0.113.77", False, "203.0.113.0"),
        ("203.0.113.77", True, "203.0.113.77"),
        ("2001:db8:1:2:3::9", False, "2001:db8:1::"),
        ("::ffff:203.0.113.77", False, "203.0.113.0"),
    ],
)
def test_address_and_agent_go_beside_the_message(door: Caller, settings: Any, client: str, full: bool, ip: str):
    settings.KEEP_FULL_IP = full
    _, key = keyed_source(kind="browser")
    headers = {**basic(key), "User-Agent": "Browser/1", "Sec-GPC": "1"}
    door("POST", "/v1/t", json.dumps(GOOD).encode(), headers=headers, client=client)
    assert [(e.context, e.flags) for e in waiting()] == [({"ip": ip, "userAgent": "Browser/1"}, PRIVACY_CONTROL)]


@pytest.mark.parametrize(
    ("peer", "said", "ip"),
    [
        ("10.0.0.1", "198.51.100.7", "198.51.100.0"),
        ("10.0.0.1", "1.2.3.4, 198.51.100.7, 10.0.0.9", "198.51.100.0"),
        ("10.0.0.1", "nonsense", "10.0.0.0"),
        ("10.0.0.1", "", "10.0.0.0"),
        ("192.0.2.1", "198.51.100.7", "192.0.2.0"),
    ],
)
def test_only_a_trusted_proxy_may_name_the_client(door: Caller, settings: Any, peer: str, said: str, ip: str):
    settings.TRUSTED_PROXIES = ["10.0.0.0/8"]
    _, key = keyed_source(kind="browser")
    headers = [*basic(key).items(), ("X-Forwarded-For", said)]
    door("POST", "/v1/t", json.dumps(GOOD).encode(), headers=headers, client=peer)
    assert [e.context for e in waiting()] == [{"ip": ip}]


def test_the_address_of_a_server_is_nobodys(door: Caller):
    _, key = keyed_source()
    headers = {**basic(key), "User-Agent": "requests/2"}
    door("POST", "/v1/t", json.dumps(GOOD).encode(), headers=headers)
    door(
        "POST", "/v1/b", json.dumps({"batch": [{"type": "track", **GOOD, "messageId": "2"}]}).encode(), headers=headers
    )
    assert not any(e.context for e in waiting())


def test_the_batch_says_its_own_address(door: Caller):
    _, key = keyed_source(kind="browser")
    body = {"batch": [{"type": "track", **GOOD}], "context": {"ip": "1.1.1.1"}}
    door("POST", "/v1/b", json.dumps(body).encode(), headers={**basic(key), "User-Agent": "x"})
    assert [e.context for e in waiting()] == [{"ip": "1.1.1.1", "userAgent": "x"}]


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://shop.example", 200),
        ("https://www.shop.example", 200),
        ("https://a.b.shop.example", 200),
        ("https://shop.example.evil.test", 403),
        ("https://evilshop.example", 403),
        ("http://www.shop.example", 403),
        ("null", 403),
        (None, 200),
    ],
)
def test_the_origins_of_a_browser_source(door: Caller, origin: str | None, status: int):
    allowed = ["https://shop.example", "https://*.shop.example"]
    _, key = keyed_source(kind=Source.Kind.BROWSER, allowed_origins=allowed)
    headers = {**basic(key), **({"Origin": origin} if origin else {})}
    answer = door("POST", "/v1/t", json.dumps(GOOD).encode(), headers=headers)
    assert answer.status == status
    assert answer.headers["access-control-allow-origin"] == (origin or "*")
    assert inbox().count() == (status == 200)


def test_a_browser_source_imports_nothing_and_sends_nothing_old(door: Caller):
    _, key = keyed_source(kind=Source.Kind.BROWSER)
    old = {"type": "track", **GOOD, "timestamp": iso(now_us() - 8 * DAY)}
    body = json.dumps({"batch": [old]}).encode()
    assert refusal(door("POST", "/v1/import", body, headers=basic(key))) == (403, "import_not_allowed")
    answer = door("POST", "/v1/batch", body, headers=basic(key))
    assert [rejected["code"] for rejected in answer.json()["rejected"]] == ["timestamp_too_old"]


def test_the_rate_limit_is_per_key_and_address(door: Caller):
    _, key = keyed_source(rate_limit=3)
    _, other = keyed_source("other", rate_limit=3)

    def post(key: str, client: str) -> int:
        answer = door("POST", "/v1/t", json.dumps(GOOD).encode(), headers=basic(key), client=client)
        if answer.status == 429:
            assert refusal(answer) == (429, "rate_limited")
            assert 1 <= int(answer.headers["retry-after"]) <= 20
        return answer.status

    assert [post(key, "192.0.2.1") for _ in range(4)] == [200, 200, 200, 429]
    assert [post(key, "192.0.2.2"), post(other, "192.0.2.1")] == [200, 200]
    assert [post(key, f"2001:db8:0:1::{n}") for n in range(4)] == [200, 200, 200, 429]
    assert post(key, "2001:db8:0:2::1") == 200


@pytest.mark.parametrize("path", ["/v1/batch", "/v1/t", "/v1/projects/x/settings", "/sourceConfig/", "/v1/pixel/track"])
def test_preflight(door: Caller, path: str):
    answer = door("OPTIONS", path, headers={"Origin": "https://a.example"})
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == "https://a.example"
    assert int(answer.headers["access-control-max-age"]) >= 86400
    allowed = {name.strip() for name in answer.headers["access-control-allow-headers"].split(",")}
    assert allowed >= {
        *("authorization", "content-type", "anonymousid", "sentat", "x-retry-count"),
        *("rsa-recovered", "rsa-retry-attempt", "rsa-since-last-attempt"),
    }


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH"])
def test_other_methods_are_405(door: Caller, method: str):
    answer = door(method, "/v1/batch")
    assert refusal(answer) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "POST, OPTIONS"


@pytest.mark.parametrize("method", ["POST", "HEAD"])
@pytest.mark.parametrize("path", ["/v1/pixel/track", "/v1/projects/x/settings", "/sourceConfig/"])
def test_what_is_read_is_not_written(door: Caller, method: str, path: str):
    assert refusal(door(method, path)) == (405, "method_not_allowed")


@pytest.mark.parametrize("path", ["/v1/", "/v1/nope", "/v1/pixel/batch", "/v1/projects/x", "/v1/batch/x", "/v1/%00"])
def test_unknown_paths_are_404(door: Caller, path: str):
    for method in ("GET", "POST", "OPTIONS"):
        assert refusal(door(method, path)) == (404, "unknown_path")


@pytest.mark.parametrize("call", CALLS)
def test_the_pixel(door: Caller, call: str):
    _, key = keyed_source()
    data = base64.urlsafe_b64encode(json.dumps({**GOOD, "writeKey": key, "n": "ÿ?>"}).encode()).decode().rstrip("=")
    answer = door("GET", f"/v1/pixel/{call}?data={data}")
    assert (answer.status, answer.headers["content-type"], answer.body) == (200, "image/gif", GIF)
    assert [(m["type"], m["userId"]) for m in messages()] == [(call, "alice")]


@pytest.mark.parametrize("data", ["", "!", "bm8", "AAAA%00", "e30x"])
def test_a_bad_pixel(door: Caller, data: str):
    _, key = keyed_source()
    answer = door("GET", f"/v1/pixel/track?data={data}&writeKey={key}")
    assert answer.status == 400
    assert answer.json()["code"] in {"bad_data", "bad_json", "not_utf8"}


def test_settings_for_the_browser_sdks(door: Caller):
    source, key = keyed_source()
    plan = {call: {"__default": {"enabled": True}} for call in ("track", "identify", "group")}
    expected = {"integrations": {"Segment.io": {"apiKey": key}}, "plan": plan}
    assert door("GET", f"/v1/projects/{key}/settings").json() == expected
    assert refusal(door("GET", "/v1/projects/nobody/settings")) == (401, "unauthorized")
    for path in ("/sourceConfig/", "/sourceConfig"):
        described = door("GET", f"{path}?writeKey={key}&p=npm&v=3").json()["source"]
        assert (described["id"], described["writeKey"], described["destinations"]) == (str(source.id), key, [])
        assert described["config"]["statsCollection"]["errors"] == {"enabled": False}
    assert door("GET", "/sourceConfig/", headers=basic(key)).status == 200
    assert refusal(door("GET", "/sourceConfig/?writeKey=nobody")) == (401, "unauthorized")


def test_too_many_that_wait_are_503_until_they_are_processed(door: Caller, settings: Any):
    _, key = keyed_source()
    settings.MAX_BACKLOG = 2

    def post_until(status: int) -> Response:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            answer = door("POST", "/v1/t", json.dumps(GOOD).encode(), headers=basic(key))
            if answer.status == status:
                return answer
            door.app.made._commits._look_at = 0.0  # look again at once and not in five seconds
        raise TimeoutError

    post_until(200)
    assert refusal(post_until(503)) == (503, "backlog")
    assert inbox().count() > 2
    inbox().delete()
    assert post_until(200).json() == TAKEN
