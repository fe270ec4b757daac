"""Rows for the tests, as the pipeline would have written them: encrypted bodies, real digests, consistent counters.

Times are microseconds since 1970; `T0` is a moment to count from. Every function saves and returns the row.
"""

import itertools
import json
import uuid
from typing import Any

from django.conf import settings
from django.db.models import Count, Max, Min

from cdp.access.models import Source, User
from cdp.core.clock import DAY
from cdp.core.ids import uuid7
from cdp.events.body import CarriedIdentifier, EventBody, seal_body
from cdp.events.models import Event, Session
from cdp.events.vocabulary import event_type
from cdp.identities.decisions import Decision
from cdp.identities.lookup import current_rules, known_kind
from cdp.identities.models import Identifier, SuppressedIdentifier
from cdp.identities.rules import digest
from cdp.identities.suppression import suppression_digest
from cdp.identities.value import IdentifierBody, seal_identifier
from cdp.pipeline.message import digest_of
from cdp.privacy.models import PrivacyRequest
from cdp.profiles.models import Merge, Profile
from cdp.traits.document import TraitValue, open_document, seal_document
from cdp.traits.models import TraitDocument

T0 = 1_767_225_600_000_000
"""2026-01-01T00:00:00Z."""
_numbers = itertools.count(1)


def source(name: str = "shop", kind: str = Source.Kind.SERVER) -> Source:
    """The source called `name`."""
    return Source.objects.get_or_create(name=name, defaults={"kind": kind})[0]


def user(name: str = "alice", *, administrator: bool = False, permissions: tuple[str, ...] = ()) -> User:
    """Somebody who may sign in to the console, with the password `secret`; `permissions` are `app.codename`."""
    from django.contrib.auth.models import Permission

    made = User.objects.create_user(username=name, password="secret", is_staff=True, is_superuser=administrator)
    for permission in permissions:
        app, _, codename = permission.partition(".")
        made.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
    return made


def profile(*, at: int = T0, revenue: dict[str, int] | None = None, **fields: Any) -> Profile:
    """A profile that is a person of its own. `revenue` is in 1/10,000 units by currency."""
    values = {"created_at": at, "updated_at": at, "first_seen": at, "last_seen": at, **fields}
    made = Profile(public_id=uuid7(), person_id=0, revenue=json.dumps(revenue or {}), **values)
    made.save()
    made.person = made
    made.save(update_fields=["person"])
    return made


def merge(target: Profile, other: Profile, *, at: int = T0, **fields: Any) -> Merge:
    """Makes one person of two: `target`, the older, gives the public id."""
    Profile.objects.filter(person_id=other.person_id).update(person_id=target.person_id)
    other.refresh_from_db()
    values = {"cause": Merge.Cause.INFERENCE, "strategy": Merge.Strategy.RULE, "created_at": at, **fields}
    return Merge.objects.create(public_id=uuid7(), target=target, source=other, **values)


def identifier(
    owner: Profile, code: str, value: str, *, namespace: str = "", at: int = T0, **fields: Any
) -> Identifier:
    """An identifier of `owner`, trusted unless said otherwise."""
    rules = current_rules()
    kind, space = known_kind(rules, code, namespace)
    text = rules.spelling(kind, value)
    assert text is not None, f"{value!r} is no {code}"
    body = IdentifierBody(
        value=text, raw=value, provider=fields.pop("provider", ""), metadata=fields.pop("metadata", None)
    )
    values = {"trusted": True, "linking": kind.joins, "first_seen": at, **fields}
    return Identifier.objects.create(
        type_id=kind.id,
        namespace=space,
        digest=digest(settings.KEYRING, kind, space, text),
        key_version=settings.KEYRING.current,
        profile=owner,
        body=seal_identifier(body),
        **values,
    )


def suppress(code: str, value: str) -> SuppressedIdentifier:
    """An identifier of somebody who was erased."""
    rules = current_rules()
    kind, namespace = rules.kind(code)
    text = rules.spelling(kind, value)
    assert text is not None, f"{value!r} is no {code}"
    digest_ = suppression_digest(settings.KEYRING, kind, namespace, text)
    return SuppressedIdentifier.objects.create(digest=digest_, type_id=kind.id, created_at=T0)


def traits(owner: Profile, *, at: int = T0, of: Source | None = None, **values: Any) -> TraitDocument:
    """Adds traits to the document of `owner`; a value may be a whole `TraitValue`."""
    row = TraitDocument.objects.filter(profile=owner).first()
    document = open_document(row.body if row else None)
    for key, value in values.items():
        document[key] = (
            value if isinstance(value, TraitValue) else TraitValue(value=value, at=at, source_id=of.pk if of else 0)
        )
    return TraitDocument.objects.update_or_create(
        profile=owner, defaults={"updated_at": at, "body": seal_document(document)}
    )[0]


def session(owner: Profile, *, started: int, last: int, **fields: Any) -> Session:
    """A session of `owner`."""
    entry = json.dumps(fields.pop("entry", {}))
    return Session.objects.create(public_id=uuid7(), profile=owner, started=started, last=last, entry=entry, **fields)


def event(
    owner: Profile,
    name: str = "Product Viewed",
    *,
    ts: int = T0,
    call: str = "track",
    properties: dict[str, Any] | None = None,
    context: dict[str, Any] | None = None,
    identifiers: list[CarriedIdentifier] | None = None,
    of: Source | None = None,
    decision: Decision = Decision.ATTACHED,
    within: Session | None = None,
    message_id: str = "",
) -> Event:
    """A hot event of `owner`. The counters of the profile are left alone: `recount` sets them."""
    message_id = message_id or f"message-{next(_numbers)}"
    body = EventBody(
        message_id=message_id, properties=properties or {}, context=context or {}, identifiers=identifiers or []
    )
    return Event.objects.create(
        digest=digest_of(of.pk if of else 0, f"{uuid.uuid4()}{message_id}"),
        profile=owner,
        source=of,
        session=within,
        call=Event.Call[call.upper()],
        type=event_type(call, name),
        name=name,
        ts=ts,
        received=ts,
        decision=decision,
        body=seal_body(body),
    )


def recount(owner: Profile, *, revenue: dict[str, int] | None = None) -> Profile:
    """Sets the counters of `owner` to what its events say; `revenue` is in 1/10,000 units."""
    seen = Event.objects.filter(profile=owner).aggregate(n=Count("id"), first=Min("ts"), last=Max("ts"))
    bought = Event.objects.filter(profile=owner, type="PURCHASE").aggregate(
        n=Count("id"), first=Min("ts"), last=Max("ts")
    )
    owner.event_count, owner.purchase_count = seen["n"], bought["n"]
    owner.first_seen, owner.last_seen = seen["first"] or owner.first_seen, seen["last"] or owner.last_seen
    owner.first_purchase, owner.last_purchase = bought["first"], bought["last"]
    owner.revenue = json.dumps(revenue or {})
    owner.save()
    return owner


def privacy_request(person: Profile, *, at: int = T0, **fields: Any) -> PrivacyRequest:
    """A request of `person`, for access unless said otherwise, that waits for an officer."""
    values = {"kind": "access", "status": "pending", "channel": "api", "created_by": "user:1", **fields}
    return PrivacyRequest.objects.create(person=person, created_at=at, due_at=at + 30 * DAY, **values)


def days(number: float) -> int:
    """`number` days in microseconds."""
    return int(number * DAY)
