"""Whether people allow a purpose now: asked by audiences, and by every delivery at the moment of sending."""

import uuid
from collections.abc import Sequence

from cdp.consents.purposes import no_such_purpose
from cdp.consents.state import said_by
from cdp.core.errors import NotFound
from cdp.profiles.people import fragment_ids, person_of


def permitted(people: Sequence[Sequence[int]], purpose: str, *, now: int) -> list[bool]:
    """Whether each of `people`, given by the numbers of its profiles, allows `purpose` at `now` (µs): one query.

    The statement that counts decides; where nothing was said the purpose does. `purpose` is a code, in any case. Raises
    Invalid when there is no such purpose.
    """
    if not people:
        return []
    code = purpose.upper()
    said, known = said_by(people, now=now, purpose=code)
    if code not in known:
        raise no_such_purpose(purpose)
    return [one[code].allows(now) if code in one else known[code] for one in said]


def may_use(public_id: uuid.UUID | str, purpose: str, *, now: int) -> bool:
    """Whether the person to whom the profile `public_id` belongs allows `purpose` at `now` (µs).

    Whatever is delivered to or about a person asks this at the moment of sending. Somebody who is not there (any more)
    allows nothing. Raises Invalid when there is no such purpose.
    """
    try:
        profiles = fragment_ids(person_of(public_id).pk)
    except NotFound:
        return False
    return permitted([profiles], purpose, now=now)[0]
