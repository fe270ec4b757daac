"""Sessions by REST (001, 002)."""

import uuid

import pytest

from cdp.events.models import Event, Session
from cdp.pipeline.process import process_inbox
from tests.calling import without
from tests.cdp.pipeline.api.conftest import NOW

NOBODY = str(uuid.UUID(int=7))


def session(person: str, **fields: object) -> dict[str, object]:
    return {
        "customerId": person,
        "startedAt": NOW,
        "lastEventAt": NOW,
        "duration": 0.0,
        "eventCount": 0,
        "stopped": False,
        "entry": {},
        **fields,
    }


def test_start_send_events_stop(api, alice):
    context = {"page": {"path": "/home", "url": "https://shop.example/home"}, "campaign": {"source": "mail"}}
    status, started = api.post("sessions/start", {"userId": "alice", "context": context})
    entry = {"path": "/home", "source": "mail"}
    assert (status, without(started, "id")) == (201, session(alice, entry=entry))
    assert Event.objects.filter(call=Event.Call.IDENTIFY).count() == 1, "starting a session is no event"

    for minute in (1, 5):
        body = {
            "customerId": alice,
            "event": "x",
            "sessionId": started["id"],
            "timestamp": f"2026-05-01T12:0{minute}:00Z",
        }
        assert api.post("events", body)[0] == 201
    process_inbox()
    after = session(alice, entry=entry, lastEventAt="2026-05-01T12:05:00.000Z", duration=300.0, eventCount=2)
    page = {"data": [{"id": started["id"], **after}], "pagination": {"page": 1, "limit": 50, "total": 1}}
    assert api.get(f"sessions?profileId={alice}") == (200, page)

    stopped = {"id": started["id"], **after, "stopped": True}
    assert api.post(f"sessions/{started['id']}/stop") == (200, stopped)
    assert api.post(f"sessions/{started['id']}/stop") == (200, stopped)
    assert api.get(f"sessions?customerId={alice}")[1]["data"] == [stopped]


def test_the_clients_own_id(api, alice):
    body = {"profile_id": alice, "session_id": "s-1"}
    status, started = api.post("sessions/start", body)
    assert (status, api.post("sessions/start", body)) == (201, (200, started))
    assert api.post("sessions/s-1/stop") == (200, {**started, "stopped": True})
    assert Session.objects.count() == 1


def test_somebody_new_gets_a_profile(api):
    _, started = api.post("sessions/start", {"anonymousId": "a-1", "timestamp": "2026-05-01T11:00:00Z"})
    assert started["startedAt"] == "2026-05-01T11:00:00.000Z"
    assert (
        api.get("identity/resolve?identityType=ANONYMOUS_ID&identityValue=a-1")[1]["customerId"]
        == (started["customerId"])
    )


@pytest.mark.parametrize(
    ("body", "status"),
    [({}, 400), ({"userId": "null"}, 201), ({"profileId": NOBODY}, 404), ({"userId": "u", "timestamp": "soon"}, 400)],
)
def test_starts_that_cannot_be(api, body, status):
    assert api.post("sessions/start", body)[0] == status


def test_sessions_that_are_not_there(api):
    for missing in ("x", NOBODY):
        assert api.post(f"sessions/{missing}/stop")[0] == 404
    assert api.get("sessions")[1]["details"] == {"path": "profileId"}
    assert api.get(f"sessions?profileId={NOBODY}")[0] == 404
