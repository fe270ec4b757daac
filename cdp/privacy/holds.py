"""Legal holds: people whose data must be kept until they are released, through every merge and unmerge."""

from collections.abc import Iterable

from cdp.access.audit import record_change
from cdp.core.bulk import Database
from cdp.core.clock import now_us
from cdp.core.errors import Conflict, Invalid, NotFound
from cdp.pipeline.lease import database, exclusive
from cdp.privacy.models import LegalHold
from cdp.profiles.models import Profile

MOST_TEXT = 500

COVERED = """
    covered(profile, since) as (
        select person_id, created_at from privacy_legalhold where released_at is null
        union
        select case when m.target_id = c.profile then m.source_id else m.target_id end,
               case when m.created_at > c.since then m.created_at else c.since end
        from covered c join profiles_merge m on m.target_id = c.profile or m.source_id = c.profile
        where m.active or m.undone_at >= c.since
    )"""
"""The profiles under a hold, each with the moment since when: that of the hold, or of the merge through which a profile
came to be of a held person. An unmerge after that takes nobody out. To be used behind `with recursive`.
"""

HELD_PROFILES = """select f.id from covered c join profiles_profile p on p.id = c.profile
    join profiles_profile f on f.person_id = p.person_id"""
"""All profiles of the people that `COVERED` touches. To be used behind it."""

_HELD = (
    f"with recursive {COVERED} select distinct p.person_id from covered c join profiles_profile p on p.id = c.profile"
    " where p.person_id {in}"
)


def held(person_ids: Iterable[int]) -> set[int]:
    """Which of these people (`Profile.pk` of people) are under a hold: one query.

    A hold on one profile holds the whole person, also whoever is merged with them later; after an unmerge both are
    held. Who acts on the answer reads it inside `cdp.pipeline.lease.exclusive`, where no hold and no merge can come
    between.
    """
    return {row[0] for row in database().rows_in(_HELD, person_ids, "bigint")}


def held_profiles(db: Database) -> list[int]:
    """Every profile of everybody who is under a hold: one query."""
    return [row[0] for row in db.rows(f"with recursive {COVERED} {HELD_PROFILES}")]


def place_hold(person: Profile, *, reason: str, actor: str) -> LegalHold:
    """Hold the person that the profile `person` is of, from now on. Holds the processing fence; recorded in the audit.

    Several holds on one person stand beside each other. `reason` is kept in clear and should name the matter, not the
    person. Raises Invalid without a reason, NotFound when the person is gone.
    """
    said = _text(reason, "reason", "Say why: a hold needs a reason, such as the number of the case.")
    with exclusive():
        fragment = Profile.objects.select_related("person").filter(pk=person.pk).first()
        if fragment is None:
            raise NotFound("This person is gone.")
        hold = LegalHold.objects.create(
            person=fragment.person, reason=said, created_at=now_us(), created_by=actor[:150]
        )
        named = [hold.public_id, fragment.person.public_id]
        record_change(actor, action="hold", object_type="legalhold", object_ids=named, fields=["person"], why=said)
        return hold


def release_hold(hold: LegalHold, *, actor: str, why: str) -> LegalHold:
    """End a hold. The person is free once no other hold is left. Holds the processing fence; recorded in the audit.

    Raises Invalid without a reason, Conflict when it has ended already.
    """
    said = _text(why, "why", "Say why: releasing a hold needs a reason.")
    with exclusive():
        open_ = LegalHold.objects.filter(pk=hold.pk, released_at=None)
        if open_.update(released_at=now_us(), released_by=actor[:150]) != 1:
            raise Conflict("This hold has been released already.", code="already_released")
        hold.refresh_from_db()
        person = Profile.objects.filter(pk=hold.person_id).values_list("public_id", flat=True)
        named = [hold.public_id, *person]
        record_change(actor, action="release", object_type="legalhold", object_ids=named, fields=["person"], why=said)
        return hold


def _text(given: str, path: str, missing: str) -> str:
    said = given.strip()
    if not said:
        raise Invalid(missing, details={"path": path})
    if len(said) > MOST_TEXT:
        raise Invalid(f"`{path}` may have {MOST_TEXT} characters.", details={"path": path})
    return said
