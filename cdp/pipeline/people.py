"""Creating and deleting people on request."""

import os
import uuid
from typing import Any

import msgspec
from django.conf import settings

from cdp.access.audit import record_change
from cdp.access.source import SourceRef
from cdp.core.bulk import Database, Table
from cdp.core.clock import now_us
from cdp.core.errors import Conflict, Invalid
from cdp.identities.population import LOG
from cdp.identities.suppression import Suppressed
from cdp.pipeline.batch import Batch, Waiting
from cdp.pipeline.lease import exclusive, fence_of, ground
from cdp.pipeline.message import Envelope, digest_of, seal
from cdp.pipeline.opening import SUPPRESSED
from cdp.pipeline.plan import make_plan, write_plan
from cdp.profiles.models import Profile
from cdp.profiles.people import fragment_ids, person_of
from cdp.segments.membership import forget_people


class Creation(msgspec.Struct, frozen=True):
    """The person that a request made, or found by its identifiers (`created` false)."""

    person: Profile
    created: bool


def create_profile(message: dict[str, Any], *, source: SourceRef) -> Creation:
    """Process `message` (userId, anonymousId, traits, context.externalIds) as an identify, at once and under the fence.

    Its identifiers find the person as in any event; without one a profile is made. Raises Invalid, and Conflict for
    somebody who was erased or does not allow it.
    """
    raw = msgspec.json.encode({**message, "type": "identify"})
    message_id = "profile-" + os.urandom(16).hex()
    now = now_us()
    body = seal(settings.KEYRING, Envelope(msgspec.Raw(raw)))
    waiting = [Waiting(0, digest_of(source.id, message_id), source.id, now, body)]
    with exclusive() as db:
        base = ground(db)
        plan = make_plan(db, waiting, base, fence=base.fence, now=now, nameless=True)
        if plan.failures:
            raise Invalid(plan.failures[0].reason, code=plan.failures[0].code)
        _require_stored(plan)
        write_plan(plan, db)
        decided = plan.resolutions[0]
        profile = Profile.objects.select_related("person").get(pk=decided.profile_id)
    return Creation(profile.person, decided.created)


def _require_stored(batch: Batch) -> None:
    if batch.resolutions:
        return
    if any(outcome == SUPPRESSED for _, _, outcome in batch.outcomes):
        raise Suppressed
    raise Conflict(
        "The person has withdrawn the consent that this needs: record a new grant first (POST consents).",
        code="consent_withdrawn",
    )


def delete_person(public_id: uuid.UUID, *, actor: str) -> int:
    """Delete a person: profiles, identifiers, traits, consents, sessions, events and merges. Returns the profiles gone.

    Holds the processing fence. The identity log keeps ids and digests. Messages that still wait are not looked for, and
    nothing is suppressed: a new event with the same identifiers makes a new person. Raises NotFound.
    """
    with exclusive() as db:
        person = person_of(public_id)
        profiles = fragment_ids(person.pk)
        named = Profile.objects.filter(pk__in=profiles).order_by("pk").values_list("public_id", flat=True)
        record_change(actor, action="delete", object_type="profile", object_ids=named, fields=["person"])
        for statement in _DELETIONS:
            db.execute_in(statement, profiles, "bigint")
        forget_people(db, profiles, now=now_us())
        gone = db.execute_in("delete from profiles_profile where id {in}", profiles, "bigint")
        fence = fence_of(db)
        db.insert(_DELETED, [(profile, fence) for profile in profiles])
        _log_deletion(db, person.pk, actor)
    return gone


_DELETIONS = (
    "delete from events_event where profile_id {in}",
    "delete from events_session where profile_id {in}",
    "delete from consents_consentrecord where profile_id {in}",
    "delete from traits_traitdocument where profile_id {in}",
    "delete from traits_computedvalue where person_id {in}",
    "delete from identities_identifier where profile_id {in}",
    "delete from profiles_keepapart where first_id {in}",
    "delete from profiles_keepapart where second_id {in}",
    "delete from profiles_merge where target_id {in}",
    "delete from profiles_merge where source_id {in}",
)


_DELETED = Table("profiles_deletedprofile", {"profile_id": "bigint", "deleted_in": "bigint"}, ("profile_id",))


def _log_deletion(db: Database, person_id: int, actor: str) -> None:
    db.insert(LOG, [(now_us(), "delete", "request", person_id, None, None, None, None, actor)])
