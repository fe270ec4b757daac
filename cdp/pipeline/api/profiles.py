"""Profiles by REST (003, 002): create, list, search, read, update (P1); `cdp.privacy.api.erasures` adds DELETE."""

import contextlib
from typing import Any, ClassVar

import msgspec
from django.db.models import Exists, F, OuterRef, QuerySet, Subquery, Sum
from rest_framework.request import Request
from rest_framework.response import Response

from cdp.access.audit import record_change, record_read
from cdp.access.rights import rights_of
from cdp.access.source import api_source
from cdp.core.clock import now_us
from cdp.core.errors import Invalid, NotFound
from cdp.customer360.document import ProfileDocument, profile_documents
from cdp.customer360.masking import sight_of
from cdp.identities.lookup import current_rules, find_person
from cdp.pipeline.api.consents import state_preferences
from cdp.pipeline.api.profile_body import ConsentGiven, ProfileBody
from cdp.pipeline.identify import add_identifier
from cdp.pipeline.lease import exclusive
from cdp.pipeline.people import create_profile
from cdp.pipeline.write_traits import TraitWrite, delete_trait, set_traits
from cdp.profiles.models import Profile
from cdp.profiles.people import person_of
from cdp.rest.body import moment, read_body
from cdp.rest.endpoint import Endpoint
from cdp.rest.pages import MAX_LIMIT, Page, Window, window
from cdp.rest.schema import PAGE_PARAMETERS, endpoint

EXAMPLE = {
    "externalIds": {"customerId": "c-1001", "shopifyId": "5512"},
    "attributes": {
        "firstName": "Ada",
        "email": "ada@example.com",
        "country": "LT",
        "tags": ["vip"],
        "customFields": {"shoe_size": 38},
    },
    "consent": {"email": True},
}


class SearchBody(msgspec.Struct, rename="camel"):
    """Filters, all of which must hold. Identifiers and ids are compared exactly, after normalising."""

    query: str | None = None
    filters: "SearchFilters | None" = None
    page: int = 1
    limit: int = 50


class SearchFilters(msgspec.Struct, rename="camel"):
    """`query` and these: identifiers, and times and counts of the person."""

    identity_type: str | None = None
    identity_value: str | int | None = None
    namespace: str = ""
    email: str | None = None
    phone: str | None = None
    user_id: str | int | None = None
    customer_id: str | int | None = None
    anonymous_id: str | int | None = None
    device_id: str | None = None
    created_after: str | None = None
    created_before: str | None = None
    last_seen_after: str | None = None
    last_seen_before: str | None = None
    min_purchases: int | None = None
    min_events: int | None = None


class Profiles(Endpoint):
    """`profiles`."""

    needs: ClassVar[dict[str, str]] = {"GET": "read", "POST": "write"}

    @endpoint("List profiles", Page[ProfileDocument], parameters=PAGE_PARAMETERS, tag="profiles")
    def get(self, request: Request) -> Response:
        """One entry per person, the latest first."""
        return _page(request, _people(), window(request))

    @endpoint(
        "Create a profile",
        ProfileDocument,
        body=ProfileBody,
        statuses={201: "Created.", 200: "Its identifiers belong to somebody known: updated."},
        example=EXAMPLE,
        tag="profiles",
    )
    def post(self, request: Request) -> Response:
        """Its identifiers find the person by the rules of identity, as those of an event do."""
        body = read_body(request, ProfileBody)
        with exclusive():
            made = create_profile(body.message(), source=api_source())
            _consent(made.person, body.consent, request)
            _record_change("add" if made.created else "change", made.person, body, request)
        return Response(_document(request, made.person), status=201 if made.created else 200)


class OneProfile(Endpoint):
    """`profiles/:id`."""

    needs: ClassVar[dict[str, str]] = {"GET": "read", "PUT": "write", "PATCH": "write"}

    @endpoint("One profile", ProfileDocument, tag="profiles")
    def get(self, request: Request, profile_id: str) -> Response:
        """By the id of any of the person's profiles."""
        return Response(_document(request, person_of(profile_id)))

    @endpoint("Update a profile", ProfileDocument, body=ProfileBody, example=EXAMPLE, tag="profiles")
    def put(self, request: Request, profile_id: str) -> Response:
        """Sets what is given and leaves the rest; an attribute that is null is deleted. All or nothing.

        409 when an identifier belongs to somebody else.
        """
        return _update(request, profile_id)

    @endpoint("Update a part of a profile", ProfileDocument, body=ProfileBody, example=EXAMPLE, tag="profiles")
    def patch(self, request: Request, profile_id: str) -> Response:
        """The same as PUT."""
        return _update(request, profile_id)


class SearchProfiles(Endpoint):
    """`profiles/search`."""

    needs: ClassVar[dict[str, str]] = {"POST": "read"}

    @endpoint(
        "Search profiles",
        Page[ProfileDocument],
        body=SearchBody,
        example={"filters": {"email": "ada@example.com"}, "page": 1, "limit": 50},
        tag="profiles",
    )
    def post(self, request: Request) -> Response:
        """`query` is a profile's id or any identifier of the person. Newest person first."""
        body = read_body(request, SearchBody)
        if not 1 <= body.limit <= MAX_LIMIT or not 1 <= body.page <= 10_000:
            raise Invalid(f"`limit` is from 1 to {MAX_LIMIT}, `page` from 1.", details={"path": "limit"})
        people = _filtered(_people(), body.filters or SearchFilters())
        if body.query is not None:
            people = people.filter(pk__in=_anybody(body.query.strip()))
        return _page(request, people, Window(page=body.page, limit=body.limit))


def _people() -> QuerySet[Profile]:
    return Profile.objects.filter(person_id=F("id")).order_by("-id")


def _page(request: Request, people: QuerySet[Profile], asked: Window) -> Response:
    rights = rights_of(request)
    rows = list(people[asked.offset : asked.offset + asked.limit])
    documents = profile_documents(rows, now=now_us(), clear=sight_of(rights)) if rows else []
    _record(request, rows)
    return Response(asked.page_of(documents, total=people.count()))


def _document(request: Request, person: Profile) -> ProfileDocument:
    fresh = person_of(person.public_id)
    _record(request, [fresh])
    return profile_documents([fresh], now=now_us(), clear=sight_of(rights_of(request)))[0]


def _record(request: Request, people: list[Profile]) -> None:
    record_read(
        rights_of(request),
        object_type="profile",
        object_ids=[person.public_id for person in people],
        fields=["attributes", "externalIds"],
        request=request,
    )


def _record_change(action: str, person: Profile, body: ProfileBody, request: Request) -> None:
    record_change(
        rights_of(request).actor,
        action=action,
        object_type="profile",
        object_ids=[person.public_id],
        fields={*body.traits(), *(code for code, _, _ in body.identifiers())},
    )


def _consent(person: Profile, given: ConsentGiven | None, request: Request) -> None:
    stated = msgspec.structs.asdict(given) if given is not None else {}
    if any(value is not None for value in stated.values()):
        state_preferences(str(person.public_id), stated, actor=rights_of(request).actor)


def _update(request: Request, profile_id: str) -> Response:
    body = read_body(request, ProfileBody)
    traits, identifiers = body.traits(), body.identifiers()
    actor = rights_of(request).actor
    with exclusive():
        person = person_of(profile_id)
        for code, namespace, value in identifiers:
            add_identifier(person.public_id, code, value, namespace=namespace, actor=actor)
        writes = [TraitWrite(key=key, value=value) for key, value in traits.items() if value is not None]
        if writes:
            set_traits(person.public_id, writes, source=api_source())
        for key in [key for key, value in traits.items() if value is None]:
            _delete_if_there(person, key)
        _consent(person, body.consent, request)
        _record_change("change", person, body, request)
    return Response(_document(request, person))


def _delete_if_there(person: Profile, key: str) -> None:
    with contextlib.suppress(NotFound):
        delete_trait(person.public_id, key)


def _filtered(people: QuerySet[Profile], asked: SearchFilters) -> QuerySet[Profile]:
    for code, value in _identifiers(asked):
        found = find_person(code, value, asked.namespace)
        people = people.filter(pk=found.pk) if found is not None else people.none()
    fragments = Profile.objects.filter(person_id=OuterRef("pk")).order_by()
    times = {
        name: moment(getattr(asked, name), f"filters.{field}")
        for name, field in (
            ("created_after", "createdAfter"),
            ("created_before", "createdBefore"),
            ("last_seen_after", "lastSeenAfter"),
            ("last_seen_before", "lastSeenBefore"),
        )
    }
    if times["created_after"] is not None:
        people = people.filter(created_at__gte=times["created_after"])
    if times["created_before"] is not None:
        people = people.filter(created_at__lte=times["created_before"])
    if times["last_seen_after"] is not None:
        people = people.filter(Exists(fragments.filter(last_seen__gte=times["last_seen_after"])))
    if times["last_seen_before"] is not None:
        people = people.exclude(Exists(fragments.filter(last_seen__gt=times["last_seen_before"])))
    for column, least in (("purchase_count", asked.min_purchases), ("event_count", asked.min_events)):
        if least is not None:
            total = fragments.values("person_id").annotate(total=Sum(column)).values("total")
            people = people.alias(**{f"all_{column}": Subquery(total)}).filter(**{f"all_{column}__gte": least})
    return people


def _identifiers(asked: SearchFilters) -> list[tuple[str, str]]:
    pairs: list[tuple[str, Any]] = [
        ("email", asked.email),
        ("phone", asked.phone),
        ("user_id", asked.user_id),
        ("user_id", asked.customer_id),
        ("anonymous_id", asked.anonymous_id),
        ("device_id", asked.device_id),
    ]
    if asked.identity_type is not None:
        pairs.append((asked.identity_type, asked.identity_value if asked.identity_value is not None else ""))
    return [(code, str(value)) for code, value in pairs if value is not None]


def _anybody(text: str) -> list[int]:
    """The people that `text` may mean: a profile's id, or an identifier of any type."""
    found = set()
    with contextlib.suppress(NotFound):
        found.add(person_of(text).pk)
    for code in current_rules().kinds:
        person = find_person(code, text)
        if person is not None:
            found.add(person.pk)
    return sorted(found)
