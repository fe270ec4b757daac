"""What a log line looks like, and what must never be in one."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

import pytest
from django.db import IntegrityError
from django.test import Client, RequestFactory

from cdp.access.keys import add_api_key
from cdp.pipeline.models import Counter
from config.log import JsonFormatter, NoValues, TextFormatter
from tests.live import ROOT, database_url, free_port, keyed_source
from tests.sending import message, send

EMAIL, PHONE, NAME = "secret.person@example.com", "+37061234567", "Quetzalcoatl"


@pytest.fixture
def written() -> Iterator[StringIO]:
    """Everything that is logged, as it would be written."""
    text = StringIO()
    handler = logging.StreamHandler(text)
    handler.addFilter(NoValues())
    handler.setFormatter(TextFormatter())
    logging.getLogger().addHandler(handler)
    level = logging.getLogger().level
    logging.getLogger().setLevel(logging.DEBUG)
    yield text
    logging.getLogger().setLevel(level)
    logging.getLogger().removeHandler(handler)


def _record(*, failed: bool = False) -> logging.LogRecord:
    info = None
    if failed:
        try:
            try:
                raise ValueError(EMAIL)
            except ValueError as cause:
                raise IntegrityError(f"Key (email)=({EMAIL}) exists") from cause
        except IntegrityError:
            info = sys.exc_info()
    return logging.LogRecord("cdp.test", logging.WARNING, __file__, 1, "number %d", (7,), info)


def test_json_is_one_object_a_line() -> None:
    line = json.loads(JsonFormatter().format(_record()))
    assert line.pop("time").endswith("Z")
    assert line == {"level": "WARNING", "logger": "cdp.test", "message": "number 7"}


@pytest.mark.parametrize("formatter", [JsonFormatter(), TextFormatter()])
def test_an_exception_is_its_type_and_place_without_its_text(formatter: logging.Formatter) -> None:
    text = formatter.format(_record(failed=True))
    assert "IntegrityError" in text
    assert "after ValueError" in text
    assert "test_log.py" in text
    assert EMAIL not in text


def test_the_path_of_a_request_is_not_written() -> None:
    request = RequestFactory().get(f"/api/{EMAIL}")
    record = logging.LogRecord("django.request", 40, "", 1, "%s: %s", ("Internal Server Error", request.path), None)
    record.request = request
    NoValues().filter(record)
    assert record.getMessage() == "Internal Server Error: (unknown route)"


def test_a_failing_task_does_not_quote_its_exception() -> None:
    record = _record(failed=True)
    record.name, record.msg, record.args = "celery.app.trace", "Task raised: %(exc)s", ({"exc": EMAIL},)
    record.args = record.args[0]
    NoValues().filter(record)
    assert record.getMessage() == "Task raised: IntegrityError"


@pytest.mark.django_db(transaction=True)
def test_no_personal_value_and_no_key_in_a_line(client: Client, written: StringIO) -> None:
    """Through processing and REST, with failures of both."""
    _, key = add_api_key("log", ["read", "write"])
    person = {"email": EMAIL, "phone": PHONE, "firstName": NAME}
    send(
        message("identify", userId=EMAIL, traits=person),
        message("identify", userId="u", traits={"email": EMAIL + "x" * 300, "firstName": {"deep": [NAME]}}),
        message("alias", userId=EMAIL, previousId=PHONE),
        message("group", userId=EMAIL, groupId=NAME, traits=person),
    )
    authorized = {"X-API-Key": key}
    asked = f"identityType=EMAIL&identityValue={EMAIL}"
    for path in (f"events/{EMAIL}/recent", f"customer360/{EMAIL}", f"identity/resolve?{asked}"):
        client.get(f"/api/v1/cdp/{path}", headers=authorized)
        client.get(f"/api/v1/cdp/{path}", headers={"X-API-Key": key + NAME})
    for body in ({"email": EMAIL, "traits": [NAME]}, {"query": PHONE}, {"email": {"a": EMAIL}}, [EMAIL], EMAIL):
        for path in ("profiles", "profiles/search", "events", "events/track", "profiles/merge"):
            client.post(f"/api/v1/cdp/{path}", json.dumps(body), content_type="application/json", headers=authorized)
    lines = written.getvalue()
    assert lines.count("cdp.request") == 31
    for secret in (EMAIL, "secret.person", PHONE, PHONE[1:], NAME, key):
        assert secret not in lines
    assert Counter.objects.filter(outcome="processed").exists()


def _answer(url: str, key: str, body: bytes) -> int:
    headers = {"Authorization": "Basic " + b64encode(f"{key}:".encode()).decode()}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data=body, headers=headers), timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


@contextmanager
def _web_process(log: Path) -> Iterator[str]:
    """The web process as `serve` starts it, with its log in a file."""
    port = free_port()
    environment = {**os.environ, "DATABASE_URL": database_url(), "PORT": str(port)}
    environment |= {"LOG_FORMAT": "json", "LOG_LEVEL": "DEBUG", "DJANGO_SETTINGS_MODULE": "config.settings"}
    with log.open("w") as out:
        process = subprocess.Popen([sys.executable, "-m", "config.web"], cwd=ROOT, env=environment, stderr=out)
        try:
            deadline = time.monotonic() + 60
            while "is running" not in log.read_text():
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            assert process.wait(30) in {0, -signal.SIGTERM}


@pytest.mark.django_db(transaction=True)
def test_none_from_the_door_either(tmp_path: Path) -> None:
    """A web process that is sent good, bad and hostile messages, with personal values in each."""
    _, key = keyed_source("door log")
    bodies = (
        json.dumps({"type": "identify", "userId": EMAIL, "traits": {"email": EMAIL}}).encode(),
        json.dumps({"type": NAME, "userId": EMAIL}).encode(),
        json.dumps({"userId": {"a": EMAIL}, "event": NAME}).encode(),
        b'{"userId": "' + EMAIL.encode() + b'", \xff',
        json.dumps({"batch": [{"type": "track", "event": NAME, "userId": PHONE}, NAME, {"userId": EMAIL}]}).encode(),
    )
    log = tmp_path / "log"
    statuses = set()
    with _web_process(log) as url:
        for path in ("/v1/identify", "/v1/batch", f"/v1/{EMAIL}", f"/v1/track?email={EMAIL}", f"/api/{EMAIL}"):
            for given in (key, key + NAME):
                statuses |= {_answer(url + path, given, body) for body in bodies}
    assert statuses == {200, 400, 401, 404}
    lines = log.read_text()
    assert "POST /^api/" in lines
    for secret in (EMAIL, "secret.person", PHONE, PHONE[1:], NAME, key):
        assert secret not in lines
