"""What an operator asks: can messages come in, how much waits, what became of them. Reads only, each of them cheap."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.models import Max, Min, Model, Sum

from cdp.access.models import Source
from cdp.core.clock import SECOND, now_us
from cdp.events.models import Event, QuarantinedMessage
from cdp.history.health import lags, lake_note, lake_problem
from cdp.pipeline.lease import LEASE
from cdp.pipeline.models import Counter, InboxMessage, ProcessingLease
from cdp.pipeline.spool import spooled
from cdp.profiles.models import Merge, Profile
from cdp.segments.heads import freshness
from cdp.segments.models import Segment

_BROKER_SECONDS = 2.0
_COUNTED = 100_000


@dataclass(frozen=True)
class Check:
    """One thing that readiness needs; `problem` is blank when it is there, and `note` says how it is."""

    name: str
    problem: str
    note: str = "ok"


@dataclass(frozen=True)
class Backlog:
    """How many messages wait at most, and since when the first of them (µs; None: nothing waits)."""

    messages: int
    oldest: int | None

    def age(self, now: int) -> float:
        """Seconds since the oldest came."""
        return 0.0 if self.oldest is None else max(0, now - self.oldest) / SECOND


@dataclass(frozen=True)
class Metric:
    """A number of /metrics with its labels."""

    name: str
    kind: str
    help: str
    samples: tuple[tuple[tuple[str, ...], float], ...]
    labels: tuple[str, ...] = ()


def readiness() -> list[Check]:
    """Database, broker, lake and backlog, in this order. Never raises; takes about two seconds at most."""
    try:
        waiting = backlog()
        behind = lags(now_us())
    except DatabaseError as error:
        down = Check("database", f"does not answer ({type(error).__name__})")
        unknown = "cannot be counted without the database"
        return [down, _broker(), Check("lake", unknown), Check("backlog", unknown)]
    full = waiting.messages > settings.MAX_BACKLOG
    problem = f"{waiting.messages} messages wait, more than MAX_BACKLOG: is a worker running?" if full else ""
    lake = Check("lake", lake_problem(behind), lake_note(behind))
    return [Check("database", ""), _broker(), lake, Check("backlog", problem)]


def backlog() -> Backlog:
    """What waits in the inbox. Rows leave it in order, so first and last number tell how many, without counting."""
    edges = InboxMessage.objects.aggregate(first=Min("id"), last=Max("id"))
    at_door, since = spooled()
    if edges["first"] is None:
        return Backlog(at_door, since)
    oldest = InboxMessage.objects.filter(id=edges["first"]).values_list("received", flat=True).first()
    return Backlog(edges["last"] - edges["first"] + 1 + at_door, since if oldest is None else oldest)


def metrics(now: int) -> Iterator[Metric]:
    """All numbers of /metrics, at `now` (µs)."""
    waiting = backlog()
    yield _gauge("cdp_inbox_messages", "Accepted messages that wait to be processed.", waiting.messages)
    yield _gauge("cdp_inbox_oldest_seconds", "How long the first of them has waited.", waiting.age(now))
    yield Metric(
        "cdp_messages_total",
        "counter",
        "Messages by source and outcome; the rate of `processed` is the processing rate.",
        tuple(_outcomes()),
        ("source", "outcome"),
    )
    yield _gauge("cdp_profiles", "Profiles (fragments of people); estimated above 100,000.", _rows(Profile))
    yield _gauge("cdp_events", "Hot events; estimated above 100,000.", _rows(Event))
    yield _gauge("cdp_merges", "Merges ever made; estimated above 100,000.", _rows(Merge))
    waiting_for_correction = QuarantinedMessage.objects.filter(status=QuarantinedMessage.Status.OPEN).count()
    yield _gauge("cdp_quarantine_open", "Quarantined messages that wait for a correction.", waiting_for_correction)
    yield from _lake(now)
    segments = list(Segment.objects.all())
    behind = max(freshness(segments, now=now).values(), default=0.0)
    failed = sum(bool(segment.error) for segment in segments)
    yield _gauge("cdp_segments", "Segments that are defined.", len(segments))
    yield _gauge("cdp_segments_failed", "Segments that could not be computed when they last should have been.", failed)
    yield _gauge("cdp_segments_behind_seconds", "Age of the oldest write that some segment has not seen.", behind)
    lease = ProcessingLease.objects.filter(id=1).first()
    held = lease is not None and lease.holder != "" and lease.expires_at > now
    age = (now - lease.expires_at + LEASE) / SECOND if lease is not None and held else 0.0
    yield _gauge("cdp_lease_held", "1 while a worker holds the processing lease.", held)
    yield _gauge("cdp_lease_age_seconds", "How long ago its holder renewed it.", max(0.0, age))


def _lake(now: int) -> Iterator[Metric]:
    found = lags(now)
    for name, help_, samples in (
        ("cdp_lake_rows_waiting", "Rows that have not reached the lake.", [lag.rows for lag in found]),
        ("cdp_lake_seconds_waiting", "How long the first of them has waited.", [lag.seconds for lag in found]),
        ("cdp_lake_files", "Parquet files of the lake.", [lag.files for lag in found]),
        ("cdp_lake_bytes", "Their bytes.", [lag.bytes for lag in found]),
    ):
        pairs = tuple(((lag.table,), float(value)) for lag, value in zip(found, samples, strict=True))
        yield Metric(name, "gauge", help_, pairs, ("table",))


def _broker() -> Check:
    if not settings.REDIS_URL:
        folder = Path(str(settings.CELERY_BROKER_TRANSPORT_OPTIONS["data_folder_in"]))
        return Check("broker", "" if os.access(folder, os.W_OK) else "its folder under DATA_DIR cannot be written")
    # Importing it costs 12 MB and a quarter of a second: only who uses Redis pays.
    from redis import Redis
    from redis.exceptions import RedisError

    try:
        with Redis.from_url(
            settings.REDIS_URL, socket_connect_timeout=_BROKER_SECONDS, socket_timeout=_BROKER_SECONDS
        ) as redis:
            redis.ping()
    except RedisError as error:
        return Check("broker", f"Redis does not answer ({type(error).__name__})")
    return Check("broker", "")


def _outcomes() -> Iterator[tuple[tuple[str, str], float]]:
    names = dict(Source.objects.values_list("id", "name"))
    rows = Counter.objects.order_by("source_id", "outcome").values_list("source_id", "outcome")
    for source, outcome, total in rows.annotate(total=Sum("count")):
        yield (names.get(source, str(source)), outcome), total


def _rows(model: type[Model]) -> int:
    """Exact up to 100,000; above that from the statistics of PostgreSQL or the numbers of the first and last row."""
    edges = model._default_manager.aggregate(first=Min("pk"), last=Max("pk"))
    if edges["first"] is None:
        return 0
    span = int(edges["last"] - edges["first"] + 1)
    if span <= _COUNTED:
        return model._default_manager.count()
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("select reltuples::bigint from pg_class where oid = %s::regclass", [model._meta.db_table])
            estimate = int(cursor.fetchone()[0])
        if estimate > _COUNTED:
            return estimate
    return span


def _gauge(name: str, help_: str, value: float) -> Metric:
    return Metric(name, "gauge", help_, (((), float(value)),))
