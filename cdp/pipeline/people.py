"""Creating and deleting people on request."""

import os
import uuid
from typing import Any

import msgspec
from django.conf import settings

from cdp.access.source import SourceRef
from cdp.core.bulk import Database
from cdp.core.clock import now_us
from cdp.core.errors import Invalid
from cdp.identities.population import LOG
from cdp.pipeline.lease import exclusive, ground
from cdp.pipeline.message import Envelope, digest_of, seal
from cdp.pipeline.plan import Waiting, make_plan
from cdp.profiles.models import Profile
from cdp.profiles.people import fragment_ids, person_of


class Creation(msgspec.Struct, frozen=True):
    """The person that a request made, or found by its identifiers (`created` false)."""

    person: Profile
    created: bool


def create_profile(message: dict[str, Any], *, source: SourceRef) -> Creation:
    """Process `message` (userId, anonymousId, traits, context.externalIds) as an identify, at once and under the fence.

    Its identifiers find the person as in any event; without one a profile is made. Raises Invalid.
    """
    raw = msgspec.json.encode({**message, "type": "identify"})
    message_id = "profile-" + os.urandom(16).hex()
    now = now_us()
    body = seal(settings.KEYRING, Envelope(msgspec.Raw(raw)))
    waiting = [Waiting(0, digest_of(source.id, message_id), source.id, now, body)]
    with exclusive() as db:
        plan = make_plan(db, waiting, ground(db), now=now, nameless=True)
        if plan.failures:
            raise Invalid(plan.failures[0].reason, code=plan.failures[0].code)
        plan.write(db)
        decided = plan.resolutions[0]
        profile = Profile.objects.select_related("person").get(pk=decided.profile_id)
    return Creation(profile.person, decided.created)


def delete_person(public_id: uuid.UUID, *, actor: str) -> int:
    """Delete a person: profiles, identifiers, traits, consents, sessions, events and merges. Returns the profiles gone.

    Holds the processing fence. The identity log keeps ids and digests. Messages that still wait are not looked for, and
    nothing is suppressed: a new event with the same identifiers makes a new person. Raises NotFound.
    """
    with exclusive() as db:
        person = person_of(public_id)
        profiles = fragment_ids(person.pk)
        for statement in _DELETIONS:
            db.execute_in(statement, profiles, "bigint")
        gone = db.execute_in("delete from profiles_profile where id {in}", profiles, "bigint")
        _log_deletion(db, person.pk, actor)
    return gone


_DELETIONS = (
    "delete from events_event where profile_id {in}",
    "delete from events_session where profile_id {in}",
    "delete from consents_consentrecord where profile_id {in}",
    "delete from traits_traitdocument where profile_id {in}",
    "delete from identities_identifier where profile_id {in}",
    "delete from profiles_keepapart where first_id {in}",
    "delete from profiles_keepapart where second_id {in}",
    "delete from profiles_merge where target_id {in}",
    "delete from profiles_merge where source_id {in}",
)


def _log_deletion(db: Database, person_id: int, actor: str) -> None:
    db.insert(LOG, [(now_us(), "delete", "request", person_id, None, None, None, None, actor)])
