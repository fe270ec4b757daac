"""A database that was restored from a backup learns whom it must forget again, before the door opens.

The journal outside the database knows every erasure that ever began. One that the database does not know was lost by
the restore: it is begun again under its old id, and what the operational store has of the person goes at once. The
sweep does the rest, and ends with a new receipt.
"""

import uuid
from collections.abc import Sequence

from cdp.access.audit import record_change
from cdp.access.reading import as_uuid
from cdp.core.bulk import Database
from cdp.core.clock import now_us
from cdp.identities.lookup import current_rules
from cdp.identities.rules import Rules
from cdp.identities.suppression import Suppression, suppress
from cdp.pipeline.lease import exclusive, mark_described
from cdp.privacy.erase import delete_rows
from cdp.privacy.erase_subject import Subject, Trace, known_of, open_trace, seal_subject
from cdp.privacy.journal import Line, last_erasure, read_lines
from cdp.privacy.models import Erasure

ACTOR = "restore"
_CHUNK = 200


def is_behind() -> bool:
    """Whether the database is older than the journal: one query. Erasures must be replayed before anybody reads."""
    last = last_erasure()
    return last is not None and not Erasure.objects.filter(public_id=last).exists()


def replay_erasures() -> int:
    """Begin every erasure again that the journal has and the database has not; returns how many.

    What the operational store had of these people is gone on return, and their identifiers are suppressed, but for
    suppressions that were lifted later. Safe to repeat, also by several processes at once. Raises Invalid for a journal
    of another installation.
    """
    lines = list(read_lines())
    begun = [line for line in lines if line.kind == "erase"]
    known = _known(begun)
    missing = [line for line in begun if line.id not in known]
    rules = current_rules()
    count = 0
    for start in range(0, len(missing), _CHUNK):
        rows = _begin(missing[start : start + _CHUNK], rules)
        delete_rows(rows)
        count += len(rows)
    _lift([line for line in lines if line.kind == "lift"])
    return count


def _begin(lines: Sequence[Line], rules: Rules) -> list[Erasure]:
    with exclusive() as db:
        there = _known(lines)
        rows = []
        for line in lines:
            if line.id in there:
                continue
            trace = open_trace(line.trace)
            _keep_numbers(db, trace.numbers)
            subject = _subject(db, trace, rules)
            kept_out = [Suppression(digest, type_id) for type_id, digest in trace.suppressed]
            suppress(db, kept_out, request=uuid.UUID(line.id), now=line.at)
            rows.append(
                Erasure(public_id=uuid.UUID(line.id), actor=ACTOR, started_at=line.at, subject=seal_subject(subject))
            )
        Erasure.objects.bulk_create(rows)
        if rows:
            named = [row.public_id for row in rows]
            why = "The database was restored from a backup that is older than these erasures."
            record_change(ACTOR, action="erase", object_type="erasure", object_ids=named, fields=["person"], why=why)
    return rows


def _known(lines: Sequence[Line]) -> set[str]:
    """The ids of those that the database has."""
    rows = Erasure.objects.all()
    if len(lines) <= _CHUNK:
        rows = rows.filter(public_id__in=[line.id for line in lines])
    return set(map(str, rows.values_list("public_id", flat=True).iterator()))


def _subject(db: Database, trace: Trace, rules: Rules) -> Subject:
    """What the restored database has of the person."""
    rows = db.rows_in("select id, public_id from profiles_profile where id {in}", trace.numbers, "bigint")
    there = {(number, str(as_uuid(public_id))) for number, public_id in rows}
    profiles = [one for one in trace.profiles if one in there]
    numbers = [number for number, _ in profiles]
    _set_apart(db, numbers)
    return Subject(Trace(profiles, trace.suppressed), known_of(db, numbers, rules), [])


def _set_apart(db: Database, numbers: Sequence[int]) -> None:
    """Whoever was merged with the person when the backup was made, and is no part of them now, gets a person again."""
    others = db.rows_in("select id, person_id from profiles_profile where person_id {in}", numbers, "bigint")
    gone = set(numbers)
    first: dict[int, int] = {}
    for number, person in sorted(others):
        if number not in gone:
            first.setdefault(person, number)
    for person, number in first.items():
        mine = [one for one, of in others if of == person and one not in gone]
        db.execute_in("update profiles_profile set person_id = ? where id {in}", mine, "bigint", (number,))
        mark_described(db, mine, now=now_us())


def _keep_numbers(db: Database, numbers: Sequence[int]) -> None:
    """Nobody new gets the number of somebody who was erased."""
    if db.postgres:
        db.rows(
            "select setval(pg_get_serial_sequence('profiles_profile', 'id'),"
            " greatest(?::bigint, (select last_value from profiles_profile_id_seq)))",
            (max(numbers, default=1),),
        )
    else:
        db.execute(
            "update sqlite_sequence set seq = max(seq, ?) where name = 'profiles_profile'", (max(numbers, default=1),)
        )


def _lift(lines: Sequence[Line]) -> None:
    """Suppressions that were lifted after they were made."""
    if not lines:
        return
    with exclusive() as db:
        for line in lines:
            db.execute(
                "update identities_suppressedidentifier set lifted_at = ?, lifted_by = ?, why = ?"
                " where digest = ? and lifted_at is null and created_at < ?",
                (line.at, ACTOR, "It was lifted before the database was restored.", bytes.fromhex(line.id), line.at),
            )
