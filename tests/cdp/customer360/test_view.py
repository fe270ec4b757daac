"""Customer 360 (P9) and the profile document (P1): the whole JSON, its masked form, and the number of queries."""

import json

import msgspec
import pytest

from cdp.consents.models import ConsentRecord
from cdp.core.clock import iso
from cdp.core.ids import uuid7
from cdp.customer360.document import profile_document
from cdp.customer360.view import customer360
from cdp.traits.document import TraitValue
from tests import factories as make
from tests.factories import T0, days

pytestmark = pytest.mark.django_db
NOW = T0 + days(365)


def as_json(struct):
    return json.loads(msgspec.json.encode(struct))


@pytest.fixture
def ada():
    """A person of two profiles: what she did before she signed in, and after."""
    shop = make.source("shop")
    person = make.profile(revenue={"EUR": 50_000_000}, purchase_count=3, last_purchase=NOW - days(1))
    guest = make.profile(at=T0 + 1)
    make.merge(person, guest)
    make.identifier(person, "user_id", "u-1")
    make.identifier(person, "email", "Ada@Example.com", verified_at=T0 + 5, primary=True, provider="shop")
    make.identifier(person, "phone", "+37060000001", at=T0 + 2)
    make.identifier(person, "external", "7001", namespace="shopify")
    make.identifier(guest, "device_id", "phone-1", at=T0 + 3)
    make.traits(person, of=shop, firstName="Ada", plan="pro", city="Vilnius", at=T0 + 7)
    make.traits(
        person,
        dateOfBirth="1990-05-01",
        address={"street": "Gedimino 1", "country": "LT"},
        preferredContact="email",
        score=TraitValue(value=7, at=T0, type="RISK", label="model", computed_at=T0 + 9, metadata={"v": 2}),
        gone=TraitValue(value=1, at=T0, expires_at=NOW),
    )
    make.event(guest, "Product Viewed", ts=T0 + 1, of=shop, properties={"sku": "A1"})
    make.event(person, "identify", call="identify", ts=T0 + 2, of=shop)
    make.event(person, "Signed In", ts=NOW - days(14), of=shop)
    return person


def test_the_whole_view(ada, django_assert_num_queries):
    customer360(ada, now=NOW, clear=True)  # the catalogue is read every few seconds only
    with django_assert_num_queries(9):
        view = as_json(customer360(ada, now=NOW, clear=True))
    person, guest = str(ada.public_id), str(ada.fragments.last().public_id)
    guest = next(str(f.public_id) for f in ada.fragments.all() if f.pk != ada.pk)
    events = {event["eventName"]: event["id"] for event in view["recentEvents"]}
    assert [event["eventName"] for event in view.pop("recentEvents")] == ["Signed In", "identify", "Product Viewed"]

    def identity(kind, value, at=T0, **more):
        return {
            "identityType": kind,
            "identityValue": value,
            "namespace": None,
            "provider": None,
            "verifiedAt": None,
            "isPrimary": False,
            "isTrusted": True,
            "metadata": {},
            "firstSeenAt": iso(at),
            "profileId": person,
            **more,
        }

    def trait(key, value, at=T0, **more):
        return {
            "traitKey": key,
            "traitValue": value,
            "traitType": None,
            "source": None,
            "computedAt": iso(at),
            "expiresAt": None,
            "metadata": {},
            "verified": False,
            "rule": "only value",
            "profileId": person,
            **more,
        }

    def step(code, name, kind, event, at):
        return {
            "step": code,
            "stepName": name,
            "eventId": events[event],
            "eventType": kind,
            "eventName": event,
            "occurredAt": iso(at),
        }

    assert view == {
        "customer": {
            "id": person,
            "email": "ada@example.com",
            "phoneNumber": "+37060000001",
            "isVerified": True,
            "lastLoginAt": iso(NOW - days(14)),
            "createdAt": iso(T0),
        },
        "profile": {
            "dateOfBirth": "1990-05-01",
            "preferredContact": "email",
            "address": {"street": "Gedimino 1", "country": "LT"},
            "emergencyContact": None,
            "preferences": None,
        },
        "identities": [
            identity("USER_ID", "u-1"),
            identity("EMAIL", "ada@example.com", verifiedAt=iso(T0 + 5), isPrimary=True, provider="shop"),
            identity("PHONE", "+37060000001", T0 + 2),
            identity("EXTERNAL_ID", "7001", namespace="shopify"),
            identity("DEVICE_ID", "phone-1", T0 + 3, profileId=guest),
        ],
        "traits": [
            trait("address", {"street": "Gedimino 1", "country": "LT"}),
            trait("city", "Vilnius", T0 + 7, source="shop"),
            trait("dateOfBirth", "1990-05-01"),
            trait("firstName", "Ada", T0 + 7, source="shop"),
            trait("plan", "pro", T0 + 7, source="shop"),
            trait("preferredContact", "email"),
            trait("score", 7, T0 + 9, traitType="RISK", source="model", metadata={"v": 2}),
        ],
        "segments": [],
        "consents": [],
        # recency 50; frequency 100·(1−2^(−1/8)) = 8.3; monetary 99.9; portal 100·(1−2^(−1/5)) = 12.9
        # overall = 0.3·50 + 0.3·8.30 + 0.2·99.90 + 0.2·12.94 = 15 + 2.49 + 19.98 + 2.59 = 40.06
        "engagementScore": {
            "overallScore": 40,
            "emailScore": 0,
            "webScore": 0,
            "portalScore": 13,
            "recencyScore": 50,
            "frequencyScore": 8,
            "monetaryScore": 100,
            "computedAt": iso(NOW),
        },
        "lifetimeValue": {
            "currentValue": 5000.0,
            "predictedValue": None,
            "totalPurchases": 3,
            "averagePurchaseValue": 1666.67,
            "purchaseFrequency": 0.25,
            "customerTenure": 365,
            "churnProbability": None,
            "currency": "EUR",
            "byCurrency": {"EUR": 5000.0},
            "computedAt": iso(NOW),
        },
        # six values are known without personal ones (city, plan, preferredContact, score, address.country, birthYear):
        # completeness 100·(1−2^(−6/5)) = 56.5; by the counters last seen a year ago: 100·2^(−365/30) = 0; value 99.9
        # score = 0.3·56.47 + 0 + 0.3·40 + 0.2·99.90 = 16.94 + 12 + 19.98 = 48.9
        "profileScore": {
            "score": 49,
            "completeness": 56,
            "recency": 0,
            "engagement": 40,
            "value": 100,
            "lifecycleStage": "prospect",
            "computedAt": iso(NOW),
        },
        "journeySteps": [
            step("first_seen", "First seen", "PRODUCT_VIEW", "Product Viewed", T0 + 1),
            step("first_product_view", "First product viewed", "PRODUCT_VIEW", "Product Viewed", T0 + 1),
            step("identified", "Identified", "PROFILE_UPDATE", "identify", T0 + 2),
            step("first_login", "First sign-in", "LOGIN", "Signed In", NOW - days(14)),
        ],
        "computedAt": dict.fromkeys(
            [
                "customer",
                "profile",
                "identities",
                "traits",
                "segments",
                "consents",
                "engagementScore",
                "lifetimeValue",
                "profileScore",
                "recentEvents",
                "journeySteps",
            ],
            iso(NOW),
        ),
    }


def test_masked_for_those_without_the_right(ada):
    view = customer360(ada, now=NOW, clear=False)
    assert (view.customer.email, view.customer.phone_number) == ("a***@e***.com", "+370***01")
    assert [identity.identity_value for identity in view.identities] == [
        "u-1", "a***@e***.com", "+370***01", "7001", "phone-1",
    ]  # fmt: skip
    assert {trait.trait_key: trait.trait_value for trait in view.traits} == {
        "address": {"street": "***", "country": "***"},
        "city": "Vilnius",
        "dateOfBirth": "***",
        "firstName": "A***",
        "plan": "pro",
        "preferredContact": "email",
        "score": 7,
    }
    assert as_json(view.profile)["dateOfBirth"] == "***"
    text = msgspec.json.encode([view, profile_document(ada, now=NOW, clear=False)]).decode()
    for value in ("ada@example.com", "Ada", "37060000001", "1990-05-01", "Gedimino"):
        assert value not in text


def test_a_profile_of_one_fragment_without_anything(django_assert_num_queries):
    person = make.profile()
    with django_assert_num_queries(9):  # the catalogue among them
        view = customer360(person, now=T0, clear=True)
    assert (view.identities, view.traits, view.consents, view.recent_events, view.journey_steps) == ([], [], [], [], [])
    assert (view.customer.email, view.customer.last_login_at, view.lifetime_value.currency) == (None, None, None)


@pytest.mark.parametrize("count", [1, 30])
def test_the_queries_do_not_grow_with_the_person(count, django_assert_num_queries):
    person = make.profile()
    for number in range(count):
        make.event(person, ts=T0 + number)
        make.identifier(person, "device_id", f"device-{number}")
        make.traits(person, **{f"key{number}": number})
    customer360(person, now=NOW, clear=False)
    with django_assert_num_queries(8):
        view = customer360(person, now=NOW, clear=False)
    assert (len(view.recent_events), len(view.identities), len(view.traits)) == (min(count, 25), count, count)


def test_purchases_are_milestones():
    person = make.profile()
    for number, name in enumerate(["Product Added", "Order Completed", "Order Completed", "Order Completed"]):
        make.event(person, name, ts=T0 + number)
    steps = [(step.step, step.occurred_at) for step in customer360(person, now=NOW, clear=True).journey_steps]
    assert [name for name, _ in steps] == ["first_seen", "first_add_to_cart", "first_purchase", "repeat_purchase"]


def test_consents_of_the_person(ada):
    ConsentRecord.objects.create(
        public_id=uuid7(), profile=ada, type="MARKETING_EMAIL", granted=True, at=T0 + 4, source="form"
    )
    assert as_json(customer360(ada, now=NOW, clear=True).consents) == [
        {
            "consentType": "MARKETING_EMAIL",
            "granted": True,
            "source": "form",
            "cause": "statement",
            "updatedAt": iso(T0 + 4),
            "expiresAt": None,
            "documentVersion": None,
        }
    ]
    assert as_json(profile_document(ada, now=NOW, clear=True).consent) == {"email": True, "updatedAt": iso(T0 + 4)}


def test_the_profile_document(ada, django_assert_num_queries):
    with django_assert_num_queries(7):  # the catalogue among them
        document = as_json(profile_document(ada, now=NOW, clear=True))
    assert document == {
        "id": str(ada.public_id),
        "externalIds": {
            "customerId": "u-1",
            "email": "ada@example.com",
            "phone": "+37060000001",
            "shopifyId": "7001",
            "deviceIds": ["phone-1"],
        },
        "attributes": {
            "firstName": "Ada",
            "country": "LT",
            "city": "Vilnius",
            "email": "ada@example.com",
            "phone": "+37060000001",
            "customFields": {
                "address": {"street": "Gedimino 1", "country": "LT"},
                "dateOfBirth": "1990-05-01",
                "plan": "pro",
                "preferredContact": "email",
                "score": 7,
            },
        },
        "computed": {
            "ltv": 5000.0,
            "aov": 1666.67,
            "currency": "EUR",
            "purchaseCount": 3,
            "lastPurchaseDate": iso(NOW - days(1)),
            "firstSeenDate": iso(T0),
            "lastSeenDate": iso(T0 + 1),
            "engagementScore": 40,
        },
        "consent": {"updatedAt": iso(T0)},
        "segments": [],
        "createdAt": iso(T0),
        "updatedAt": iso(T0 + 1),
    }


def test_a_document_of_nothing():
    person = make.profile()
    assert as_json(profile_document(person, now=T0, clear=True)) == {
        "id": str(person.public_id),
        "externalIds": {},
        "attributes": {},
        "computed": {"purchaseCount": 0, "firstSeenDate": iso(T0), "lastSeenDate": iso(T0), "engagementScore": 0},
        "consent": {"updatedAt": iso(T0)},
        "segments": [],
        "createdAt": iso(T0),
        "updatedAt": iso(T0),
    }
