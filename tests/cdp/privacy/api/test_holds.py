"""Legal holds by REST."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests import factories as make
from tests.calling import Api, ids

pytestmark = pytest.mark.django_db
NOW = "2026-05-01T12:00:00.000Z"


@pytest.fixture(autouse=True)
def _noon(time_machine):
    time_machine.move_to("2026-05-01T12:00:00Z", tick=False)


@pytest.fixture
def api():
    return Api("admin", name="all")


def test_a_hold_is_placed_shown_and_released(api):
    alice = str(make.profile().public_id)
    status, placed = api.post("privacy/holds", {"profileId": alice, "reason": " Case 1 "})
    by = f"key:{api.row.pk}"
    expected = {
        "id": placed["id"], "profileId": alice, "reason": "Case 1", "active": True, "createdAt": NOW,
        "createdBy": by, "releasedAt": None, "releasedBy": None,
    }  # fmt: skip
    assert (status, placed) == (201, expected)
    assert api.get(f"privacy/holds/{placed['id']}") == (200, expected)
    assert api.get(f"privacy/holds?profileId={alice}")[1]["data"] == [expected]
    released = api.post(f"privacy/holds/{placed['id']}/release", {"why": "Closed"})
    assert released == (200, {**expected, "active": False, "releasedAt": NOW, "releasedBy": by})
    assert api.get("privacy/holds")[1]["data"] == []
    assert ids(api.get("privacy/holds?state=released")[1]["data"]) == [placed["id"]]
    status, error = api.post(f"privacy/holds/{placed['id']}/release", {"why": "Closed"})
    assert (status, error["code"]) == (409, "already_released")


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"reason": "x"}, "profileId"),
        ({"profileId": "ALICE", "reason": ""}, "reason"),
        ({"profileId": "ALICE"}, "$"),
        ({"profileId": "ALICE", "reason": 7}, "$.reason"),
    ],
)
def test_what_is_refused(api, body, path):
    alice = str(make.profile().public_id)
    status, error = api.post("privacy/holds", {k: alice if v == "ALICE" else v for k, v in body.items()})
    assert (status, error["details"]["path"]) == (400, path)


def test_unknown_ids(api):
    unknown = "0197a1c0-7b5e-7c3a-9f1d-2f4b6a8c0e11"
    assert api.post("privacy/holds", {"profileId": unknown, "reason": "x"})[0] == 404
    assert [api.get(f"privacy/holds/{named}")[0] for named in (unknown, "x")] == [404, 404]


def test_who_may():
    for scope in ("read", "write", "read_masked"):
        key = Api(scope, name=scope)
        assert [key.get("privacy/holds")[0], key.post("privacy/holds", {})[0]] == [403, 403]


def test_the_list_asks_the_same_for_one_and_for_many(api):
    counts = []
    for _ in range(2):
        api.post("privacy/holds", {"profileId": str(make.profile().public_id), "reason": "x"})
        with CaptureQueriesContext(connection) as asked:
            api.get("privacy/holds")
        counts.append(len(asked))
    assert counts[0] == counts[1]
