"""`manage.py setup`: the way from an empty folder to the first event."""

import os
import re
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from django.contrib.auth import authenticate
from django.core.management import call_command

from cdp.access.keys import api_key_of, source_of
from cdp.access.models import ApiKey, User, WriteKey
from cdp.profiles.models import Profile
from tests.installation import ROOT

pytestmark = pytest.mark.django_db(transaction=True, serialized_rollback=True)


def _setup(**options: int) -> str:
    out = StringIO()
    call_command("setup", stdout=out, **options)
    return out.getvalue()


def _printed(label: str, said: str) -> str:
    [value] = re.findall(rf"^{label} +(?:admin, password )?(\S+)", said, re.MULTILINE)
    return str(value)


def test_what_is_printed_works_and_is_printed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ADMIN_PASSWORD", raising=False)
    said = _setup()
    user = authenticate(username="admin", password=_printed("User", said))
    assert isinstance(user, User)
    assert user.is_superuser
    write_key, api_key = _printed("Write key", said), _printed("API key", said)
    source = source_of(write_key)
    assert source is not None
    assert (source.name, source.trusted) == ("My app", True)
    key = api_key_of(api_key)
    assert key is not None
    assert key.scopes == ["read", "write"]
    assert f"curl -u {write_key}: http://localhost:8000/v1/identify" in said
    assert f"curl -H 'X-API-Key: {api_key}'" in said
    assert _setup() == ""
    assert (User.objects.count(), WriteKey.objects.count(), ApiKey.objects.count()) == (1, 1, 1)


def test_a_given_password_is_used_and_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADMIN_PASSWORD", "correct horse battery")
    assert "correct horse battery" not in _setup()
    assert authenticate(username="admin", password="correct horse battery") is not None
    monkeypatch.setenv("ADMIN_PASSWORD", "another")
    _setup()
    assert authenticate(username="admin", password="correct horse battery") is not None


def test_demo_data_comes_once_and_never_between_real_people() -> None:
    _setup(demo=3)
    people = Profile.objects.count()
    assert people >= 3
    _setup(demo=50)
    assert Profile.objects.count() == people


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("DATABASE_URL", "mongo://x", "DATABASE_URL cannot be used"),
        ("DATABASE_URL", "postgres://nobody@127.0.0.1:1/x", "does not answer: is it running"),
        ("DATA_KEYS", "1:abc", "Write keys as 1:<base64 of 32 bytes>"),
        ("PORT", "many", "PORT='many' cannot be used: give a whole number"),
    ],
)
def test_wrong_settings_are_told_in_a_sentence(tmp_path: Path, variable: str, value: str, sentence: str) -> None:
    environment = {**os.environ, "DATA_DIR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "config.settings"}
    for name in ("DATABASE_URL", "REDIS_URL"):
        environment.pop(name, None)
    command = [sys.executable, "manage.py", "setup"]
    ended = subprocess.run(
        command, cwd=ROOT, env={**environment, variable: value}, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert sentence in ended.stderr
    assert "Traceback" not in ended.stderr
