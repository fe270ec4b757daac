"""Every address of the API and every page of the admin: what shows a personal value in clear leaves an audit entry.

One person carries values that are looked for in every answer. Whoever has the right sees them and is recorded; whoever
has not sees none of them and leaves no entry of a read.
"""

import json
import re
import uuid
from types import SimpleNamespace

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse

from cdp.access.models import AuditEntry, User
from cdp.access.source import SourceRef
from cdp.core.clock import now_us
from cdp.events.models import QuarantinedMessage
from cdp.pipeline.accept import accept
from cdp.pipeline.merge import merge_people
from config.urls import API
from tests import factories as make
from tests.calling import BASE, Api

pytestmark = pytest.mark.django_db

EMAIL, NAME, PHONE = "zelda@quixmail.example", "Zeldaquix", "+37061234567"
READS = ("read", "resolve", "export")
ROUTES = [(method, address) for address, view in sorted(API.items()) for method in view.needs]
SHOWN = {
    ("GET", "audiences/<str:audience_id>/members"),
    ("GET", "segments/<str:segment_id>/members"),
    ("POST", "audiences/<str:audience_id>/export"),
    ("POST", "segments/<str:segment_id>/export"),
    ("GET", "customer360/<str:customer_id>"),
    ("GET", "events"),
    ("GET", "events/<str:customer_id>/recent"),
    ("GET", "events/<str:event_id>"),
    ("GET", "identities/<str:customer_id>"),
    ("GET", "profiles"),
    ("GET", "profiles/<str:profile_id>"),
    ("GET", "profiles/<str:profile_id>/events"),
    ("GET", "profiles/<str:profile_id>/timeline"),
    ("GET", "quarantine"),
    ("GET", "traits/<str:customer_id>"),
    ("GET", "traits/<str:customer_id>/<str:trait_key>"),
    ("PATCH", "profiles/<str:profile_id>"),
    ("POST", "identities/<str:customer_id>"),
    ("POST", "identities/<str:customer_id>/set-primary"),
    ("POST", "identities/<str:customer_id>/verify"),
    ("POST", "identities/merge"),
    ("POST", "profiles"),
    ("POST", "profiles/identity/link"),
    ("POST", "profiles/merge"),
    ("POST", "profiles/search"),
    ("POST", "traits/<str:customer_id>"),
    ("POST", "traits/<str:customer_id>/batch"),
    ("PUT", "profiles/<str:profile_id>"),
}
"""What is known to show values: the test would say nothing if it looked at empty answers."""


@pytest.fixture
def world(time_machine):
    """The person, somebody to merge with, an event, a quarantined message, a session, a merge."""
    shop = make.source("shop")
    zelda, other, fragment = make.profile(at=now_us()), make.profile(at=now_us()), make.profile(at=now_us())
    make.identifier(zelda, "email", EMAIL)
    make.identifier(zelda, "phone", PHONE)
    make.identifier(fragment, "device_id", "device-1")
    make.traits(zelda, of=shop, firstName=NAME, email=EMAIL, plan="pro")
    make.traits(other, of=shop, lastName=NAME)
    session = make.session(zelda, started=now_us(), last=now_us(), key=b"s" * 16)
    event = make.event(zelda, "Signed In", ts=now_us(), of=shop, properties={"by": EMAIL}, within=session)
    make.recount(zelda)
    accept(
        [f'{{"type": "track", "event": "x", "to": "{EMAIL}"}}'.encode()], source=SourceRef.of(shop), received=now_us()
    )
    [merge] = merge_people(zelda.public_id, [fragment.public_id], strategy="latest", actor="test").merges
    quarantined = QuarantinedMessage.objects.get()
    api = Api("admin", name="world")
    segment = api.post("segments", {"name": "Some", "key": "some", "type": "static"})[1]["id"]
    api.post("segments/some/members", {"profileIds": [str(zelda.public_id)]})
    audience = api.post("audiences", {"name": "All", "key": "all", "segment": "some"})[1]["id"]
    AuditEntry.objects.all().delete()
    return SimpleNamespace(
        zelda=zelda,
        other=other,
        ids={
            "customer_id": zelda.public_id, "profile_id": zelda.public_id, "trait_key": "email",
            "consent_type": "MARKETING_EMAIL", "event_id": uuid.UUID(bytes=bytes(event.digest)),
            "merge_id": merge.public_id, "session_id": session.public_id,
            "message_id": uuid.UUID(bytes=bytes(quarantined.digest)), "segment_id": segment, "audience_id": audience,
        },
        named={
            segment, audience, str(zelda.public_id), str(other.public_id), str(quarantined.pk),
            str(uuid.UUID(bytes=bytes(event.digest))), str(uuid.UUID(bytes=bytes(quarantined.digest))),
        },
    )  # fmt: skip


def bodies(world):
    """What to send, by address."""
    zelda, other = str(world.zelda.public_id), str(world.other.public_id)
    email = {"identityType": "EMAIL", "identityValue": EMAIL}
    trait = {"traitKey": "nickname", "traitValue": NAME, "traitType": "DEMOGRAPHIC"}
    return {
        "profiles": {"email": EMAIL, "firstName": NAME},
        "profiles/search": {"query": EMAIL},
        "profiles/merge": {"targetId": zelda, "sourceIds": [other], "dryRun": True},
        "identities/merge": {"targetCustomerId": zelda, "sourceCustomerId": other, "dryRun": True},
        "profiles/identity/link": {"profileId": zelda, "identity": {"type": "email", "value": EMAIL}},
        "profiles/<str:profile_id>": {"attributes": {"lastName": NAME}},
        "identities/<str:customer_id>": {**email, "isPrimary": True},
        "identities/<str:customer_id>/verify": email,
        "identities/<str:customer_id>/set-primary": email,
        "traits/<str:customer_id>": {**trait, "traitKey": "firstName"},
        "traits/<str:customer_id>/batch": {"traits": [{**trait, "traitKey": "firstName"}]},
        "consents/<str:customer_id>": {"consentType": "MARKETING_EMAIL", "granted": True},
        "consent": {"profileId": zelda, "email": True},
        "sessions/start": {"userId": EMAIL},
    }


QUERIES = {
    "identity/resolve": f"?identityType=EMAIL&identityValue={EMAIL}",
    "sessions": "?profileId={customer_id}",
    "segments/<str:segment_id>/export": "?fields=id,email",
    "audiences/<str:audience_id>/export": "?fields=id,email",
}


def asked(world, method, address):
    path = re.sub(r"<str:(\w+)>", lambda found: str(world.ids.get(found[1], uuid.UUID(int=1))), address)
    path += QUERIES.get(address, "").format(**world.ids)
    return path, bodies(world).get(address, {}) if method in ("POST", "PUT", "PATCH") else None


def shows(answer):
    text = answer.getvalue().decode()
    return any(value in text for value in (EMAIL, NAME, PHONE))


def reads(after=0):
    """(actor, ids) of the entries behind the number `after` that say that somebody looked."""
    rows = AuditEntry.objects.filter(action__in=READS, pk__gt=after).values_list("actor", "object_ids")
    return [(actor, set(ids)) for actor, ids in rows]


@pytest.mark.parametrize(("method", "address"), ROUTES, ids=[f"{m} {a}" for m, a in ROUTES])
def test_what_the_api_shows_is_recorded(method, address, world):
    api, masked = Api("admin", name="all"), Api("read_masked", name="masked")
    path, body = asked(world, method, address)

    def answer(caller):
        sent = b"" if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {caller.key}"}
        return caller.client.generic(method, BASE + path, sent, content_type="application/json", headers=headers)

    hidden = answer(masked)
    assert (shows(hidden), reads()) == (False, [])
    clear = answer(api)
    assert clear.status_code < 500
    if shows(clear):
        [(actor, ids)] = reads()
        assert (actor, bool(ids & world.named)) == (f"key:{api.row.pk}", True), ids
    else:
        assert (method, address) not in SHOWN, clear.getvalue()


def pages(world):
    """Every list, and a page of every model that has a row."""
    for model, page in admin.site._registry.items():
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        yield reverse(f"{name}_changelist")
        row = page.get_queryset(SimpleNamespace(user=None, GET={})).first()
        if row is not None:
            yield reverse(f"{name}_change", args=[row.pk])
    yield reverse("admin:profiles_profile_timeline", args=[world.zelda.pk])
    yield reverse("admin:profiles_profile_changelist") + "?q=device-1"
    yield reverse("admin:index")


def test_what_the_admin_shows_is_recorded(world):
    zelda = reverse("admin:profiles_profile_change", args=[world.zelda.pk])
    shown = set()
    for name in ("viewer", "analyst", "marketer", "privacy officer", "administrator"):
        user = User.objects.create_user(name, is_staff=True)
        user.groups.add(Group.objects.get(name=name))
        client = Client()
        client.force_login(user)
        may = user.has_perm("access.view_personal")
        for address in {*pages(world), zelda}:
            last = AuditEntry.objects.order_by("-id").values_list("pk", flat=True).first() or 0
            answer = client.get(address)
            assert answer.status_code in (200, 403), (name, address)
            if shows(answer):
                [(actor, ids)] = reads(last)
                assert (may, actor, bool(ids & world.named)) == (True, f"user:{user.pk}", True), address
                shown.add(address.partition("?")[0])
            elif not may:
                assert reads(last) == [], (name, address)
    assert {zelda, reverse("admin:profiles_profile_changelist"),
            reverse("admin:profiles_profile_timeline", args=[world.zelda.pk])} <= shown  # fmt: skip
