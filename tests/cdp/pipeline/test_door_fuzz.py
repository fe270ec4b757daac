"""Whatever is sent: never a 5xx, always an answer in the contract's shape, and never a lost neighbour."""

import base64
import gzip
from typing import Any
from urllib.parse import quote_from_bytes

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdp.access.models import Source
from cdp.pipeline.check import checked
from cdp.pipeline.message import CALLS
from tests.asgi import Caller, Response
from tests.live import keyed_source
from tests.sending import inbox, quarantine

RUN = settings(deadline=None, max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    st.sampled_from(["", " ", "\0", "a\0b", "null", "x" * 101, "2026-01-01", "1e999", "\\u0000", "é\U0001f600"]),
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner))
FIELDS = (
    *("type", "messageId", "userId", "anonymousId", "profileId", "previousId", "groupId", "event", "name", "category"),
    *("timestamp", "originalTimestamp", "sentAt", "properties", "traits", "context", "integrations", "writeKey"),
)
MESSAGES = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(FIELDS, VALUES),
        "type": st.sampled_from([*CALLS, "nope", "", 7]),
        "userId": st.sampled_from(["alice", 7, 1.5, "", None]),
        "event": st.sampled_from(["E", "", None, 4, "e" * 201]),
    },
)
RAW = st.one_of(
    MESSAGES.map(msgspec.json.encode),
    VALUES.map(msgspec.json.encode),
    st.integers(1, 3000).map(lambda n: b'{"userId":"a","p":' + b"[" * n + b"]" * n + b"}"),
)
NOISE = st.binary(max_size=400) | st.tuples(RAW, st.binary(max_size=3), st.integers(0, 60)).map(
    lambda parts: parts[0][: parts[2]] + parts[1] + parts[0][parts[2] :]
)
PATHS = st.sampled_from([*CALLS, *"itpsgab", "batch", "import"])
ENCODINGS = st.sampled_from(["", "gzip", "br", "GZIP"])


def in_shape(answer: Response) -> Any:
    """The answer's JSON, after checking that it is in the contract's shape."""
    said = answer.json()
    assert answer.status in {200, 400, 401, 403, 404, 405, 413}
    assert "access-control-allow-origin" in answer.headers
    if answer.status == 200:
        assert set(said) == {"success", "ok", "rejected"}
        assert said["success"] is True
        assert all(set(one) == {"index", "messageId", "code", "message"} for one in said["rejected"])
    else:
        assert said["code"]
        assert said["message"].endswith(".")
    return said


@RUN
@given(path=PATHS, body=NOISE | RAW, encoding=ENCODINGS, zipped=st.booleans(), trusted=st.booleans())
def test_any_bytes(door: Caller, path: str, body: bytes, encoding: str, zipped: bool, trusted: bool):
    key = key_of(trusted)
    headers = {"Authorization": f"Bearer {key}", "Content-Encoding": encoding}
    in_shape(door("POST", f"/v1/{path}", gzip.compress(body) if zipped else body, headers=headers))


@RUN
@given(items=st.lists(RAW, max_size=8), context=VALUES, sent_at=SCALARS, integrations=VALUES)
def test_any_batch_of_json(door: Caller, items: list[bytes], context: Any, sent_at: Any, integrations: Any):
    key = key_of(True)
    source = known["server"][0]
    shared = msgspec.json.encode({"context": context, "sentAt": sent_at, "integrations": integrations})
    body = b'{"batch":[' + b",".join(items) + b"]," + shared[1:]
    before = inbox().count(), quarantine().count()
    answer = door("POST", "/v1/batch", body, headers={"Authorization": f"Bearer {key}"})
    said = in_shape(answer)
    if answer.status != 200:
        assert said["code"] in {"bad_context", "bad_integrations", "too_deep"}
        assert (inbox().count(), quarantine().count()) == before
        return
    found = [checked(raw, source=source, received=10**15, max_bytes=32_768, sent_at=sent_at) for raw in items]
    assert [one["code"] for one in said["rejected"]] == [one.code for one in found if one.code]
    assert said["ok"] == sum(not one.code for one in found)


@RUN
@given(call=st.sampled_from([*CALLS]), data=st.binary(max_size=200) | RAW.map(base64.urlsafe_b64encode))
def test_any_pixel(door: Caller, call: str, data: bytes):
    answer = door("GET", f"/v1/pixel/{call}?data={quote_from_bytes(data)}&writeKey={key_of(True)}")
    if answer.headers["content-type"] != "image/gif":
        assert in_shape(answer)["code"] != ""
    else:
        assert answer.status == 200


@RUN
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "HEAD", "OPTIONS", "X"]),
    path=st.text(st.characters(codec="utf-8", exclude_characters="?#%"), max_size=30),
    headers=st.dictionaries(
        st.sampled_from(["authorization", "origin", "content-length", "x-forwarded-for", "user-agent", "sec-gpc"]),
        st.text(st.characters(max_codepoint=255), max_size=60)
        | st.binary(max_size=40).map(lambda raw: "Basic " + base64.b64encode(raw).decode()),
    ),
)
def test_any_request(door: Caller, method: str, path: str, headers: dict[str, str]):
    for one in (f"/v1/{path}", "/v1/track", f"/v1/projects/{path}/settings", "/sourceConfig/"):
        answer = door(method, one, b'{"userId":"a","event":"e"}', headers=headers)
        assert answer.status == 204 or in_shape(answer)


known: dict[str, Any] = {}


def key_of(trusted: bool) -> str:
    """The write key of a source of that kind, made when there is none in this test."""
    name = "server" if trusted else "browser"
    if not Source.objects.filter(name=name).exists():
        known[name] = keyed_source(name, kind=Source.Kind.SERVER if trusted else Source.Kind.BROWSER)
    return str(known[name][1])
