"""What people allow at a moment, read from the ledger."""

import json
import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from django.db import connection

from cdp.consents.fold import ConsentState, Join, Said, Statement, fold, states_of
from cdp.profiles.people import fragment_ids, fragment_of, fragments_at, person_of

__all__ = ["ConsentState", "consents_at", "consents_by_person", "consents_of"]

STATEMENT, JOIN, _PURPOSE, OWNED, ALONE = range(5)
MERGED = "merge"
_ROWS = """
    select 0, c.profile_id, c.id, c.at, c.type, c.granted, c.expires_at, c.source, c.cause, c.document,
           coalesce(nullif(c.recorded_at, 0), c.at), c.merge
    from {whose} consents_consentrecord c where {said} c.at <= {mark}
    union all
    select 1, m.source_id, m.id, m.created_at, '', true, m.target_id, '', '', '', 0, m.public_id
    from {whose} profiles_merge m where {joined} m.created_at <= {mark} and (m.active or m.undone_at > {mark})"""
_REST = "null, '', '', '', 0, null"
_PURPOSES = (
    f" union all select 2, 0, 0, 0, p.code, p.unknown = 'allow', {_REST} from consents_purpose p where code = %s"
)
OF_PEOPLE = f"""
    with asked as (select cast(? as bigint) as now),
         part as (select distinct p.id, p.person_id from profiles_profile f
                  join profiles_profile p on p.person_id = f.person_id where f.id {{in}})
    {
    _ROWS.format(
        whose="asked, part,", said="c.profile_id = part.id and", joined="m.source_id = part.id and", mark="asked.now"
    )
}
    union all
    select {OWNED}, part.id, part.person_id, 0, '', false, {_REST} from part
    order by 4, 1, 3"""
"""The statements and merges, as `Found` reads them, of everybody who owns one of `{in}`, and (3) who owns what."""


class Found(NamedTuple):
    """The rows of a query, sorted: statements, merges, and by code of a purpose whether what is unknown is allowed."""

    statements: list[Statement]
    joins: list[Join]
    purposes: dict[str, bool]

    @classmethod
    def of(cls, rows: Iterable[Sequence[Any]]) -> "Found":
        """From the rows of a query."""
        found = cls([], [], {})
        first: dict[Any, tuple[int, int, int]] = {}
        joins: list[tuple[Any, tuple[int, int, int, int]]] = []
        for what, profile, id_, at, kind, flag, number, source, cause, document, known, merge in rows:
            if what == STATEMENT and cause == MERGED:
                first[merge] = min(first.get(merge, (id_, known, at)), (id_, known, at))
            elif what == STATEMENT:
                said = Statement(at, id_, profile, kind, bool(flag), number, source, cause, document, known)
                found.statements.append(said)
            elif what == JOIN:
                joins.append((merge, (at, id_, number, profile)))
            elif what == _PURPOSE:
                found.purposes[kind] = bool(flag)
        found.joins.extend(Join(*fields, *first.get(merge, (0, 0, 0))) for merge, fields in joins)
        return found

    def folded(self, people: Sequence[Sequence[int]], *, now: int) -> list[Said]:
        """What counts for each of `people`, given by their profiles."""
        owner = {profile: number for number, profiles in enumerate(people) for profile in profiles}
        statements: dict[int, list[Statement]] = defaultdict(list)
        joins: dict[int, list[Join]] = defaultdict(list)
        for statement in self.statements:
            statements[owner[statement.profile_id]].append(statement)
        for join in self.joins:
            if owner.get(join.source_id) == owner.get(join.target_id, -1):
                joins[owner[join.source_id]].append(join)
        return [
            fold(profiles, statements[number], joins[number], now=now) if number in statements else {}
            for number, profiles in enumerate(people)
        ]


def said_by(people: Sequence[Sequence[int]], *, now: int, purpose: str = "") -> tuple[list[Said], dict[str, bool]]:
    """What counts at `now` for each of `people`, given by their profiles, about one purpose or all: one query.

    With a purpose also what is decided where nothing is known; an empty answer: there is no such purpose.
    """
    profiles = [profile for one in people for profile in one]
    if not profiles and not purpose:
        return [{} for _ in people], {}
    postgres = connection.vendor == "postgresql"
    listed = "= any(%s)" if postgres else "in (select value from json_each(%s))"
    given: Any = profiles if postgres else json.dumps(profiles)
    only = " c.type = %s and" if purpose else ""
    sql = _ROWS.format(whose="", said=f"c.profile_id {listed} and{only}", joined=f"m.source_id {listed} and", mark="%s")
    params = [given, *([purpose] if purpose else []), now, given, now, now, *([purpose] if purpose else [])]
    with connection.cursor() as cursor:
        cursor.execute(f"{sql} {_PURPOSES if purpose else ''} order by 4, 1, 3", params)
        found = Found.of(cursor.fetchall())
    return found.folded(people, now=now), found.purposes


def consents_of(fragments: Sequence[int], *, now: int) -> list[ConsentState]:
    """The state at `now` (µs) of every purpose about which the person with the profiles `fragments` said something.

    By purpose, in one query. The newest statement counts; a merge counts while it is active at `now`.
    """
    return consents_by_person([fragments], now=now)[0]


def consents_by_person(people: Sequence[Sequence[int]], *, now: int) -> list[list[ConsentState]]:
    """`consents_of` for several people at once, each given by its profiles: one query for all."""
    said, _ = said_by(people, now=now)
    return [states_of(one, now=now) for one in said]


def profiles_at(public_id: uuid.UUID | str, at: int | None) -> list[int]:
    """The profiles that are one person with the profile `public_id`, or were at `at` (µs). Raises NotFound."""
    if at is None:
        return fragment_ids(person_of(public_id).pk)
    return fragments_at(fragment_of(public_id).pk, at)


def consents_at(public_id: uuid.UUID | str, at: int | None, *, now: int) -> list[ConsentState]:
    """The state of every purpose, by purpose, of the person to whom a profile belongs `now`, or belonged to at `at`.

    It goes by when statements were made, not by when they were written down. Raises NotFound. Three queries at most.
    """
    return consents_of(profiles_at(public_id, at), now=now if at is None else at)
