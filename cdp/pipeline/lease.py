"""The processing fence: one writer of profiles, identifiers, traits and merges at a time, whoever it is.

The lease row (`ProcessingLease`) has two parts. `holder`/`expires_at` only spare several workers the same work. `fence`
is what makes every write safe: each writing transaction raises it, and one that read before another wrote finds a
different number and starts again. So a micro-batch is planned without any lock, and a REST write never waits for it.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.conf import settings
from django.db import connection, transaction

from cdp.access.source import SOURCES_SQL, SourceRef, sources_of
from cdp.consents.gate import GATE_SQL, Gate, gate_of
from cdp.core.bulk import Database
from cdp.core.clock import SECOND, now_us
from cdp.core.holder import holder_name, is_gone
from cdp.identities.rules import RULES_SQL, Rules, rules_of

LEASE = 10 * SECOND
HOLDER = holder_name()


class FenceLost(Exception):
    """Somebody wrote after this plan was read: nothing was written, plan again."""


def database() -> Database:
    """Set-based SQL on Django's connection, in its transaction if one is open."""
    connection.ensure_connection()
    return Database(connection.connection, postgres=connection.vendor == "postgresql")


@dataclass(frozen=True, slots=True)
class Ground:
    """What a plan stands on: the fence it was made under, the rules of identity, the sources and the gate."""

    fence: int
    rules: Rules
    sources: dict[int, SourceRef]
    gate: Gate


_FENCE_SQL = "select 'fence', fence, '', key_version, 0, 0, false, false, false from pipeline_processinglease"


def ground(db: Database) -> Ground:
    """Everything that configures a micro-batch: one query.

    Makes sure that this process knows the key that stored rows are indexed with.
    """
    rows = db.rows(f"{_FENCE_SQL} union all {RULES_SQL} union all {SOURCES_SQL} union all {GATE_SQL}")
    number, key_version = next((row[1], row[3]) for row in rows if row[0] == "fence")
    _know_key(key_version)
    return Ground(number, rules_of(rows, region=settings.DEFAULT_PHONE_REGION), sources_of(rows), gate_of(rows))


_held: dict[str, int] = {}


def take_lease(db: Database, *, holder: str = HOLDER) -> bool:
    """Whether this process may plan the next micro-batch; false while another one lives.

    A lease with more than half its time left is not asked for again: writing a batch prolongs it. One whose holder was
    a process of this machine that is gone need not run out.
    """
    now = now_us()
    if _held.get(holder, 0) > now + LEASE // 2:
        return True
    sql = (
        "update pipeline_processinglease set holder = ?, expires_at = ?"
        " where id = 1 and (holder = ? or holder = '' or expires_at < ?)"
    )
    if db.execute(sql, (holder, now + LEASE, holder, now)) != 1:
        other = db.rows("select holder from pipeline_processinglease where id = 1")[0][0]
        if not is_gone(other) or db.execute(sql, (holder, now + LEASE, other, now)) != 1:
            return False
    _held[holder] = now + LEASE
    return True


def forget_lease() -> None:
    """Ask the store again at the next micro-batch."""
    _held.clear()


def release_lease(db: Database, *, holder: str = HOLDER) -> None:
    """Let another process go on at once."""
    _held.pop(holder, None)
    db.execute("update pipeline_processinglease set holder = '', expires_at = 0 where id = 1 and holder = ?", (holder,))


def pass_fence(db: Database, planned_under: int, *, holder: str = HOLDER) -> None:
    """Lock the fence until the transaction ends and raise it. Raises FenceLost when it is not `planned_under`."""
    sql = "update pipeline_processinglease set fence = fence + 1, holder = ?, expires_at = ? where id = 1 and fence = ?"
    until = now_us() + LEASE
    if db.execute(sql, (holder, until, planned_under)) != 1:
        _held.pop(holder, None)
        raise FenceLost
    _held[holder] = until


@contextmanager
def exclusive() -> Iterator[Database]:
    """A transaction that holds the fence from its start: for REST writes, erasure, and a batch that lost its fence.

    On PostgreSQL it locks the lease row; on SQLite the transaction is IMMEDIATE, so it holds the write lock anyway.
    """
    with connection.wrap_database_errors, transaction.atomic():
        db = database()
        sql = "update pipeline_processinglease set fence = fence + 1 where id = 1 returning key_version"
        _know_key(db.rows(sql)[0][0])
        yield db


def fence_of(db: Database) -> int:
    """The number under which the transaction that holds the fence writes: one query."""
    number: int = db.rows("select fence from pipeline_processinglease where id = 1")[0][0]
    return number


def mark_described(db: Database, profile_ids: Iterable[int], *, now: int) -> None:
    """Say that what is known of these profiles changed at `now` (µs), under the fence that is held: one query."""
    db.execute_in(
        "update profiles_profile set updated_at = ?, touched = lease.fence, described = lease.fence"
        " from pipeline_processinglease lease where lease.id = 1 and profiles_profile.id {in}",
        profile_ids,
        "bigint",
        (now,),
    )


def mark_touched(db: Database, profile_ids: Iterable[int], *, now: int) -> None:
    """Say that these profiles must be looked at again as of `now` (µs), under the fence that is held: one query."""
    db.execute_in(
        "update profiles_profile set updated_at = ?, touched = lease.fence"
        " from pipeline_processinglease lease where lease.id = 1 and profiles_profile.id {in}",
        profile_ids,
        "bigint",
        (now,),
    )


def _know_key(version: int) -> None:
    """Read the key ring again when stored rows are indexed with a newer key than this process knows."""
    if version > settings.KEYRING.current:
        settings.KEYRING.refresh()
