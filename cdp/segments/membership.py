"""Members by hand or by a model: the lists of static segments, and people who are gone."""

from collections import Counter
from collections.abc import Sequence

from cdp.core.bulk import Database, Table
from cdp.core.clock import now_us
from cdp.core.errors import Conflict
from cdp.history.reading import database
from cdp.segments.generations import CHANGES, Cause, Change, Group, Turn, turn_over
from cdp.segments.heads import head
from cdp.segments.lease import Lease, hold, leased_one
from cdp.segments.members import member_ids, members_among
from cdp.segments.models import Segment
from cdp.segments.store import writing

MOST = 10_000
"""How many people one call may add to a list or take from it."""

_LISTED = Table(
    "segments_listedprofile",
    {"segment_id": "bigint", "profile_id": "bigint", "added_at": "bigint", "actor": "text"},
    key=("segment_id", "profile_id"),
)
_PEOPLE = """
    select distinct l.segment_id, p.person_id from segments_listedprofile l
    join profiles_profile p on p.id = l.profile_id where """


def add_members(segment: Segment, people: Sequence[int], *, actor: str) -> int:
    """Put `people` (ids of people, at most `MOST`) on the list of a static segment; returns how many entered.

    They are members when this returns. Raises Conflict for a segment that follows a rule, or that stays busy.
    """
    now = now_us()
    with leased_one(_listed(segment).pk) as lease, writing() as db:
        hold(db, lease, lease.ids)
        db.insert_missing(_LISTED, [(segment.pk, person, now, actor) for person in people])
        return _bring_up(lease, people, now=now)


def remove_members(segment: Segment, people: Sequence[int]) -> int:
    """Take `people` (ids of people, at most `MOST`) off the list, all their profiles; returns how many left."""
    now = now_us()
    with leased_one(_listed(segment).pk) as lease, writing() as db:
        hold(db, lease, lease.ids)
        db.execute_in(
            "delete from segments_listedprofile where segment_id = ? and profile_id in"
            " (select id from profiles_profile where person_id {in})",
            people,
            "bigint",
            (segment.pk,),
        )
        return _bring_up(lease, people, now=now)


def replace(segment: Segment, person_ids: Sequence[int], *, cause: Cause, actor: str = "") -> int:
    """Make `person_ids` the whole list of a static segment, and its members; returns how many they are.

    The list is replaced in one transaction and the members after it, a whole generation at once; if the process dies
    between the two, the next sweep finishes it. Raises Conflict like `add_members`.
    """
    now = now_us()
    with leased_one(_listed(segment).pk) as lease:
        mine = lease.segments[0]
        with writing() as db:
            hold(db, lease, lease.ids)
            db.execute("delete from segments_listedprofile where segment_id = ?", (mine.pk,))
            db.insert(_LISTED, [(mine.pk, person, now, actor) for person in dict.fromkeys(person_ids)])
            db.execute(
                "update segments_segment set definition_version = definition_version + 1, updated_at = ? where id = ?",
                (now, mine.pk),
            )
        mine.definition_version += 1
        at = head()
        wanted = listed_people([mine.pk])[mine.pk]
        current = set(member_ids(mine.pk))
        mine.computed_version, mine.swept_at = mine.definition_version, now
        mine.cursor, mine.event_cursor = at.fence, at.event
        turn_over([Turn(mine, _steps(wanted, current, cause))], lease, since=at.fence, now=now)
        return len(wanted)


def listed_people(segments: Sequence[int], people: Sequence[int] | None = None) -> dict[int, set[int]]:
    """The people on the lists of these segments, among `people` if given: whoever has a listed profile. One query."""
    found: dict[int, set[int]] = {segment_id: set() for segment_id in segments}
    if people is None:
        rows = database().rows_in(f"{_PEOPLE} l.segment_id {{in}}", segments, "bigint")
    else:
        rows = database().rows_in(f"{_PEOPLE} p.person_id {{in}}", people, "bigint") if segments else []
    for segment_id, person in rows:
        if segment_id in found:
            found[segment_id].add(person)
    return found


def forget_people(db: Database, profiles: Sequence[int], *, now: int) -> None:
    """Take people who are being deleted out of every segment and list, in the transaction that is open on `db`.

    `profiles` are the ids of all their profiles. Whoever reads the outbox learns that they left.
    """
    rows = db.rows_in(
        "select m.segment_id, m.person_id, s.generation from segments_membership m"
        " join segments_segment s on s.id = m.segment_id"
        " where m.from_gen <= s.generation and (m.to_gen is null or m.to_gen > s.generation) and m.person_id {in}",
        profiles,
        "bigint",
    )
    leaving = Counter(segment_id for segment_id, _, _ in rows)
    for count in set(leaving.values()):
        shrunk = [segment_id for segment_id, people in leaving.items() if people == count]
        db.execute_in("update segments_segment set size = size - ? where id {in}", shrunk, "bigint", (count,))
    db.execute_in("delete from segments_membership where person_id {in}", profiles, "bigint")
    db.execute_in("delete from segments_listedprofile where profile_id {in}", profiles, "bigint")
    db.insert(
        CHANGES,
        [(s, person, gen, str(Change.LEFT), str(Cause.DELETED), False, now) for s, person, gen in rows],
    )


def _listed(segment: Segment) -> Segment:
    if not segment.listed:
        raise Conflict("The members of this segment follow from its rule.", code="not_a_list")
    return segment


def _bring_up(lease: Lease, people: Sequence[int], *, now: int) -> int:
    """Make memberships of `people` what the list says; returns how many changed."""
    segment = lease.segments[0]
    wanted = listed_people([segment.pk], people)[segment.pk]
    current = members_among([segment.pk], people)[segment.pk]
    steps = _steps(wanted, current, Cause.MANUAL)
    turn_over([Turn(segment, steps)], lease, since=head().fence, now=now)
    return sum(len(step.people) for step in steps)


def _steps(wanted: set[int], current: set[int], cause: Cause) -> list[Group]:
    steps = [
        Group(Change.ENTERED, cause, sorted(wanted - current)),
        Group(Change.LEFT, cause, sorted(current - wanted)),
    ]
    return [step for step in steps if step.people]
