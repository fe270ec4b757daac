"""The compliance score: its definition, and the counts that it is made of."""

import msgspec
import pytest
from django.contrib.auth.models import Group
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext

from cdp.access.audit import record_change
from cdp.access.audit_seal import seal
from cdp.access.audit_verify import verify
from cdp.access.models import ApiKey, User
from cdp.consents.ledger import record_consent
from cdp.core.clock import DAY, HOUR, now_us
from cdp.privacy.compliance import score
from cdp.privacy.compliance_facts import Facts, facts
from cdp.privacy.holds import place_hold
from cdp.privacy.models import Erasure, PrivacyRequest, RetentionPolicy
from tests import factories as make
from tests.calling import Api

T = 10_000 * DAY
GOOD = Facts(now=T, retained=("events", "profiles", "logs"))


def points(**changes) -> dict[str, float]:
    return {part.key: part.points for part in score(msgspec.structs.replace(GOOD, **changes)).parts}


FULL = {"in-time": 20, "deadlines": 15, "classification": 15, "retention": 15, "consent": 10, "audit": 10,
        "erasures": 10, "access": 5}  # fmt: skip


def test_nothing_to_complain_of_is_100():
    assert (points(), score(GOOD).score) == (FULL, 100)


@pytest.mark.parametrize(
    ("changes", "part", "expected"),
    [
        ({"answered": 4, "answered_late": 1}, "in-time", 15),
        ({"answered": 3, "answered_late": 3}, "in-time", 0),
        ({"open": 4, "open_soon": 4}, "deadlines", 15),
        ({"open": 4, "overdue": 1}, "deadlines", 11.2),
        ({"open": 2, "overdue": 2}, "deadlines", 0),
        ({"keys_classified": 2, "keys_unclassified": 1}, "classification", 10),
        ({"keys_classified": 2, "keys_unclassified": None}, "classification", 0),
        ({"retained": ()}, "retention", 0),
        ({"retained": ("logs",), "retention_problems": ("events",)}, "retention", 5),
        ({"people": 10, "people_with_consents": 5}, "consent", 5),
        ({"audit_entries": True}, "audit", 0),
        ({"audit_entries": True, "audit_verified_at": T - 48 * HOUR}, "audit", 10),
        ({"audit_entries": True, "audit_verified_at": T - 48 * HOUR - 1}, "audit", 0),
        ({"audit_verified_at": T, "audit_problem": "Entry 3 was changed."}, "audit", 0),
        ({"erasures": 4, "erasures_proven": 3}, "erasures", 7.5),
        ({"users": 2, "users_clear": 2, "keys": 1, "keys_clear": 1}, "access", 5),
        ({"users": 4, "users_clear": 2}, "access", 5),
        ({"users": 4, "users_clear": 3}, "access", 2.5),
        ({"users": 4, "users_clear": 4}, "access", 0),
    ],
)
def test_each_part(changes, part, expected):
    assert points(**changes) == {**FULL, part: expected}


def test_only_what_is_complete_is_100():
    nearly = msgspec.structs.replace(GOOD, people=1_000_000, people_with_consents=999_999)
    assert (score(nearly).score, points(people=1_000_000, people_with_consents=999_999)["consent"]) == (99, 9.9)


@pytest.fixture
def _noon(db, time_machine):
    time_machine.move_to("2026-05-01T12:00:00Z", tick=False)
    cache.clear()


def request(status: str, *, due: float, ended: float | None = None) -> PrivacyRequest:
    return PrivacyRequest.objects.create(
        kind="access", status=status, channel="api", created_at=0, created_by="x", due_at=now_us() + int(due * DAY),
        ended_at=None if ended is None else now_us() + int(ended * DAY),
    )  # fmt: skip


@pytest.mark.usefixtures("_noon")
def test_the_counts():
    alice, _, fragment = make.profile(), make.profile(), make.profile()
    make.merge(alice, fragment)
    record_consent(fragment.pk, "MARKETING_EMAIL", granted=True, at=now_us())
    place_hold(alice, reason="x", actor="test")
    place_hold(alice, reason="y", actor="test")
    request("pending", due=3)
    request("running", due=30)
    request("unverified", due=-1)
    request("completed", due=-10, ended=-11)
    request("rejected", due=-10, ended=-9)
    request("completed", due=-500, ended=-400)
    request("cancelled", due=-10, ended=-9)
    for status, started, receipt in (("done", 2, {"a": 1}), ("partial", 2, None), ("running", 0.5, None)):
        Erasure.objects.create(status=status, actor="x", started_at=now_us() - int(started * DAY), receipt=receipt)
    for name, days, fields in (
        ("a", 1, {"subject": "events"}),
        ("b", 9, {"subject": "events", "active": False}),
        ("c", 9, {"subject": "logs"}),
        ("d", 1, {"subject": "profiles", "error": "It failed."}),
    ):
        made = {"active": True, **fields, "days": 3, "last_run_at": now_us() - days * DAY}
        RetentionPolicy.objects.create(name=name, **made)
    User.objects.all().delete()
    make.user("root", administrator=True)
    make.user("alice", permissions=("access.view_personal", "access.view_sensitive"))
    make.user("bob", permissions=("access.write_data",))
    carol = make.user("carol")
    carol.groups.add(Group.objects.get(name="marketer"))
    Api("admin", name="k1")
    Api("read_masked", name="k2")
    seal()
    verify()
    found = facts(now_us())
    assert found.audit_rows > 0
    assert msgspec.structs.replace(found, keys_classified=0, audit_rows=0) == Facts(
        now=now_us(), answered=2, answered_late=1, open=3, open_soon=1, overdue=1, people=2, people_with_consents=1,
        keys_classified=0, keys_unclassified=0, retained=("events",), retention_problems=("profiles", "logs"),
        audit_verified_at=now_us(), audit_problem="", audit_entries=True, erasures=2, erasures_proven=1,
        suppressed=0, held=1, users=4, users_clear=3, keys=2, keys_clear=1,
    )  # fmt: skip


@pytest.mark.usefixtures("_noon")
def test_the_number_of_queries_does_not_grow():
    def asked() -> int:
        with CaptureQueriesContext(connection) as queries:
            facts(now_us())
        return len(queries)

    asked()
    few = asked()
    for number in range(3):
        request("pending", due=3)
        record_change("x", action="y", object_type="z", object_ids=[number], fields=[])
        Api("admin", name=f"key {number}")
        ApiKey.objects.update(role=Group.objects.get(name="marketer"))
    assert asked() == few


@pytest.mark.usefixtures("_noon")
def test_by_rest():
    api = Api("admin", name="all")
    status, answer = api.get("privacy/compliance/score")
    parts = {part["key"]: (part["weight"], part["points"]) for part in answer["parts"]}
    assert (status, answer["asOf"], answer["figures"]["openRequests"]) == (200, "2026-05-01T12:00:00.000Z", 0)
    assert parts["retention"] == (15, 0)
    assert answer["score"] == int(sum(points for _, points in parts.values()))
    assert Api("read", name="other").get("privacy/compliance/score")[0] == 403
