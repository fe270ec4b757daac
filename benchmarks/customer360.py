"""How fast the 360 view of a person is among a million: `python benchmarks/customer360.py`.

The store is filled by SQL: profiles (every tenth merged into the one before it), two identifiers, traits, a session
and a few events each, the events of a person far apart on disk as they are in life; the people that are measured have
many more. Bodies are encrypted, a few thousand distinct ones that are used again. Every measured person is asked for
once, so nothing of theirs has been read before.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from random import Random
from typing import Any

import msgspec
from processing import empty_store
from rich.console import Console
from rich.table import Table

PROFILES, MEASURED, WARMED = 1_000_000, 2_000, 100
EVENTS, MORE_EVENTS = 2, 60
DISTINCT = 2_000
LIMIT_MS = 10.0

_FILL = (
    (
        "profiles",
        """insert into profiles_profile (id, public_id, person_id, created_at, updated_at, first_seen, last_seen,
             event_count, purchase_count, first_purchase, last_purchase, revenue)
           select n, md5('p' || n)::uuid, case when n %% 10 = 0 then n - 1 else n end, %(from)s + n, %(from)s + n,
             %(from)s + n, %(now)s, 3, 1, %(from)s + n, %(from)s + n, '{"EUR": ' || n %% 900000 || '}'
           from generate_series(1, %(profiles)s) n""",
    ),
    (
        "merges",
        """insert into profiles_merge
             (public_id, target_id, source_id, cause, strategy, active, created_at, fence, actor)
           select md5('m' || n)::uuid, n - 1, n, 'inference', 'rule', true, %(from)s + n, 0, ''
           from generate_series(10, %(profiles)s, 10) n""",
    ),
    (
        "identifiers",
        """insert into identities_identifier (type_id, namespace, digest, key_version, profile_id, linking, trusted,
             "primary", first_seen, body)
           select k.type, '', decode(md5('i' || k.type || '-' || n), 'hex'), 1, n, true, true, false, %(from)s + n,
             b.body
           from (values (1), (2)) k(type), generate_series(1, %(profiles)s) n
           join bodies b on b.kind = 'identifier' and b.number = n %% %(distinct)s""",
    ),
    (
        "traits",
        """insert into traits_traitdocument (profile_id, updated_at, body)
           select n, %(from)s + n, b.body from generate_series(1, %(profiles)s) n
           join bodies b on b.kind = 'traits' and b.number = n %% %(distinct)s""",
    ),
    (
        "sessions",
        """insert into events_session (public_id, profile_id, started, last, stopped, event_count, entry)
           select md5('s' || n)::uuid, n, %(from)s + n, %(from)s + n + 60000000, false, 3, '{"path": "/"}'
           from generate_series(1, %(profiles)s) n""",
    ),
    (
        "consents",
        """insert into consents_consentrecord (public_id, profile_id, type, granted, at, source, cause)
           select md5('c' || n)::uuid, n, 'MARKETING_EMAIL', true, %(from)s + n, 'form', 'statement'
           from generate_series(1, %(profiles)s, 2) n""",
    ),
    ("events", "from generate_series(1, %(events)s) k, generate_series(1, %(profiles)s) n"),
    ("events of the measured", "from generate_series(1001, 1000 + %(more)s) k, unnest(%(measured)s::bigint[]) n"),
)
_EVENTS = """insert into events_event (digest, profile_id, source_id, session_id, call, type, name, ts, received,
               decision, body)
             select decode(md5('e' || k || '-' || n), 'hex'), n, %(source)s, null, t.call, t.type, t.name, m.ts, m.ts,
               2, b.body
             from (select k, n, %(now)s - abs(hashint8extended(n::bigint * 4096 + k, 0) %% %(span)s) as ts
                   {rows}) m
             join (values (0, 3, 'PAGE_VIEW', 'Home'), (1, 1, 'PRODUCT_VIEW', 'Product Viewed'),
                          (2, 1, 'ADD_TO_CART', 'Product Added'), (3, 1, 'PURCHASE', 'Order Completed'),
                          (4, 2, 'PROFILE_UPDATE', ''), (5, 1, 'EMAIL_OPEN', 'Email Opened'))
               t(kind, call, type, name) on t.kind = (n + k) %% 6
             join bodies b on b.kind = 'event' and b.number = (n + k) %% %(distinct)s"""


def bodies() -> list[tuple[str, int, bytes]]:
    """`DISTINCT` encrypted identifiers, trait documents and event bodies."""
    from cdp.events.body import CarriedIdentifier, EventBody, seal_body
    from cdp.identities.value import IdentifierBody, seal_identifier
    from cdp.traits.document import TraitValue, seal_document

    rows: list[tuple[str, int, bytes]] = []
    for n in range(DISTINCT):
        document = {
            "firstName": TraitValue(f"Ada {n}", n),
            "email": TraitValue(f"ada{n}@example.com", n),
            "city": TraitValue("Vilnius", n),
            "address": TraitValue({"street": "Gedimino 1", "country": "LT"}, n),
            **{f"trait_{key}": TraitValue(key * n, n, source_id=1) for key in range(8)},
        }
        event = EventBody(
            message_id=f"message-{n}",
            properties={"product_id": f"p-{n}", "price": 19.99, "currency": "EUR", "category": "Books"},
            context={"ip": "203.0.113.0", "userAgent": "Mozilla/5.0", "page": {"url": "https://shop.example/p"}},
            identifiers=[CarriedIdentifier("user_id", n.to_bytes(16, "big"), 1)],
        )
        rows += [
            ("identifier", n, seal_identifier(IdentifierBody(f"ada{n}@example.com"))),
            ("traits", n, seal_document(document)),
            ("event", n, seal_body(event)),
        ]
    return rows


def fill(profiles: int, measured: list[int], console: Console) -> None:
    """Load the store of this process; says how long each table took."""
    from django.db import connection

    from cdp.access.source import source_named
    from cdp.core.clock import DAY, now_us

    now = now_us()
    values = {
        "profiles": profiles,
        "events": EVENTS,
        "more": MORE_EVENTS,
        "measured": measured,
        "distinct": DISTINCT,
        "now": now,
        "from": now - 400 * DAY,
        "span": 400 * DAY,
        "source": source_named("bench").id,
    }
    with connection.cursor() as cursor:
        for table in ("identities_identifier", "traits_traitdocument", "events_event", "events_session"):
            cursor.execute(f"alter table {table} set unlogged")
        cursor.execute("create temp table bodies (kind text, number integer, body bytea)")
        cursor.executemany("insert into bodies values (%s, %s, %s)", bodies())
        cursor.execute("analyze bodies")
        for what, sql in _FILL:
            begin = time.perf_counter()
            cursor.execute(_EVENTS.format(rows=sql) if sql.startswith("from") else sql, values)
            console.print(f"{what}: {cursor.rowcount:,} rows in {time.perf_counter() - begin:.1f} s")
        cursor.execute("analyze")


class Timed(msgspec.Struct):
    """Milliseconds of the calls, and of this process's processor per call (on a busy machine the truer figure)."""

    p50: float
    p95: float
    cpu: float


def timed(call: Callable[[Any], Any], people: list[Any]) -> Timed:
    """What `call` takes for each of `people`; the first `WARMED` are not counted."""
    for person in people[:WARMED]:
        call(person)
    taken, cpu = [], time.process_time()
    for person in people[WARMED:]:
        begin = time.perf_counter()
        call(person)
        taken.append((time.perf_counter() - begin) * 1000)
    cpu = (time.process_time() - cpu) * 1000 / len(taken)
    taken.sort()
    return Timed(statistics.median(taken), taken[int(len(taken) * 0.95)], cpu)


def measure(profiles: int, console: Console) -> bool:
    """Fill, measure and print; whether the limit is kept."""
    import django

    django.setup()
    from django.core.management import call_command

    from cdp.core.clock import now_us
    from cdp.customer360.document import profile_document
    from cdp.customer360.timeline import timeline
    from cdp.customer360.view import customer360
    from cdp.profiles.models import Profile
    from cdp.profiles.people import person_of

    call_command("migrate", verbosity=0)
    random = Random(1)
    count = min(MEASURED + WARMED, profiles // 2)
    measured = random.sample([n for n in range(1, profiles + 1) if n % 10], count)
    fill(profiles, measured, console)
    now = now_us()
    people = list(Profile.objects.filter(pk__in=measured).order_by("updated_at"))
    random.shuffle(people)

    def asked(person: Profile) -> bytes:
        return msgspec.json.encode(customer360(person_of(person.public_id), now=now, clear=True))

    # The call with a limit comes first: it reads the rows of everybody for the first time.
    some = people[: WARMED + 400]
    rows = [
        ("customer360", timed(lambda p: customer360(p, now=now, clear=True), people), LIMIT_MS),
        ("… by public id, as JSON", timed(asked, some), None),
        ("… masked", timed(lambda p: customer360(p, now=now, clear=False), some), None),
        ("profile document", timed(lambda p: profile_document(p, now=now, clear=True), some), None),
        ("timeline, 50 events", timed(lambda p: timeline(p, clear=True), some), None),
    ]
    table = Table(title=f"Customer 360 among {profiles:,} profiles on PostgreSQL, {len(people) - WARMED:,} people")
    for heading in ("call", "p50 ms", "p95 ms", "limit ms", "ratio", "processor ms"):
        table.add_column(heading, justify="left" if heading == "call" else "right")
    for name, taken, limit in rows:
        beside = ("", "") if limit is None else (f"{limit:.0f}", f"{taken.p95 / limit:.2f}")
        table.add_row(name, f"{taken.p50:.2f}", f"{taken.p95:.2f}", *beside, f"{taken.cpu:.2f}")
    console.print(table)
    console.print(f"Load of the machine after: {os.getloadavg()[0]:.1f}")
    return rows[0][1].p95 < LIMIT_MS


def main() -> None:
    """Run in an empty database that goes afterwards; exit status 1 when the limit is not kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profiles", type=int, default=PROFILES)
    options = parser.parse_args()
    console = Console()
    console.print(f"Load of the machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    with empty_store("postgres") as environment:
        os.environ.update(environment)
        sys.path.insert(0, environment["PYTHONPATH"])
        kept = measure(options.profiles, console)
        from django.db import connection

        connection.close()
    sys.exit(0 if kept else 1)


if __name__ == "__main__":
    main()
