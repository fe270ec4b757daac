"""RFM and lifecycle stages by REST, against the same numbers worked out in plain Python."""

import pytest

from cdp.core.clock import DAY, iso, now_us
from cdp.history.export import flush
from cdp.identities.lookup import find_person
from cdp.privacy.erase import delete_at_once
from tests.calling import Api, without
from tests.cdp.lake.measures.oracle import name_of, score
from tests.sending import message, send

pytestmark = pytest.mark.django_db
BUYERS = {f"u{n}": {"ago": 5 * n, "orders": 1 + n % 4, "each": 10.0 + n} for n in range(12)}


@pytest.fixture
def api(time_machine) -> Api:
    time_machine.move_to("2026-05-01T12:00:00Z", tick=False)
    now = now_us()
    rows = [
        message(
            "track",
            event="Order Completed",
            userId=user,
            timestamp=iso(now - (told["ago"] + extra) * DAY),
            properties={"revenue": told["each"]},
        )
        for user, told in BUYERS.items()
        for extra in range(told["orders"])
    ]
    send(*rows[:10], message("track", event="Looked", userId="window-shopper"))
    flush()
    send(*rows[10:])
    return Api("read")


def expected() -> dict[str, tuple[int, int, int]]:
    recency = {user: -told["ago"] for user, told in BUYERS.items()}
    frequency = {user: told["orders"] for user, told in BUYERS.items()}
    spent = {user: told["orders"] * told["each"] for user, told in BUYERS.items()}
    return {
        user: tuple(score(values[user], list(values.values())) for values in (recency, frequency, spent))  # type: ignore[misc]
        for user in BUYERS
    }


def test_a_persons_own_scores(api):
    for user, (r, f, m) in expected().items():
        status, found = api.post("segments/rfm/analyze", {"userId": user})
        told = BUYERS[user]
        assert status == 200
        assert (found["scores"], found["rfmScore"]) == ({"r": r, "f": f, "m": m}, f"{r}{f}{m}")
        assert found["segment"]["key"] == name_of(r, f)
        assert found["metrics"] == {"r": told["ago"], "f": told["orders"], "m": told["orders"] * told["each"]}
        assert (found["userId"], found["buyers"]) == (user, len(BUYERS))
        assert found["profileId"] == str(find_person("user_id", user).public_id)
        again = api.post("segments/rfm/analyze", {"profileId": found["profileId"]})[1]
        assert without(again, "userId") == without(found, "userId")


def test_given_metrics_are_scored_among_the_buyers(api):
    for user, scores in expected().items():
        told = BUYERS[user]
        metrics = {"r": told["ago"], "f": told["orders"], "m": told["orders"] * told["each"]}
        found = api.post("segments/rfm/analyze", {"userId": "user123", "metrics": metrics})[1]
        assert tuple(found["scores"].values()) == scores
        assert (found["profileId"], found["userId"]) == (None, "user123")
    best = api.post("segments/rfm/analyze", {"metrics": {"r": 0, "f": 99, "m": 1e6}})[1]
    assert (best["rfmScore"], best["segment"]["label"]) == ("555", "Champions")
    worst = api.post("segments/rfm/analyze", {"metrics": {"r": 9999, "f": 0, "m": -5}})[1]
    assert (worst["rfmScore"], worst["segment"]["label"]) == ("111", "Hibernating")


def test_who_never_bought_has_no_scores(api):
    status, found = api.post("segments/rfm/analyze", {"userId": "window-shopper"})
    assert status == 200
    assert (found["scores"], found["segment"], found["rfmScore"], found["metrics"]) == (None, None, None, None)
    assert found["buyers"] == len(BUYERS)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"userId": "nobody"}, 404),
        ({"profileId": "nobody"}, 404),
        ({"metrics": {"r": -1, "f": 1, "m": 1}}, 400),
        ({"metrics": {"r": 1}}, 400),
        ({"metrics": {"r": 1, "f": 1, "m": 1e300}}, 400),
    ],
)
def test_what_cannot_be_analyzed(api, body, status):
    assert api.post("segments/rfm/analyze", body)[0] == status


def test_everybody_in_ten_segments_and_3d_points(api):
    _, found = api.get("segments/rfm")
    scores = expected()
    points = {(p["r"], p["f"], p["m"]): p["people"] for p in found["points"]}
    assert points == {key: list(scores.values()).count(key) for key in scores.values()}
    assert all(point["segment"] == name_of(point["r"], point["f"]) for point in found["points"])
    sizes = {row["segment"]["key"]: row["people"] for row in found["segments"]}
    names = [name_of(r, f) for r, f, _ in scores.values()]
    assert sizes == {key: names.count(key) for key in sizes}
    assert (len(sizes), sum(sizes.values()), found["buyers"]) == (10, 12, 12)
    total = sum(told["orders"] * told["each"] for told in BUYERS.values())
    assert round(sum(row["spent"] for row in found["segments"]), 4) == round(total, 4)
    largest = max(found["segments"], key=lambda row: row["people"])
    members = [user for user, (r, f, _) in scores.items() if name_of(r, f) == largest["segment"]["key"]]
    assert largest["averageDays"] == round(sum(BUYERS[u]["ago"] for u in members) / len(members), 2)
    assert largest["averagePurchases"] == round(sum(BUYERS[u]["orders"] for u in members) / len(members), 2)
    assert largest["share"] == round(len(members) / 12, 4)


def test_nobody_yet():
    api = Api("read")
    _, found = api.get("segments/rfm")
    assert (found["buyers"], found["points"], [row["people"] for row in found["segments"]]) == (0, [], [0] * 10)
    assert api.post("segments/rfm/analyze", {"metrics": {"r": 1, "f": 1, "m": 1}})[1]["scores"] is None
    _, stages = api.get("segments/lifecycle")
    assert (stages["people"], {row["people"] for row in stages["stages"]}) == (0, {0})


def test_lifecycle_of_everybody(api):
    delete_at_once([find_person("user_id", "u11")], actor="test")
    _, found = api.get("segments/lifecycle")
    sizes = {row["stage"]: row["people"] for row in found["stages"]}
    first = [told["ago"] + told["orders"] - 1 for user, told in BUYERS.items() if user != "u11"]
    new = sum(ago <= 30 for ago in first)
    assert sizes == {
        "prospect": 1, "inactive": 0, "new": new, "active": 11 - new, "at_risk": 0, "dormant": 0, "churned": 0,
    }  # fmt: skip
    assert found["people"] == 12
    assert sum(row["share"] for row in found["stages"]) == pytest.approx(1, abs=0.001)
