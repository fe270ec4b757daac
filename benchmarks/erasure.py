"""Erasing from a million people with ten million events: `python benchmarks/erasure.py`, or `-m benchmarks erasure`.

One person, then a thousand in one run, each with the proof and a signed receipt; then a receipt that is verified later.
All events are in the operational store and in the lake. `--small` makes it a hundredth, to see that it runs. Each store
has an empty folder or a database that goes afterwards; PostgreSQL is measured where BENCH_DATABASE_URL (default: the
local one) answers. The load before is printed.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks._million import EVENTS, PEOPLE, Lake
from benchmarks.segments import _postgres, _sqlite

ONE_LIMIT, MANY_LIMIT = 60.0, 300.0
MANY = 1_000
_BATCH = 200_000


def main() -> None:
    """Run in a process for each store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", help=argparse.SUPPRESS)
    parser.add_argument("--small", action="store_true", help="a hundredth of the people and events")
    options = parser.parse_args()
    share = 100 if options.small else 1
    if options.store:
        measure(options.store, people=PEOPLE // share, events=EVENTS // share, many=MANY // (10 if share > 1 else 1))
        return
    sys.stdout.write(f"load before: {os.getloadavg()[0]:.2f}\n")
    for store, environment in (("SQLite", _sqlite), ("PostgreSQL", _postgres)):
        with environment() as given:
            arguments = [sys.executable, "-W", "ignore", __file__, "--store", store]
            subprocess.run([*arguments, *(["--small"] if options.small else [])], env=given, check=True, cwd=ROOT)


def measure(store: str, *, people: int, events: int, many: int) -> None:
    """Fill the store of this process, erase, verify, and print each figure beside its limit."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    import django

    django.setup()
    from django.core.management import call_command

    from cdp.privacy.erase import erase_people
    from cdp.privacy.proof import verify_receipt
    from cdp.profiles.models import Profile

    call_command("migrate", verbosity=0)
    sys.stdout.write(f"{store}: {people:,} people, {events:,} events\n")
    _fill(people, events, marked=many + 1)
    one, *others = list(Profile.objects.filter(pk__lte=many + 1).order_by("pk"))

    def timed(name: str, limit: float | None, act: Any) -> Any:
        begun = time.perf_counter()
        result = act()
        taken = time.perf_counter() - begun
        word = "" if limit is None else f" (limit {limit:g} s){'' if taken < limit else '  MISSED'}"
        sys.stdout.write(f"  {name:42} {taken:8.1f} s{word}\n")
        sys.stdout.flush()
        return result

    [row] = timed("one person, with proof", ONE_LIMIT, lambda: erase_people([one], actor="benchmark"))
    assert row.receipt is not None, row.steps
    rows = timed(f"{many:,} people in one run, with proof", MANY_LIMIT, lambda: erase_people(others, actor="benchmark"))
    assert all(one.receipt is not None for one in rows), rows[0].steps
    verdict = timed("a receipt verified later", None, lambda: verify_receipt(row.receipt))
    assert verdict.holds, (verdict.found, verdict.problem, verdict.returned)
    sys.stdout.write(f"  most memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB\n")


def _fill(people: int, events: int, *, marked: int) -> None:
    """Profiles, identifiers and events in the store, and the same events and people in the lake."""
    from django.db import connection, transaction

    from cdp.events.body import EventBody, seal_body
    from cdp.identities.value import IdentifierBody, seal_identifier
    from cdp.pipeline.lease import database

    postgres = connection.vendor == "postgresql"
    with tempfile.TemporaryDirectory(prefix="cdp-bench-lake-") as folder:
        lake = Lake(Path(folder), people, events)
        event_body = seal_body(EventBody("m", {"sku": "s1"}, {"page": {"path": "/p"}}, []))
        person_body = seal_identifier(IdentifierBody("somebody@example.com"))
        with transaction.atomic():
            db = database()
            for sql, params in _statements(people, events, postgres=postgres, event=event_body, person=person_body):
                db.execute(sql, params)
        _mark(marked)
        _fill_lake(lake)
    if postgres:
        with connection.cursor() as cursor:
            cursor.execute("analyze")


def _statements(people: int, events: int, *, postgres: bool, event: bytes, person: bytes) -> list[tuple[str, Any]]:
    if postgres:
        numbers, uuid_of, digest_of = "generate_series(1, {0}) i(n)", "gen_random_uuid()", "decode(md5({0}), 'hex')"
        owner = "1 + mod(n::bigint * 7919, {0})"
    else:
        numbers = "(with recursive c(n) as (select 1 union all select n + 1 from c where n < {0}) select n from c)"
        uuid_of, digest_of, owner = "lower(hex(randomblob(16)))", "randomblob(16)", "1 + (n * 7919) % {0}"
    now = 1_780_000_000_000_000
    identifier = (
        "insert into identities_identifier (type_id, namespace, digest, key_version, profile_id, linking, trusted,"
        f" \"primary\", first_seen, body) select (select id from identities_identifiertype where code = ?), '',"
        f" {{digest}}, 1, n, true, true, false, {now}, ? from {numbers.format(people)}"
    )
    if postgres:
        identifier = identifier.replace("code = ?", "code = ?::text").replace(", ? from", ", ?::bytea from")
    body = "?::bytea" if postgres else "?"
    return [
        (
            "insert into profiles_profile (id, public_id, person_id, created_at, updated_at, first_seen, last_seen,"
            " event_count, purchase_count, revenue, touched, described)"
            f" select n, {uuid_of}, n, {now}, {now}, {now}, {now}, 10, 0, '{{}}', 0, 0 from {numbers.format(people)}",
            (),
        ),
        *(
            (identifier.format(digest=digest_of.format(f"'{code}' || n")), (code, person))
            for code in ("user_id", "email")
        ),
        (
            "insert into events_event (digest, profile_id, source_id, session_id, call, type, name, ts, received,"
            f" decision, body) select {digest_of.format('n::text')}, {owner.format(people)}, 1, null, 1, 'PAGE_VIEW',"
            f" 'Page Viewed', {now} + n, {now} + n, 0, {body} from {numbers.format(events)}",
            (event,),
        ),
    ]


def _mark(count: int) -> None:
    """Give the first people identifiers of their own, as real ones have."""
    from django.conf import settings

    from cdp.core.bulk import Table
    from cdp.identities.lookup import current_rules
    from cdp.identities.rules import digest
    from cdp.identities.value import IdentifierBody, seal_identifier
    from cdp.pipeline.lease import database

    kinds = current_rules().kinds
    table = Table(
        "identities_identifier",
        {"digest": "bytea", "body": "bytea", "profile_id": "bigint", "type_id": "smallint"},
        ("profile_id", "type_id"),
    )
    rows = [
        (digest(settings.KEYRING, kinds[code], "", value), seal_identifier(IdentifierBody(value)), n, kinds[code].id)
        for n in range(1, count + 1)
        for code, value in (("user_id", f"customer-{n}"), ("email", f"customer-{n}@example.com"))
    ]
    database().update(table, rows)


def _fill_lake(lake: Lake) -> None:
    from django.conf import settings

    from cdp.history.models import LakeState
    from cdp.history.tables import store_id
    from cdp.lake.delta import EVENTS as EVENT_TABLE
    from cdp.lake.delta import PEOPLE as PEOPLE_TABLE
    from cdp.lake.delta import LakeTable
    from cdp.lake.schema import events_schema, people_schema

    store = str(store_id())
    for kind, schema, sql in (
        (
            EVENT_TABLE,
            events_schema(),
            "select * exclude (month), i as id, '2026-0' || (1 + i % 9) as month from events",
        ),
        (
            PEOPLE_TABLE,
            people_schema(),
            "select *, 0::bigint as version, created as at, false as gone, [person] as fragments,"
            " null::bigint as next_expiry, 'now' as part from people",
        ),
    ):
        table = LakeTable.create(settings.LAKE_URL, kind, schema, store=store)
        reader = lake.raw.sql(sql).to_arrow_reader(_BATCH)
        table.append(_shaped(reader, schema, kind.partition), 0)
        LakeState.objects.filter(pk=kind.name).update(position=0)


def _shaped(reader: Any, schema: Any, partition: str) -> Any:
    """The batches of a reader with the columns of the lake; what the generated data lacks is null."""
    import pyarrow as pa

    whole = pa.schema([*schema, (partition, pa.string())])

    def batches() -> Any:
        for batch in reader:
            arrays = [
                batch[field.name].cast(field.type)
                if field.name in batch.schema.names
                else pa.nulls(batch.num_rows, field.type)
                for field in whole
            ]
            yield pa.RecordBatch.from_arrays(arrays, schema=whole)

    return pa.RecordBatchReader.from_batches(whole, batches())


if __name__ == "__main__":
    main()
