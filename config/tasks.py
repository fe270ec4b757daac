"""What the worker can be asked to do. Each task calls one function, may run at any time, twice, or not at all."""

import logging
import threading

from django.conf import settings
from django.db import InterfaceError, OperationalError, close_old_connections, connection

from cdp.core.clock import now_us
from config.celery import app

_log = logging.getLogger(__name__)
_processing = threading.Lock()
_again = threading.Event()


@app.task(name="process_inbox")
def process_inbox() -> int:
    """Process the inbox until it is empty; returns the messages taken. One thread of the process at a time does it."""
    from cdp.pipeline.process import process_inbox as process

    taken = 0
    close_old_connections()
    _again.set()
    # A nudge that comes while another thread works is remembered, not queued: whoever works looks once more.
    while _again.is_set() and _processing.acquire(blocking=False):
        try:
            _again.clear()
            taken += process()
        except (InterfaceError, OperationalError) as error:
            _log.warning("The store did not answer (%s); the sweep tries again.", type(error).__name__)
            connection.close()
        finally:
            _processing.release()
    return taken


@app.task(name="purge_seen")
def purge_seen() -> int:
    """Forget the digests of messages older than DEDUPE_DAYS; returns how many."""
    from cdp.pipeline.dedupe import purge_seen as purge

    close_old_connections()
    return purge(now_us(), keep_days=settings.DEDUPE_DAYS)
