"""From any profile id to the person it belongs to."""

import uuid

from cdp.access.reading import rows_in
from cdp.core.errors import NotFound
from cdp.profiles.models import Profile

_AT = """
    with recursive asked as (select cast(%s as bigint) as at),
    part(id) as (
      select id from profiles_profile where id in {in}
      union
      select case when m.target_id = part.id then m.source_id else m.target_id end
      from part join profiles_merge m on m.target_id = part.id or m.source_id = part.id cross join asked
      where m.created_at <= asked.at and (m.active or m.undone_at > asked.at))
    select id from part order by id"""


def person_of(public_id: uuid.UUID | str) -> Profile:
    """The first profile of the person that `public_id` belongs to; the id of any fragment answers for ever.

    Raises NotFound, also for a text that is no id.
    """
    return fragment_of(public_id).person


def fragment_of(public_id: uuid.UUID | str) -> Profile:
    """The profile with this id, its person loaded. Raises NotFound, also for a text that is no id."""
    try:
        wanted = public_id if isinstance(public_id, uuid.UUID) else uuid.UUID(public_id)
    except ValueError:
        raise NotFound("There is no profile with this id: ids are UUIDs.") from None
    fragment = Profile.objects.select_related("person").filter(public_id=wanted).first()
    if fragment is None:
        raise NotFound("There is no profile with this id.")
    return fragment


def fragment_ids(person_id: int) -> list[int]:
    """The internal ids of every profile of a person, oldest first."""
    return list(Profile.objects.filter(person_id=person_id).order_by("id").values_list("id", flat=True))


def fragments_at(fragment_id: int, at: int) -> list[int]:
    """The internal ids of the profiles that were one person with this one at `at` (µs), oldest first: one query."""
    return [row[0] for row in rows_in(_AT, [fragment_id], (at,))]
