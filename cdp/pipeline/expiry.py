"""Traits that run out change what is known of a person, though nobody writes anything."""

from collections.abc import Sequence

from cdp.core.bulk import Database
from cdp.history.expiry import expired_versions, note_followed
from cdp.pipeline.lease import exclusive, mark_described

_CHUNK = 2000


def describe_expired(now: int) -> int:
    """Mark everybody whose trait ran out by `now` as described anew, so that lake and segments follow.

    Returns how many people. Holds the processing fence, for 2,000 at a time. Who was described since is left alone.
    """
    versions, following = expired_versions(now)
    marked = 0
    for start in range(0, len(versions), _CHUNK):
        with exclusive() as db:
            profiles, people = _unchanged(db, versions[start : start + _CHUNK])
            mark_described(db, profiles, now=now)
        marked += people
    if versions:
        note_followed(now, following)
    return marked


def _unchanged(db: Database, versions: Sequence[tuple[int, int]]) -> tuple[list[int], int]:
    """The profiles of those people who are still as their version says, and how many people that is."""
    wanted = set(versions)
    rows = db.rows_in(
        "select id, person_id, described from profiles_profile where person_id {in}",
        {person for person, _ in wanted},
        "bigint",
    )
    profiles: dict[int, list[int]] = {}
    newest: dict[int, int] = {}
    for id_, person, described in rows:
        profiles.setdefault(person, []).append(id_)
        newest[person] = max(newest.get(person, 0), described)
    same = [person for person, number in newest.items() if (person, number) in wanted]
    return [id_ for person in same for id_ in profiles[person]], len(same)
