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
from celery.signals import worker_init
from django.conf import settings
from kombu.exceptions import OperationalError

from config import folder_broker  # noqa: F401 - the broker of CELERY_BROKER_URL without Redis

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

SWEEP_SECONDS = 3
_NUDGE_SECONDS = 0.2
_NUDGE_EXPIRES = 5
_MANY_WAITING = 10


@worker_init.connect
def _step_back(**_kwargs: Any) -> None:
    """Whoever waits at the door goes first."""
    os.nice(settings.WORKER_NICE)


app = Celery("cdp", include=["config.tasks"])
app.config_from_object("django.conf:settings", namespace="CELERY")
app.set_default()  # Without it a worker thread takes messages and never runs them.
# A connection outlives its task: opening one costs more than a sweep that finds nothing. Tasks check theirs first.
app.conf["CELERY_DB_REUSE_MAX"] = 1_000_000_000
app.conf.beat_schedule = {
    "sweep": {"task": "sweep", "schedule": timedelta(seconds=SWEEP_SECONDS), "options": {"expires": _NUDGE_EXPIRES}},
    "tend_lake": {"task": "tend_lake", "schedule": timedelta(minutes=10), "options": {"expires": 600}},
    "purge_seen": {"task": "purge_seen", "schedule": crontab(hour="3", minute="17")},
    "forget_segment_history": {"task": "forget_segment_history", "schedule": crontab(hour="3", minute="37")},
    "purge_requests": {"task": "purge_requests", "schedule": crontab(hour="3", minute="47")},
    "verify_audit": {"task": "verify_audit", "schedule": crontab(hour="4", minute="7")},
}

_log = logging.getLogger(__name__)
_asked = threading.Event()
_wanted: set[str] = set()
_starting = threading.Lock()
_thread: threading.Thread | None = None


def wake_segments() -> None:
    """Say that a segment was changed: like `wake`."""
    wake("follow_segments")


def wake_requests() -> None:
    """Say that a privacy request waits for the worker: like `wake`."""
    wake("tend_requests")


def wake(task: str = "process_inbox") -> None:
    """Say that the inbox has rows: the worker begins within a fraction of a second. Returns at once and never raises.

    A daemon thread of this process sends at most five nudges a second, each good for five seconds, and none while
    several wait: without a worker they do not pile up. A lost nudge costs at most SWEEP_SECONDS.
    """
    global _thread  # noqa: PLW0603
    _wanted.add(task)
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
            while _wanted:
                nudge(_wanted.pop())
            failing = False
        except errors as error:
            if not failing:
                _log.warning("No nudge reaches the broker; the sweep will find the rows: %s", type(error).__name__)
            failing = True
        time.sleep(_NUDGE_SECONDS)


def nudge(task: str = "process_inbox") -> None:
    """Send one `task` unless several messages wait already. Raises what the broker's connection raises."""
    with app.producer_pool.acquire(block=True) as producer:
        channel: Any = producer.channel
        if channel.queue_declare(app.conf.task_default_queue).message_count < _MANY_WAITING:
            app.send_task(task, expires=_NUDGE_EXPIRES, producer=producer)
