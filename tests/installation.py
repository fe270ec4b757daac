"""A whole installation of its own, driven as an operator drives it: commands in processes, a real store behind."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg

from tests.settings import STORE

ROOT = Path(__file__).resolve().parent.parent


class Installation:
    """A migrated installation under `folder`, on the store that is under test."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self._url = url
        self.environment = {k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "REDIS_URL")}
        self.environment |= {"DATA_DIR": str(folder), "DJANGO_SETTINGS_MODULE": "config.settings", "COLUMNS": "200"}
        if url:
            self.environment["DATABASE_URL"] = url
            self.environment["REDIS_URL"] = os.environ["REDIS_URL"]

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """`manage.py` with these arguments, running."""
        return subprocess.Popen(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def manage(self, *arguments: str, status: int = 0) -> str:
        """Standard output of a command that must end with `status`; its standard error when that is not 0."""
        process = self.start(*arguments)
        out, err = process.communicate(timeout=300)
        assert process.returncode == status, f"{arguments} ended with {process.returncode}:\n{out}\n{err}"
        return err if status else out

    def kill_when(self, process: "subprocess.Popen[str]", ready: Callable[[], bool]) -> None:
        """SIGKILL as soon as `ready`; a process that ends by itself before is an error."""
        deadline = time.monotonic() + 60
        while not ready():
            assert process.poll() is None, f"ended too early: {process.communicate()}"
            assert time.monotonic() < deadline, "never got ready"
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """All rows of a SELECT."""
        if self._url:
            with psycopg.connect(self._url) as connection:
                return connection.execute(sql.encode()).fetchall()
        connection = sqlite3.connect(self.folder / "cdp.sqlite3", timeout=10)
        try:
            return connection.execute(sql).fetchall()
        finally:
            connection.close()

    def waiting(self) -> int:
        """How many acknowledged messages are not processed, in the inbox and on SQLite in the door's own file too."""
        inbox = int(self.value("select count(*) from pipeline_inboxmessage"))
        door = self.folder / "cdp.door.sqlite3"
        if not door.exists():
            return inbox
        with closing(sqlite3.connect(self.folder / "cdp.sqlite3", timeout=10)) as connection:
            connection.execute("attach ? as door", (str(door),))
            moved = "(select coalesce(max(message), 0) from main.pipeline_spoolmark)"
            sql = (
                "select (select count(*) from main.pipeline_inboxmessage)"
                f" + (select count(*) from door.pipeline_inboxmessage where id > {moved})"
            )
            return int(connection.execute(sql).fetchone()[0])

    def value(self, sql: str) -> Any:
        """The one value of a SELECT, or None without a row."""
        rows = self.rows(sql)
        return rows[0][0] if rows else None


@contextmanager
def new_installation(folder: Path) -> Iterator[Installation]:
    """An empty, migrated installation; its database goes afterwards."""
    if STORE != "postgres":
        installation = Installation(folder, "")
        installation.manage("migrate", "-v0")
        yield installation
        return
    base = os.environ["DATABASE_URL"]
    name = f"cdp_test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(base, autocommit=True) as connection:
        connection.execute(f"create database {name}".encode())
    try:
        installation = Installation(folder, urlsplit(base)._replace(path=f"/{name}").geturl())
        installation.manage("migrate", "-v0")
        yield installation
    finally:
        with psycopg.connect(base, autocommit=True) as connection:
            connection.execute(f"drop database {name} with (force)".encode())
