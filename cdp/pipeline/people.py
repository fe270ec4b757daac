"""Creating people on request."""

import os
from typing import Any

import msgspec
from django.conf import settings

from cdp.access.source import SourceRef
from cdp.core.clock import now_us
from cdp.core.errors import Conflict, Invalid
from cdp.identities.suppression import Suppressed
from cdp.pipeline.batch import Batch, Waiting
from cdp.pipeline.lease import exclusive, ground
from cdp.pipeline.message import Envelope, digest_of, seal
from cdp.pipeline.opening import SUPPRESSED
from cdp.pipeline.plan import make_plan, write_plan
from cdp.profiles.models import Profile


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
