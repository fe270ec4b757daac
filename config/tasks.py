"""What the worker can be asked to do. Each task calls one function, may run at any time, twice, or not at all."""

import logging
import threading
import time
from collections.abc import Callable

from django.conf import settings
from django.db import InterfaceError, OperationalError, close_old_connections, connection

from cdp.core.clock import now_us
from cdp.core.errors import DomainError
from config.celery import app, nudge

_log = logging.getLogger(__name__)
_processing = threading.Lock()
_building = threading.Lock()
_carrying = threading.Lock()
_preparing = threading.Lock()
_again = threading.Event()
_REMIND_SECONDS = 600
_told_at = -_REMIND_SECONDS * 1.0


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
    if taken:
        nudge("follow_segments")
    return taken


@app.task(name="build_lookalikes")
def build_lookalikes() -> int:
    """Find the members of lookalike segments that wait; returns how many were built. One thread at a time does it."""
    from cdp.segments.lookalike import build_waiting

    close_old_connections()
    if not _building.acquire(blocking=False):
        return 0
    try:
        return build_waiting()
    finally:
        _building.release()


def ask_for_lookalikes() -> None:
    """Have lookalike segments built beside everything else where some wait: it takes long."""
    from cdp.segments.lookalike import waiting

    if not _building.locked() and waiting():
        nudge("build_lookalikes")


@app.task(name="follow_computed")
def follow_computed() -> int:
    """Bring the values of computed traits up to date; returns how many changed."""
    from cdp.scoring.following import follow_computed as follow

    close_old_connections()
    return follow()


@app.task(name="purge_seen")
def purge_seen() -> int:
    """Forget the digests of messages older than DEDUPE_DAYS; returns how many."""
    from cdp.pipeline.dedupe import purge_seen as purge

    close_old_connections()
    return purge(now_us(), keep_days=settings.DEDUPE_DAYS)


@app.task(name="follow_consents")
def follow_consents() -> int:
    """Have grants that ran out followed by the lake and by segments; returns how many."""
    from cdp.pipeline.consent_expiry import follow_expiry

    close_old_connections()
    return follow_expiry(now_us())


_following = threading.Lock()
_sweeping = threading.Lock()


@app.task(name="follow_segments")
def follow_segments() -> int:
    """Bring segments up to date with whoever changed; returns the passes. Sweeps over everybody run beside it."""
    from cdp.segments.follow import due_for_sweep, follow_people

    close_old_connections()
    if not _following.acquire(blocking=False):
        return 0
    try:
        if due_for_sweep(now=now_us()) and not _sweeping.locked():
            nudge("sweep_segments")
        return follow_people()
    except (InterfaceError, OperationalError) as error:
        _log.warning("The store did not answer (%s); the next call tries again.", type(error).__name__)
        connection.close()
        return 0
    finally:
        _following.release()


@app.task(name="sweep_segments")
def sweep_segments() -> int:
    """Compute segments over everybody where that is due; returns how many."""
    from cdp.segments.follow import due_for_sweep, sweep

    close_old_connections()
    if not _sweeping.acquire(blocking=False):
        return 0
    try:
        due = due_for_sweep(now=now_us())
        return sweep(due) if due else 0
    except (InterfaceError, OperationalError) as error:
        _log.warning("The store did not answer (%s); the next call tries again.", type(error).__name__)
        connection.close()
        return 0
    finally:
        _sweeping.release()


@app.task(name="forget_segment_history")
def forget_segment_history() -> int:
    """Forget entries and exits older than SEGMENT_HISTORY_DAYS; returns how many rows went."""
    from cdp.segments.history import forget_old

    close_old_connections()
    return forget_old(now=now_us(), keep_days=settings.SEGMENT_HISTORY_DAYS)


@app.task(name="flush_lake")
def flush_lake() -> None:
    """Bring into the lake what has waited long enough, compact what is slow, follow what changed by mere time."""
    from cdp.history.compact import compact_due
    from cdp.history.export import flush_due
    from cdp.pipeline.ahead import touch_arrived
    from cdp.pipeline.expiry import describe_expired

    close_old_connections()
    _at_the_lake(lambda: flush_due(now_us()))
    _at_the_lake(compact_due)
    describe_expired(now_us())
    touch_arrived(now_us())


@app.task(name="tend_lake")
def tend_lake() -> None:
    """Remove deleted people from the lake, and old events and sessions from the operational store."""
    from cdp.history.erase import erase_deleted
    from cdp.history.purge import purge_hot_events, purge_sessions

    close_old_connections()
    _at_the_lake(erase_deleted)
    _at_the_lake(lambda: purge_hot_events(now_us()))
    purge_sessions(now_us())


def _at_the_lake(work: Callable[[], object]) -> None:
    """Somebody else may be at it, or have been first: the next run looks again."""
    from cdp.history.lease import LakeBusy
    from cdp.lake.errors import Overtaken

    try:
        work()
    except (LakeBusy, Overtaken) as error:
        _log.info("The lake: %s", error.message)


@app.task(name="purge_requests")
def purge_requests() -> int:
    """Forget look-ups older than CDP_LOG_DAYS; returns how many."""
    from integrations.request_log import purge_requests as purge

    close_old_connections()
    return purge(now_us(), keep_days=settings.CDP_LOG_DAYS)


_retaining = threading.Lock()


@app.task(name="retain")
def retain() -> int:
    """Run the retention policies that are due; returns how many. One thread of the process at a time does it."""
    from cdp.privacy.retention_run import run_due

    close_old_connections()
    if not _retaining.acquire(blocking=False):
        return 0
    try:
        return run_due(now=now_us())
    except DomainError as error:
        _log.warning("Retention goes on later: %s", error.message)
        return 0
    finally:
        _retaining.release()


def ask_for_retention() -> None:
    """Have retention policies run beside everything else where some are due: it may take long."""
    from cdp.privacy.retention import due_policies

    if not _retaining.locked() and due_policies(now_us()):
        nudge("retain")


@app.task(name="tell_administrators")
def tell_administrators() -> int:
    """Mail the administrators about integrations whose credentials are refused; returns how many."""
    from integrations.refusal import tell_administrators as tell

    close_old_connections()
    return tell()


@app.task(name="remove_expired_packages")
def remove_expired_packages() -> int:
    """Remove access packages whose link has expired, and what a killed process left of one; returns how many."""
    from cdp.privacy.package import remove_expired_packages as remove

    close_old_connections()
    return remove(now_us())


@app.task(name="serve_controllers")
def serve_controllers() -> int:
    """Begin the requests of controllers (OpenDSR) that have waited, have controllers told; returns how many began."""
    from cdp.privacy.opendsr.notices import is_any_due
    from cdp.privacy.opendsr.orders import start_waiting

    close_old_connections()
    begun = start_waiting(now_us())
    if not _telling.locked() and is_any_due(now_us()):
        nudge("send_callbacks")
    return begun


_telling = threading.Lock()


@app.task(name="send_callbacks")
def send_callbacks() -> int:
    """Tell controllers how far their requests are; returns how many took it. One thread at a time does it."""
    from integrations.callbacks import send_callbacks as send

    close_old_connections()
    if not _telling.acquire(blocking=False):
        return 0
    try:
        return send()
    finally:
        _telling.release()


@app.task(name="tend_requests")
def tend_requests() -> None:
    """Send what requests of people have to mail, tell officers of deadlines, have done what was begun."""
    from cdp.privacy.alerts import alert_officers
    from cdp.privacy.carrying import begun
    from cdp.privacy.package_making import packages_wait
    from cdp.privacy.request_mail import send_waiting

    close_old_connections()
    send_waiting()
    alert_officers(now_us())
    if not _carrying.locked() and begun().exists():
        nudge("carry_out_requests")
    if not _preparing.locked() and packages_wait():
        nudge("prepare_packages")


@app.task(name="prepare_packages")
def prepare_packages() -> int:
    """Make the access packages that were asked for, beside everything else: it may take long; returns how many."""
    from cdp.privacy.package_making import prepare_packages as prepare

    close_old_connections()
    if not _preparing.acquire(blocking=False):
        return 0
    try:
        return prepare()
    finally:
        _preparing.release()


@app.task(name="carry_out_requests")
def carry_out_requests() -> int:
    """Carry out the requests of people that were begun, beside everything else: it may take long; returns how many."""
    from cdp.privacy.carrying import continue_requests
    from cdp.privacy.request_mail import send_waiting

    close_old_connections()
    if not _carrying.acquire(blocking=False):
        return 0
    try:
        done = continue_requests()
        send_waiting()
        return done
    finally:
        _carrying.release()


_erasing = threading.Lock()


@app.task(name="continue_erasures")
def continue_erasures() -> int:
    """Erase and prove whoever waits for it; returns how many are done. One thread at a time does it."""
    from cdp.privacy.erase import continue_erasures as go_on

    close_old_connections()
    if not _erasing.acquire(blocking=False):
        return 0
    try:
        return go_on()
    finally:
        _erasing.release()


def ask_for_erasures() -> None:
    """Have erasures carried out beside everything else where some wait: a rewrite of history takes long."""
    from cdp.privacy.erase import erasures_wait

    if not _erasing.locked() and erasures_wait():
        nudge("continue_erasures")


@app.task(name="seal_audit")
def seal_audit() -> int:
    """Chain what the audit got since the last time; returns how many rows. A broken chain is told every ten minutes."""
    global _told_at  # noqa: PLW0603
    from cdp.access.audit_seal import seal

    close_old_connections()
    try:
        return seal()
    except DomainError as error:
        if time.monotonic() - _told_at >= _REMIND_SECONDS:
            _told_at = time.monotonic()
            _log.error("The audit is not sealed any more: %s", error.message)
    except (InterfaceError, OperationalError) as error:
        _log.warning("The store did not answer (%s); the audit is sealed the next time.", type(error).__name__)
        connection.close()
    return 0


@app.task(name="verify_audit")
def verify_audit() -> str:
    """Verify the whole audit; returns the problem, blank for none."""
    from cdp.access.audit_verify import verify

    close_old_connections()
    problem = verify().problem
    if problem:
        _log.error("The audit does not verify: %s", problem)
    return problem


@app.task(name="sweep")
def sweep() -> None:
    """Do whatever is due. Each of these asks a query or two when nothing is, and runs once at a time.

    While nothing happens this is all that the scheduler sends: every message costs more than the questions do.
    """
    due: dict[str, Callable[[], object]] = {
        "process the inbox": process_inbox,
        "follow consents that ran out": follow_consents,
        "follow segments": follow_segments,
        "follow computed traits": follow_computed,
        "make lookalikes": ask_for_lookalikes,
        "flush the lake": flush_lake,
        "seal the audit": seal_audit,
        "tend requests": tend_requests,
        "ask for erasures": ask_for_erasures,
        "ask for retention": ask_for_retention,
        "tell administrators": tell_administrators,
        "remove expired packages": remove_expired_packages,
        "serve controllers": serve_controllers,
    }
    for what, task in due.items():
        try:
            task()
        except Exception as error:  # noqa: BLE001 - what one cannot do must not keep the others from their work
            _log.error("The sweep could not %s: %s", what, type(error).__name__)
