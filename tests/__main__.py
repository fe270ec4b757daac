"""`make test`: the suite on SQLite with no service, then again on PostgreSQL and Redis when they can be reached.

TEST_DATABASE_URL and TEST_REDIS_URL say where they are (default: this machine). With CI=true their absence fails.
"""

import os
import subprocess
import sys

import psycopg
import redis

DATABASE_URL = os.environ.get("TEST_DATABASE_URL", "postgres://postgres@127.0.0.1:5432/postgres")
REDIS_URL = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/15")


def main() -> int:
    """The exit status: 0 when every run passed."""
    if status := _run("sqlite"):
        return status
    missing = _missing()
    if not missing:
        return _run("postgres")
    sys.stderr.write(f"\nNot run on PostgreSQL and Redis: {missing}\n")
    return 1 if os.environ.get("CI") == "true" else 0


def _run(store: str) -> int:
    sys.stderr.write(f"\n=== {'SQLite, no service' if store == 'sqlite' else 'PostgreSQL and Redis'} ===\n")
    command = [sys.executable, "-m", "pytest", *sys.argv[1:]]
    return subprocess.run(command, env={**os.environ, "TEST_STORE": store}, check=False).returncode


def _missing() -> str:
    try:
        psycopg.connect(DATABASE_URL, connect_timeout=3).close()
        redis.Redis.from_url(REDIS_URL, socket_connect_timeout=3).ping()
    except (psycopg.OperationalError, redis.RedisError) as error:
        return str(error)
    return ""


if __name__ == "__main__":
    sys.exit(main())
