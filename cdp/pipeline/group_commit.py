"""Group commit: one thread per process writes everything that waits in one transaction and then wakes who waited.

There is no fixed wait: what arrives during one commit is the next group. So a single request is as fast as the disk,
and the more arrive at once, the fewer commits each of them costs.
"""

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cdp.core.errors import Unavailable
from cdp.pipeline.own_connection import OwnConnection, driver_errors, own_connection
from cdp.pipeline.writer import Kept, Refused

log = logging.getLogger(__name__)

MAX_GROUP = 5_000
MAX_GROUP_BYTES = 16 * 1024 * 1024
MAX_WAITING_BYTES = 64 * 1024 * 1024
_BACKLOG_SECONDS = 5.0
_LOG_SECONDS = 1.0


@dataclass(slots=True)
class _Submission:
    rows: Sequence[Kept]
    refusals: Sequence[Refused]
    size: int
    future: asyncio.Future[None]


class GroupCommit:
    """Takes rows from one event loop and commits them in groups. `on_commit` is called after each, in the thread."""

    def __init__(
        self,
        *,
        max_backlog: int,
        connect: Callable[[], OwnConnection] = own_connection,
        on_commit: Callable[[], None] = lambda: None,
    ) -> None:
        self._max_backlog = max_backlog
        self._connect = connect
        self._on_commit = on_commit
        self._queue: queue.SimpleQueue[list[_Submission] | None] = queue.SimpleQueue()
        self._arrived: list[_Submission] = []  # in this turn of the event loop
        self._thread: threading.Thread | None = None
        self._connection: OwnConnection | None = None
        self._submitted = 0  # bytes, written by the event loop only
        self._taken = 0  # bytes, written by the thread only
        self._backlog = 0
        self._look_at = 0.0
        self._quiet_until = 0.0

    def submit(self, rows: Sequence[Kept], refusals: Sequence[Refused], *, size: int) -> asyncio.Future[None]:
        """A future that is done when `rows` and `refusals` (about `size` bytes) are durable.

        It fails with Unavailable when the store cannot take them: then nothing of them was written, or the answer of
        the store was lost, and the digests make the client's next try safe. Raises Unavailable at once when too much
        waits, here or in the inbox. Call it in the event loop.
        """
        if self._backlog > self._max_backlog:
            if time.monotonic() >= self._look_at:
                nobody = asyncio.get_running_loop().create_future()
                nobody.cancel()
                self._put(_Submission((), (), 0, nobody))  # makes the thread look again
            raise Unavailable("Too many messages wait to be processed. Send again later.", code="backlog")
        if self._submitted - self._taken > MAX_WAITING_BYTES:
            raise Unavailable("The store is slower than the senders. Send again later.", code="queue_full")
        submission = _Submission(rows, refusals, size, asyncio.get_running_loop().create_future())
        self._put(submission)
        return submission.future

    def close(self) -> None:
        """Commit what waits and end the thread; blocks until that is done."""
        self._hand_over()
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None

    def _put(self, submission: _Submission) -> None:
        """What arrives in one turn of the event loop goes over together: each waking of the thread costs the loop."""
        if not self._arrived:
            asyncio.get_running_loop().call_soon(self._hand_over)
        self._arrived.append(submission)
        self._submitted += submission.size

    def _hand_over(self) -> None:
        if not self._arrived:
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="group-commit", daemon=True)
            self._thread.start()
        self._queue.put(self._arrived)
        self._arrived = []

    def _run(self) -> None:
        last = False
        while not last:
            group, last = self._next_group()
            if not group:
                continue
            error = self._commit(group)
            self._answer(group, error)
            if error is None:
                self._on_commit()
            if time.monotonic() >= self._look_at:
                self._look_at_backlog()
        self._disconnect()

    def _next_group(self) -> tuple[list[_Submission], bool]:
        """Everything that waits, within the limits of a group; and whether it is the last."""
        group: list[_Submission] = []
        rows = size = 0
        take: Callable[[], list[_Submission] | None] = self._queue.get
        while rows < MAX_GROUP and size < MAX_GROUP_BYTES:
            try:
                arrived = take()
            except queue.Empty:
                break
            if arrived is None:
                return group, True
            group += arrived
            rows += sum(len(submission.rows) for submission in arrived)
            size += sum(submission.size for submission in arrived)
            take = self._queue.get_nowait
        return group, False

    def _commit(self, group: list[_Submission]) -> Unavailable | None:
        rows = [row for submission in group for row in submission.rows]
        refusals = [row for submission in group for row in submission.refusals]
        if not rows and not refusals:
            return None
        try:
            try:
                self._connected().write(rows, refusals)
            except driver_errors():
                # A server that was restarted is noticed only now. Trying again is safe: a repeat counts once.
                if self._connection is None or not self._connection.is_lost():
                    raise
                self._disconnect()
                self._connected().write(rows, refusals)
        except driver_errors() as error:
            self._disconnect()
            self._complain(error)
            return Unavailable("The store cannot take messages now. Send again later.", code="store_unavailable")
        except Exception:  # a defect: its senders learn of it, the thread goes on for the others
            log.exception("A group of %d messages could not be written.", len(rows) + len(refusals))
            self._disconnect()
            return Unavailable("The messages could not be stored. Send again later.", code="store_failed")
        return None

    def _answer(self, group: list[_Submission], error: Unavailable | None) -> None:
        """One hop to the event loop wakes all who wait for `group`."""
        self._taken += sum(submission.size for submission in group)
        try:
            group[0].future.get_loop().call_soon_threadsafe(_wake, group, error)
        except RuntimeError:  # the loop is closed: nobody waits any more
            log.info("%d requests were gone before they could be answered.", len(group))

    def _look_at_backlog(self) -> None:
        self._look_at = time.monotonic() + _BACKLOG_SECONDS
        try:
            self._backlog = self._connected().backlog()
        except driver_errors() as error:
            self._disconnect()
            self._complain(error)

    def _connected(self) -> OwnConnection:
        if self._connection is None:
            self._connection = self._connect()
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _complain(self, error: Exception) -> None:
        """At most one line a second, and only the kind of error: its text may hold values."""
        if time.monotonic() >= self._quiet_until:
            self._quiet_until = time.monotonic() + _LOG_SECONDS
            detail = getattr(error, "sqlite_errorname", None) or getattr(error, "sqlstate", None) or "no code"
            log.error("The store cannot take messages: %s (%s)", type(error).__name__, detail)


def _wake(group: list[_Submission], error: Unavailable | None) -> None:
    for submission in group:
        if submission.future.done():
            continue
        if error is None:
            submission.future.set_result(None)
        else:
            submission.future.set_exception(error)
