"""The Celery app. A task only wakes work up: what is to be done stands in rows, and a sweep finds what a nudge missed.

Without REDIS_URL the broker is a folder under DATA_DIR (settings.CELERY_BROKER_URL).
"""

import logging
import os
import threading
import time
from datetime import timedelta
from typing import Any

from celery import Celery
from celery.schedules import crontab
from kombu.exceptions import OperationalError

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

SWEEP_SECONDS = 3
_NUDGE_SECONDS = 0.2
_NUDGE_EXPIRES = 5
_MANY_WAITING = 10

app = Celery("cdp", include=["config.tasks"])
app.config_from_object("django.conf:settings", namespace="CELERY")
app.set_default()  # Without it a worker thread takes messages and never runs them.
# A connection outlives its task: opening one costs more than a sweep that finds nothing. Tasks check theirs first.
app.conf["CELERY_DB_REUSE_MAX"] = 1_000_000_000
app.conf.beat_schedule = {
    "sweep": {
        "task": "process_inbox",
        "schedule": timedelta(seconds=SWEEP_SECONDS),
        "options": {"expires": _NUDGE_EXPIRES},
    },
    "purge_seen": {"task": "purge_seen", "schedule": crontab(hour="3", minute="17")},
}

_log = logging.getLogger(__name__)
_asked = threading.Event()
_starting = threading.Lock()
_thread: threading.Thread | None = None


def wake() -> None:
    """Say that the inbox has rows: the worker begins within a fraction of a second. Returns at once and never raises.

    A daemon thread of this process sends at most five nudges a second, each good for five seconds, and none while
    several wait: without a worker they do not pile up. A lost nudge costs at most SWEEP_SECONDS.
    """
    global _thread  # noqa: PLW0603
    _asked.set()
    if _thread is None or not _thread.is_alive():
        with _starting:
            if _thread is None or not _thread.is_alive():
                _thread = threading.Thread(target=_nudge_when_asked, name="nudge", daemon=True)
                _thread.start()


def _nudge_when_asked() -> None:
    connection = app.connection_for_write()
    errors: tuple[type[BaseException], ...] = (
        OSError,
        OperationalError,
        *connection.connection_errors,
        *connection.channel_errors,
    )
    failing = False
    while True:
        _asked.wait()
        _asked.clear()
        try:
            nudge()
            failing = False
        except errors as error:
            if not failing:
                _log.warning("No nudge reaches the broker; the sweep will find the rows: %s", type(error).__name__)
            failing = True
        time.sleep(_NUDGE_SECONDS)


def nudge() -> None:
    """Send one `process_inbox` unless several wait already. Raises what the broker's connection raises."""
    with app.producer_pool.acquire(block=True) as producer:
        channel: Any = producer.channel
        if channel.queue_declare(app.conf.task_default_queue).message_count < _MANY_WAITING:
            app.send_task("process_inbox", expires=_NUDGE_EXPIRES, producer=producer)
