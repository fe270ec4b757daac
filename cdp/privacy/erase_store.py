"""What the operational store has of people, by the numbers of their profiles: every table, in order.

Everything goes in one transaction under the processing fence, so nobody ever meets half a person. People with many
events lose these before, in chunks, so that the transaction stays short.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import islice

from cdp.core.bulk import Database, Table
from cdp.core.clock import now_us
from cdp.identities.population import LOG
from cdp.pipeline.lease import exclusive, fence_of
from cdp.privacy.erase_waiting import forget_waiting_rows, look_through
from cdp.privacy.erase_work import Gone, Work, add, tally
from cdp.segments.membership import forget_people

CHUNK = 20_000
"""Events in a transaction."""
PEOPLE_AT_ONCE = 100
"""Erasures in a transaction."""

TABLES: tuple[tuple[str, str], ...] = (
    ("events_event", "profile_id"),
    ("events_session", "profile_id"),
    ("traits_traitdocument", "profile_id"),
    ("traits_computedvalue", "person_id"),
    ("segments_membership", "person_id"),
    ("segments_membershipchange", "person_id"),
    ("segments_listedprofile", "profile_id"),
    ("identities_identifier", "profile_id"),
    ("profiles_keepapart", "first_id"),
    ("profiles_keepapart", "second_id"),
    ("profiles_merge", "target_id"),
    ("profiles_merge", "source_id"),
    ("privacy_legalhold", "person_id"),
    ("profiles_profile", "id"),
)
"""Table and column of the rows that go. Consents and the identity log stay, and say about nobody (`_say_about_nobody`).

A hold that was released is a row about the person like any other; one that is not keeps the erasure from beginning.
"""
_DELETED = Table("profiles_deletedprofile", {"profile_id": "bigint", "deleted_in": "bigint"}, ("profile_id",))


def forget_events(work: Work) -> None:
    """Events of people who have more than a transaction should hold: in chunks, each counted where it goes."""
    for numbers in _groups(work.numbers, 1_000):
        while True:
            with exclusive() as db:
                rows = db.rows_in(
                    f"select id, profile_id from events_event where profile_id {{in}} limit {CHUNK}", numbers, "bigint"
                )
                if len(rows) < CHUNK:
                    break
                db.execute_in("delete from events_event where id {in}", [row[0] for row in rows], "bigint")
                counts = Counter(number for _, number in rows)
                work.record(db, "store", tally(counts.items(), work.owner, "events_event"), done=False)


def forget_rows(work: Work) -> None:
    """Everything of theirs in the operational store, and what still waits in the inbox."""
    forget_events(work)
    carried = look_through(work)
    pending = [row.pk for row in work.erasures if not row.steps.get("store", {}).get("done")]
    for group in _groups(pending, PEOPLE_AT_ONCE):
        numbers = [number for pk in group for number in work.subjects[pk].trace.numbers]
        with exclusive() as db:
            gone = forget_waiting_rows(db, look_through(work, after=carried), only=set(group))
            add(gone, _forget(db, work, numbers))
            _say_about_nobody(db, work, numbers, gone)
            work.record(db, "store", gone, only=set(group))


def _forget(db: Database, work: Work, numbers: Sequence[int]) -> Gone:
    gone: Gone = {}
    now, fence = now_us(), fence_of(db)
    counts: dict[str, list[tuple[int, int]]] = {}
    for table, column in TABLES:
        sql = f"select {column}, count(*) from {table} where {column} {{in}} group by {column}"
        counts.setdefault(table, []).extend(db.rows_in(sql, numbers, "bigint"))
    db.execute_in("delete from segments_membershipchange where person_id {in}", numbers, "bigint")
    people: dict[int, list[int]] = {}
    for number in numbers:
        people.setdefault(work.owner[number], []).append(number)
    forget_people(db, numbers, now=now)  # and tells whoever follows the segment that they left
    for table, column in TABLES:
        if table != "segments_membershipchange":
            db.execute_in(f"delete from {table} where {column} {{in}}", numbers, "bigint")
    existing = {number for number, _ in counts["profiles_profile"]}
    db.insert_missing(_DELETED, [(number, fence) for number in sorted(existing)])
    log = (now, "delete", "erasure", None, None, None, None, None, "")
    db.insert(LOG, [log for profiles in people.values() if existing.intersection(profiles)])
    for table, rows in counts.items():
        add(gone, tally(rows, work.owner, table))
    return gone


def _say_about_nobody(db: Database, work: Work, numbers: Sequence[int], gone: Gone) -> None:
    """The ledger and the identity log keep that it happened, and about whom no more."""
    fresh = "gen_random_uuid()" if db.postgres else "lower(hex(randomblob(16)))"
    for table, column in (("consents_consentrecord", "profile_id"), ("identities_identitylog", "profile_id")):
        sql = f"select {column}, count(*) from {table} where {column} {{in}} group by {column}"
        add(gone, tally(db.rows_in(sql, numbers, "bigint"), work.owner, f"{table} (made anonymous)"))
    db.execute_in("delete from consents_consentrecord where merge is not null and profile_id {in}", numbers, "bigint")
    db.execute_in(
        f"update consents_consentrecord set profile_id = 0, public_id = {fresh}, event = null, body = null,"
        " source = '' where profile_id {in}",
        numbers,
        "bigint",
    )
    db.execute_in(
        "update identities_identitylog set profile_id = null, other_id = null, digest = null, event = null"
        " where profile_id {in}",
        numbers,
        "bigint",
    )
    db.execute_in(
        "update identities_identitylog set other_id = null, digest = null, event = null where other_id {in}",
        numbers,
        "bigint",
    )
    alone = work.alone()
    for statement in (
        "update identities_identitylog set digest = null where digest {in}",
        "update profiles_merge set via_target = null where via_target {in}",
        "update profiles_merge set via_source = null where via_source {in}",
        "delete from identities_quarantinedidentifier where digest {in}",
    ):
        db.execute_in(statement, alone, "bytea")


def _groups(items: Sequence[int], size: int) -> list[list[int]]:
    rest = iter(items)
    return list(iter(lambda: list(islice(rest, size)), []))
