"""`make test`: the suite on SQLite with no service, and beside it on PostgreSQL and Redis when they can be reached.

Both run at once, each with data of its own; the second one's output comes when it has ended. TEST_DATABASE_URL and
TEST_REDIS_URL say where they are (default: this machine). With CI=true their absence fails.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from typing import IO

import psycopg
import redis

DATABASE_URL = os.environ.get("TEST_DATABASE_URL", "postgres://postgres@127.0.0.1:5432/postgres")
REDIS_URL = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/15")


def main() -> int:
    """The exit status: 0 when every run passed."""
    missing = _missing()
    if missing:
        status = _start("sqlite", None).wait()
        sys.stderr.write(f"\nNot run on PostgreSQL and Redis: {missing}\n")
        return status or (1 if os.environ.get("CI") == "true" else 0)
    with tempfile.TemporaryFile("w+") as output:
        beside = _start("postgres", output)
        print("=== SQLite, no service (PostgreSQL and Redis run beside it) ===", flush=True)  # noqa: T201
        status = _start("sqlite", None).wait()
        print("\n=== PostgreSQL and Redis ===", flush=True)  # noqa: T201
        status = beside.wait() or status
        output.seek(0)
        shutil.copyfileobj(output, sys.stdout)
    return status


def _start(store: str, output: IO[str] | None) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "pytest", *sys.argv[1:]]
    return subprocess.Popen(command, env={**os.environ, "TEST_STORE": store}, stdout=output, stderr=output)


def _missing() -> str:
    try:
        psycopg.connect(DATABASE_URL, connect_timeout=3).close()
        redis.Redis.from_url(REDIS_URL, socket_connect_timeout=3).ping()
    except (psycopg.OperationalError, redis.RedisError) as error:
        return str(error)
    return ""


if __name__ == "__main__":
    sys.exit(main())
