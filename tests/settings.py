"""The settings of the tests: a data folder of their own; the store by TEST_STORE (sqlite or postgres)."""

import os
import tempfile
from pathlib import Path

STORE = os.environ.get("TEST_STORE", "sqlite")
_FOLDER = Path(tempfile.mkdtemp(prefix="cdp-tests-"))
(_FOLDER / "static").mkdir()
os.environ["DATA_DIR"] = str(_FOLDER)
for _name in ("DATABASE_URL", "REDIS_URL", "DATA_KEYS", "SECRET_KEY"):
    os.environ.pop(_name, None)
if STORE == "postgres":
    os.environ["DATABASE_URL"] = os.environ.get("TEST_DATABASE_URL", "postgres://postgres@127.0.0.1:5432/postgres")
    os.environ["REDIS_URL"] = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/15")

from config.settings import *  # noqa: E402, F403
from config.settings import DATABASES  # noqa: E402

INBOX_WAKE = ""
SEGMENTS_WAKE = ""
REQUESTS_WAKE = ""
WORK_AFTERWARDS = False
# Every test client makes its own stack: without this each of them reads the list of all static files, 30 ms long.
WHITENOISE_AUTOREFRESH = True
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
if STORE == "sqlite":
    # A file and not memory: threads and other processes of the tests share it.
    DATABASES["default"]["TEST"] = {"NAME": str(_FOLDER / "test.sqlite3")}
