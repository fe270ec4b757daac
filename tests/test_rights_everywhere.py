"""Every address and every page × every role and kind of key: nobody reads in clear what they have no right to.

One person carries personal and sensitive values in every place that keeps any: identifiers, traits, metadata, events,
the quarantine, rules of segments. They are looked for in all that is answered, headers included.
"""

import json
import re
import uuid
from types import SimpleNamespace

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.db import transaction
from django.test import Client
from django.urls import URLResolver, reverse

from cdp.access.keys import add_api_key
from cdp.access.models import User
from cdp.access.permissions import ACTIONS, WHOLE
from cdp.access.source import SourceRef
from cdp.core.clock import now_us
from cdp.events.models import QuarantinedMessage
from cdp.pipeline.accept import accept
from cdp.pipeline.merge import merge_people
from cdp.privacy.requests import open_request
from cdp.profiles.models import Profile
from cdp.traits.catalogue import forget_catalogue
from cdp.traits.document import TraitValue
from cdp.traits.models import TraitDefinition
from config.urls import API, urlpatterns
from tests import factories as make
from tests.calling import BASE, Api
from tests.routes_table import CLOSED, MODELS, OUTSIDE, PAGES, ROUTES

pytestmark = pytest.mark.django_db

EMAIL, NAME, PHONE, ILLNESS = "zelda@quixmail.example", "Zeldaquix", "+37061234567", "Quixosis"
NEEDLES = {"p": (b"zelda@", b"zelda%40", b"quixmail", b"zeldaquix", b"61234567"), "s": (b"quixosis",)}

KEYS = {
    "read_masked": (["read_masked"], None, []),
    "read and write, nothing in clear": (["read", "write"], None, []),
    "read and write, personal": (["read", "write"], None, ["personal"]),
    "read and write, sensitive": (["read", "write"], None, ["sensitive"]),
    "admin": (["admin"], None, ["personal", "sensitive"]),
    "admin, nothing in clear": (["admin"], None, []),
    "admin as an analyst": (["admin"], "analyst", []),
    "read and write as a marketer": (["read", "write"], "marketer", []),
}
ROLES = ("viewer", "analyst", "marketer", "privacy officer", "administrator")
SEES = {
    "read and write, personal": "p", "read and write, sensitive": "s", "admin": "ps",
    "read and write as a marketer": "p", "marketer": "p", "privacy officer": "ps", "administrator": "ps",
}  # fmt: skip
"""Who sees what in clear; nobody else anything."""


@pytest.fixture
def world(time_machine):
    """The person, somebody to merge with, an event, a quarantined message, a session, a merge, segments, audiences."""
    time_machine.move_to("2026-05-01T12:00:00Z", tick=False)
    now = now_us()
    TraitDefinition.objects.create(key="diagnosis", classification="sensitive")
    TraitDefinition.objects.create(key="medical.blood_type", classification="sensitive")
    forget_catalogue()
    shop = make.source("shop")
    zelda, other, fragment = make.profile(at=now), make.profile(at=now), make.profile(at=now)
    make.identifier(zelda, "email", EMAIL, metadata={"by": EMAIL, "diagnosis": ILLNESS})
    make.identifier(zelda, "phone", PHONE)
    make.identifier(fragment, "device_id", "device-1")
    told = {"by": EMAIL, "diagnosis": ILLNESS, "medical": {"bloodType": ILLNESS, "plan": "pro"}, EMAIL: 1}
    make.traits(
        zelda, of=shop, firstName=NAME, email=EMAIL, plan=TraitValue("pro", at=now, metadata=told), diagnosis=ILLNESS,
        medical=told["medical"], notes=[f"call {EMAIL}", NAME],
    )  # fmt: skip
    make.traits(zelda, of=shop, notes=[f"call {EMAIL}"])
    make.traits(other, of=shop, lastName=NAME, diagnosis=ILLNESS)
    session = make.session(zelda, started=now, last=now, key=b"s" * 16)
    context = {
        "traits": {"email": EMAIL, "medical": {"blood_type": ILLNESS}},
        "page": {"url": f"https://x.example/?e={EMAIL}"},
    }
    event = make.event(zelda, "Signed In", ts=now, of=shop, properties=told, context=context, within=session)
    make.recount(zelda)
    raw = {"type": "track", "event": "x", "properties": told, "to": EMAIL}
    accept([json.dumps(raw).encode(), f"no json, {EMAIL}, {ILLNESS}".encode()], source=SourceRef.of(shop), received=now)
    [merge] = merge_people(zelda.public_id, [fragment.public_id], strategy="latest", actor="test").merges
    quarantined = QuarantinedMessage.objects.order_by("id").first()
    api = Api("admin", name="world")
    segment = api.post("segments", {"name": "Some", "key": "some", "type": "static"})[1]["id"]
    api.post("segments/some/members", {"profileIds": [str(zelda.public_id)]})
    for key, rule in (("named", {"field": "email", "operator": "=", "value": EMAIL}),
                      ("ill", {"trait": "diagnosis", "operator": "in", "value": [ILLNESS]})):  # fmt: skip
        assert (
            api.post("segments", {"name": key, "key": key, "rules": {"operator": "AND", "conditions": [rule]}})[0]
            == 201
        )
    request = open_request(
        "access", {"email": EMAIL}, regulation="gdpr", channel="api", actor="test", contact=EMAIL
    )  # fmt: skip
    audience = api.post("audiences", {"name": "All", "key": "all", "segment": "some"})[1]["id"]
    return SimpleNamespace(
        zelda=zelda,
        other=other,
        request=request,
        ids={
            "customer_id": zelda.public_id, "profile_id": zelda.public_id, "trait_key": "email",
            "consent_type": "MARKETING_EMAIL", "event_id": uuid.UUID(bytes=bytes(event.digest)),
            "merge_id": merge.public_id, "session_id": session.public_id,
            "message_id": uuid.UUID(bytes=bytes(quarantined.digest)), "segment_id": segment, "audience_id": audience,
            "other_id": "named", "request_id": request.public_id,
        },
    )  # fmt: skip


def bodies(world):
    """What to send, by address: nothing is refused for its body."""
    zelda, other = str(world.zelda.public_id), str(world.other.public_id)
    email = {"identityType": "EMAIL", "identityValue": EMAIL}
    trait = {"traitKey": "firstName", "traitValue": NAME, "traitType": "DEMOGRAPHIC"}
    rule = {"operator": "AND", "conditions": [{"field": "country", "operator": "=", "value": "LT"}]}
    return {
        "profiles": {"email": EMAIL, "firstName": NAME, "attributes": {"diagnosis": ILLNESS}},
        "profiles/search": {"query": EMAIL},
        "profiles/merge": {"targetId": zelda, "sourceIds": [other], "dryRun": True},
        "identities/merge": {"targetCustomerId": zelda, "sourceCustomerId": other, "dryRun": True},
        "profiles/identity/link": {"profileId": zelda, "identity": {"type": "email", "value": EMAIL}},
        "profiles/<str:profile_id>": {"attributes": {"lastName": NAME}},
        "identities/<str:customer_id>": {**email, "isPrimary": True},
        "identities/<str:customer_id>/verify": email,
        "identities/<str:customer_id>/set-primary": email,
        "traits/<str:customer_id>": trait,
        "traits/<str:customer_id>/batch": {
            "traits": [trait, {**trait, "traitKey": "diagnosis", "traitValue": ILLNESS}]
        },
        "consents/<str:customer_id>": {"consentType": "MARKETING_EMAIL", "granted": True},
        "consent": {"profileId": zelda, "email": True},
        "sessions/start": {"userId": EMAIL},
        "segments": {"name": "New", "rules": rule},
        "segments/<str:segment_id>": {"name": "Other"},
        "segments/estimate": {"rules": rule},
        "events/track": {"userId": EMAIL, "event": "x", "properties": {"diagnosis": ILLNESS}},
    }


QUERIES = {
    "identity/resolve": f"?identityType=EMAIL&identityValue={EMAIL}",
    "sessions": "?profileId={customer_id}",
    "segments/<str:segment_id>/export": "?fields=id,email",
    "audiences/<str:audience_id>/export": "?fields=id,email",
}


def shown(answer):
    """Which of the protected values are anywhere in an answer."""
    parts = [*answer] if answer.streaming else [answer.content]
    said = b"".join(parts) + repr(answer.headers).encode()
    said = said.lower()
    return "".join(kind for kind, needles in NEEDLES.items() if any(needle in said for needle in needles))


def user_of(role):
    user = User.objects.create_user(role, is_staff=True)
    user.groups.set(Group.objects.filter(name=role))
    return user


def caller(name):
    """A client with the headers to send, and whether it has the permission or the scopes for an action."""
    client = Client()
    if name in ROLES:
        user = user_of(name)
        client.force_login(user)
        return client, {}, lambda action: user.has_perm(ACTIONS[action][1])
    scopes, role, sees = KEYS[name]
    group = Group.objects.get(name=role) if role else None
    _, secret = add_api_key(name, scopes, role=group, sees=sees, rate_limit=0)
    held = {"ingest", "read", "read_masked", "write", "admin"} if "admin" in scopes else set(scopes)
    return client, {"Authorization": f"Bearer {secret}"}, lambda action: bool(held & ACTIONS[action][0])


def visible(shows, name):
    return "".join(sorted(set(shows) & set(SEES.get(name, ""))))


def undone(client, method, path, **more):
    """The answer to a request that leaves nothing behind."""
    with transaction.atomic():
        answer = client.generic(method, path, **more)
        found = answer.status_code, shown(answer)
        transaction.set_rollback(True)
    return found


def test_every_address_is_in_the_table():
    addresses = {f"{method} {address}": need for address, view in API.items() for method, need in view.needs.items()}
    assert {address: need for address, (need, _) in ROUTES.items()} == addresses


@pytest.mark.parametrize("name", [*KEYS, *ROLES, "a stranger"])
def test_what_the_api_shows(name, world):
    """Who has not the right for an address is refused; who has sees what the table says, as far as it is for them."""
    client, headers, may = (Client(), {}, lambda _: False) if name == "a stranger" else caller(name)
    expected, found = {}, {}
    for route, (action, shows) in ROUTES.items():
        method, _, address = route.partition(" ")
        path = re.sub(r"<str:(\w+)>", lambda found: str(world.ids.get(found[1], uuid.UUID(int=1))), address)
        path = BASE + path + QUERIES.get(address, "").format(**world.ids)
        body = b"" if method == "GET" else json.dumps(bodies(world).get(address, {})).encode()
        status, seen = undone(client, method, path, data=body, content_type="application/json", headers=headers)
        allowed = may(action) and (action not in WHOLE or SEES.get(name) == "ps")
        expected[route] = (True, visible(shows, name)) if allowed else (False, "")
        found[route] = (status not in (401, 403), seen)
    different = {route: (found[route], expected[route]) for route in ROUTES if found[route] != expected[route]}
    assert different == {}


STANDARD = ("changelist", "add", "change", "delete", "history")


def names():
    """The names of all pages of the admin."""

    def walk(patterns):
        for pattern in patterns:
            if isinstance(pattern, URLResolver):
                yield from walk(pattern.url_patterns)
            elif pattern.name:
                yield pattern.name, [*pattern.pattern.converters, *pattern.pattern.regex.groupindex]

    found = {}
    for name, parameters in walk(admin.site.get_urls()):
        found.setdefault(name, parameters)
    return found


def test_every_page_is_in_the_table():
    found = names()
    standard = {name for name in found if name.rpartition("_")[2] in STANDARD and name.rpartition("_")[0] in MODELS}
    assert (set(found) - standard) | (set(PAGES) & standard) == set(PAGES)
    assert {name.rpartition("_")[0] for name in standard} == MODELS
    assert {str(pattern.pattern) for pattern in urlpatterns if "/cdp/" not in str(pattern.pattern)} == OUTSIDE


def addresses(world, name, parameters):
    """The page `name` of a row of its model (of all, where there are few), with its other faces."""
    models = {f"{model._meta.app_label}_{model._meta.model_name}": model for model in admin.site._registry}
    model = next((models[one] for one in models if name.startswith(f"{one}_")), None)
    given = {"person_id": world.zelda.pk, "app_label": "profiles", "content_type_id": 1, "url": "nothing",
             "key_id": 1, "secret_id": 1, "request_id": world.request.pk, "file_id": 1}  # fmt: skip
    rows = list(model.objects.all()[:2]) if model is not None else []
    for row in rows if {"object_id", "segment_id"} & set(parameters) else [None]:
        pk = row.pk if row is not None else 1
        if model is Profile and name.endswith("change"):
            pk = world.zelda.pk
        values = {parameter: given.get(parameter, pk) for parameter in parameters}
        address = reverse(f"admin:{name}", kwargs=values)
        yield "GET", address
        if name in PAGES:
            yield "POST", address
        if name == "segments_segment_change":
            yield "GET", f"{address}?edit"
        if name == "profiles_profile_changelist":
            yield "GET", f"{address}?q=device-1"


@pytest.mark.parametrize("role", ROLES)
def test_what_the_admin_shows(role, world):
    user = user_of(role)
    different = {}
    for name, parameters in names().items():
        seen, client = set(), Client()
        client.force_login(user)  # anew: one of the pages signs out
        for method, address in addresses(world, name, parameters):
            status, values = undone(client, method, address)
            assert status < 500, (method, address)
            seen |= set(values)
        open_to = "" if name in CLOSED.get(role, ()) else PAGES.get(name, "")
        found, expected = "".join(sorted(seen)), visible(open_to, role)
        if found != expected:
            different[name] = (found, expected)
    assert different == {}


def test_strangers_are_shown_nothing(world):
    for address in ("/", "/healthz", "/readyz", "/metrics", "/api/schema/", "/api/docs/", "/widget/v1/widget.js",
                    "/widget/demo", "/api/widget/v1/config", "/api/widget/v1/profile", f"/api/{EMAIL[:3]}",
                    "/privacy/packages/x", "/privacy/verify/x"):  # fmt: skip
        assert undone(Client(), "GET", address)[1] == "", address
    for name, parameters in names().items():
        for method, address in addresses(world, name, parameters):
            status, values = undone(Client(), method, address)
            assert (status in (302, 404, 405) or name in ("login", "jsi18n"), values) == (True, ""), (method, address)
