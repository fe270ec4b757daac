"""Why an event belongs to the person it belongs to: for every event, from what it carries itself (P5)."""

import msgspec
from django.db.models import Q

from cdp.events.body import open_body
from cdp.events.models import Event
from cdp.identities.decisions import DECISION_SENTENCES, USE_SENTENCES, Decision, Use
from cdp.identities.models import IdentityLog
from cdp.profiles.models import Merge

_OF_NOBODY = (
    "Its person does not allow {}: the event counts by name and day, without a person, identifiers, context and"
    " personal properties."
)


class IdentifierUse(msgspec.Struct, frozen=True, rename="camel"):
    """What became of one identifier of the message; `digest` in hex, never the value."""

    type: str
    namespace: str
    digest: str
    use: str
    sentence: str


class Explanation(msgspec.Struct, frozen=True, rename="camel"):
    """The decision about one message, in words and in parts."""

    decision: str
    sentence: str
    identifiers: list[IdentifierUse]
    merges: list[str]
    log: list[str]


def why(event: Event) -> Explanation:
    """The explanation of `event`: three queries, no personal value."""
    decision = Decision(event.decision)
    if not event.profile_id or event.profile is None:
        return Explanation(decision.name.lower(), _OF_NOBODY.format(_purpose(event)), [], [], [])
    digest = bytes(event.digest)
    person = event.profile.person_id
    merges = Merge.objects.filter(Q(target__person=person) | Q(source__person=person), event=digest)
    logged = IdentityLog.objects.filter(profile_id=event.profile_id, event=digest).order_by("id")
    return Explanation(
        decision=decision.name.lower(),
        sentence=DECISION_SENTENCES[decision],
        identifiers=[
            IdentifierUse(
                type=carried.type,
                namespace=carried.namespace,
                digest=carried.digest.hex(),
                use=Use(carried.use).name.lower(),
                sentence=f"{carried.type} {USE_SENTENCES[Use(carried.use)]}.",
            )
            for carried in open_body(event.body).identifiers
        ],
        merges=[str(merge.public_id) for merge in merges],
        log=[f"{row.kind}: {row.rule}" for row in logged],
    )


def _purpose(event: Event) -> str:
    """The purpose that was not allowed."""
    warnings = (warning.partition(":") for warning in open_body(event.body).warnings)
    return next((purpose for word, _, purpose in warnings if word == "redacted"), "it")
