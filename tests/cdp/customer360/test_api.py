"""The 360° view and the timeline by REST."""

import pytest

from cdp.access.models import AuditEntry
from cdp.core.clock import iso, now_us
from cdp.customer360.view import Customer360, customer360
from cdp.pipeline.process import process_inbox
from cdp.profiles.people import person_of
from tests.calling import Api

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _noon(time_machine):
    time_machine.move_to("2026-05-01T12:00:00Z", tick=False)


@pytest.fixture
def api() -> Api:
    return Api("read", "write")


@pytest.fixture
def alice(api: Api) -> str:
    body = {"userId": "alice", "email": "alice@example.com", "consent": {"email": True}}
    person = str(api.post("profiles", body)[1]["id"])
    for hour in (9, 10, 11):
        event = {"customerId": person, "event": f"at {hour}", "timestamp": f"2026-05-01T{hour:02}:00:00Z"}
        assert Api("ingest", name=f"k{hour}").post("events", event)[0] == 201
    process_inbox()
    return person


def test_everything_about_a_customer_in_001s_json(api, alice):
    status, view = api.get(f"customer360/{alice}")
    assert (status, list(view)) == (
        200,
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
            "computedAt",
        ],
    )
    assert view["customer"] == {
        "id": alice,
        "email": "alice@example.com",
        "phoneNumber": None,
        "isVerified": False,
        "lastLoginAt": None,
        "createdAt": "2026-05-01T12:00:00.000Z",
    }
    assert set(view["computedAt"].values()) == {iso(now_us())}
    assert [event["eventName"] for event in view["recentEvents"]] == ["identify", "at 11", "at 10", "at 9"]
    assert api.call("GET", f"/api/cdp/customer360/{alice}/") == (200, view)


def test_it_is_the_same_view_that_the_console_shows(api, alice):
    import msgspec

    shown = customer360(person_of(alice), now=now_us(), clear=True)
    assert api.get(f"customer360/{alice}")[1] == msgspec.json.decode(msgspec.json.encode(shown))


def test_scores_that_are_asked_for_are_those_of_the_view(api, alice):
    _, view = api.get(f"customer360/{alice}")
    assert api.post(f"customer360/{alice}/compute-engagement") == (200, view["engagementScore"])
    assert api.post(f"customer360/{alice}/compute-ltv") == (200, view["lifetimeValue"])


def test_masked_and_clear_reads(api, alice):
    AuditEntry.objects.all().delete()
    masked = Api("read_masked")
    _, view = masked.get(f"customer360/{alice}")
    assert (view["customer"]["email"], view["identities"][1]["identityValue"]) == ("a***@e***.com", "a***@e***.com")
    assert AuditEntry.objects.count() == 0
    api.get(f"customer360/{alice}")
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.object_type, entry.object_ids, entry.fields) == (
        f"key:{api.row.pk}",
        "profile",
        [alice],
        sorted(Customer360.__struct_fields__),
    )


def test_the_timeline_goes_on_by_cursor_whatever_arrives_meanwhile(api, alice):
    _, first = api.get(f"profiles/{alice}/timeline?limit=2&eventType=CUSTOM")
    assert [event["eventName"] for event in first["data"]] == ["at 11", "at 10"]
    late = {"customerId": alice, "event": "late", "timestamp": "2026-05-01T11:30:00Z"}
    assert api.post("events", late)[0] == 201
    process_inbox()
    _, second = api.get(f"profiles/{alice}/timeline?limit=2&eventType=CUSTOM&cursor={first['next']}")
    assert ([event["eventName"] for event in second["data"]], second["next"]) == (["at 9"], None)
    assert api.get(f"profiles/{alice}/timeline?limit=0")[0] == 400
