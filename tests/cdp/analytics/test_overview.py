"""The overview's numbers, against the same ones worked out by hand."""

import pytest

from cdp.history.export import flush
from tests.calling import Api
from tests.sending import message, send

pytestmark = pytest.mark.django_db


@pytest.fixture
def api(time_machine) -> Api:
    def on(moment: str, *rows: dict[str, object]) -> None:
        time_machine.move_to(moment, tick=False)
        send(*(message(**{"type_": "track", **row}) for row in rows))

    def order(user: str, revenue: float, currency: str = "EUR") -> dict[str, object]:
        return {"event": "Order Completed", "userId": user, "properties": {"revenue": revenue, "currency": currency}}

    on("2026-04-01T10:00:00Z", order("old", 100), {"event": "Looked", "anonymousId": "visitor"})
    flush()
    on("2026-04-29T23:59:59Z", order("a", 10.1), order("a", 20.2))
    on("2026-04-30T00:00:00Z", order("b", 5, "USD"), {"event": "Looked", "userId": "old"})
    on("2026-04-30T12:00:00Z", {"type_": "identify", "anonymousId": "visitor", "userId": "b"})
    return Api("read")


def test_the_numbers_of_two_days(api):
    status, found = api.get("analytics/overview?startDate=2026-04-29&endDate=2026-04-30")
    assert status == 200
    assert found == {
        "start": "2026-04-29",
        "end": "2026-04-30",
        "people": 3,  # old, a, and b whom the sign-in made one with the visitor
        "profiles": 4,
        "unificationRate": 0.5,
        "newPeople": 1,  # b was known as a visitor since the 1st
        "activePeople": 3,
        "events": 5,
        "eventsOfAllTime": 7,
        "purchases": 3,
        "buyers": 2,
        "revenue": {"EUR": 30.3, "USD": 5.0},
        "averageOrderValue": {"EUR": 15.15, "USD": 5.0},
        "byDay": [
            {"date": "2026-04-29", "events": 2, "activePeople": 1, "newPeople": 1, "purchases": 2,
             "revenue": {"EUR": 30.3}},
            {"date": "2026-04-30", "events": 3, "activePeople": 2, "newPeople": 0, "purchases": 1,
             "revenue": {"USD": 5.0}},
        ],
    }  # fmt: skip


def test_the_last_thirty_days_are_the_default_and_have_every_day(api):
    found = api.get("analytics/overview")[1]
    assert (found["start"], found["end"], len(found["byDay"])) == ("2026-04-01", "2026-04-30", 30)
    assert (found["events"], found["revenue"]) == (7, {"EUR": 130.3, "USD": 5.0})
    assert sum(day["events"] for day in found["byDay"]) == 7
    assert sum(day["newPeople"] for day in found["byDay"]) == found["newPeople"] == found["people"]


def test_the_same_from_the_lake_alone(api):
    before = api.get("analytics/overview")[1]
    flush()
    assert api.get("analytics/overview")[1] == before


def test_nobody_yet():
    found = Api("read").get("analytics/overview")[1]
    assert (found["people"], found["profiles"], found["unificationRate"], found["revenue"]) == (0, 0, 0.0, {})


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("startDate=soon", "startDate"),
        ("endDate=2026-13-01", "endDate"),
        ("startDate=2026-02-01&endDate=2026-01-01", "startDate"),
        ("startDate=2000-01-01&endDate=2026-01-01", "startDate"),
    ],
)
def test_what_cannot_be_asked(query, path):
    status, answer = Api("read").get(f"analytics/overview?{query}")
    assert (status, answer["details"]["path"]) == (400, path)
