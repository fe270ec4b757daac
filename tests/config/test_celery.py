"""Wake-ups: they reach the broker, do not pile up, and never hurt who asks for them."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from cdp.events.models import Event
from config.celery import _MANY_WAITING, app, nudge, wake
from config.tasks import process_inbox
from tests.live import ROOT
from tests.sending import deliver, inbox, message


def _waiting() -> int:
    with app.connection_for_read() as connection:
        count: int = connection.default_channel.queue_declare(app.conf.task_default_queue).message_count
        return count


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)


@pytest.fixture(autouse=True)
def _empty_broker() -> Iterator[None]:
    app.control.purge()
    yield
    app.control.purge()


def test_nudges_stop_when_several_wait() -> None:
    for _ in range(_MANY_WAITING + 5):
        nudge()
    assert _waiting() == _MANY_WAITING


def test_many_wakes_are_few_nudges() -> None:
    for _ in range(10_000):
        wake()
    _until(lambda: _waiting() > 0)
    assert _waiting() <= 3


def test_wake_without_a_broker_is_logged_and_does_not_raise() -> None:
    code = "import django; from config.celery import wake; django.setup(); wake(); input(); wake(); print('on')"
    environment = {**os.environ, "REDIS_URL": "redis://127.0.0.1:1/0", "DJANGO_SETTINGS_MODULE": "config.settings"}
    command = [sys.executable, "-W", "ignore", "-c", code]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        line = process.stderr.readline()
        assert "No nudge reaches the broker; the sweep will find the rows: OperationalError" in line
        assert process.communicate("\n", timeout=20)[0] == "on\n"
    assert process.returncode == 0


@pytest.mark.django_db(transaction=True)
def test_the_task_empties_the_inbox() -> None:
    deliver(*(message(userId=f"u{number}") for number in range(3)))
    assert process_inbox.run() == 3
    assert (inbox().count(), Event.objects.count()) == (0, 3)


def test_what_one_task_cannot_do_keeps_no_other_from_its_work(monkeypatch: pytest.MonkeyPatch) -> None:
    from config import tasks

    ran: list[str] = []
    names = ("process_inbox", "follow_segments", "follow_computed", "ask_for_lookalikes", "flush_lake", "seal_audit")

    class Stand:
        def __init__(self, name: str) -> None:
            self.name = name

        def __call__(self) -> None:
            ran.append(self.name)
            raise ValueError(self.name)

    for name in (*names, "tell_administrators"):
        monkeypatch.setattr(tasks, name, Stand(name))
    tasks.sweep()
    assert ran == [*names, "tell_administrators"]
