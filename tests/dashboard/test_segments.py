"""The console's pages of segments and audiences."""

import json
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse

from cdp.access.models import AuditEntry, User
from cdp.core.clock import HOUR, now_us
from cdp.customer360.segment_page import chart
from cdp.segments.follow import follow
from cdp.segments.membership import add_members
from cdp.segments.models import Audience, Segment, SegmentSize
from tests.cdp.segments.making import a_list, a_rule, ids, members, some_people, statements
from tests.factories import identifier, traits
from tests.factories import user as make_user

pytestmark = pytest.mark.django_db
PRO = {"trait": "plan", "operator": "=", "value": "pro"}


def signed_in(role: str) -> Client:
    client = Client()
    user = User.objects.create_user(role, is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    client.force_login(user)
    return client


@pytest.fixture
def root() -> Client:
    client = Client()
    client.force_login(make_user("root", administrator=True))
    return client


def text_of(answer: Any) -> str:
    assert answer.status_code == 200, answer.status_code
    return str(answer.content.decode())


def page_of(segment: Segment) -> str:
    return reverse("admin:segments_segment_change", args=[segment.pk])


def form(**fields: Any) -> dict[str, Any]:
    return {"name": "Pros", "type": "rule-based", "description": "", "rules": json.dumps([PRO]), **fields}


def test_a_segment_is_made_with_the_form(root: Client) -> None:
    answer = root.post(reverse("admin:segments_segment_add"), form())
    made = Segment.objects.get()
    assert (answer.status_code, answer.url) == (302, page_of(made))
    assert (made.key, made.rules, made.due) == ("pros", {"operator": "AND", "conditions": [PRO]}, True)


def test_what_is_wrong_with_the_rule_stands_beside_the_field(root: Client) -> None:
    wrong = {"operator": "AND", "conditions": [{"trait": "plan", "operator": "grater", "value": 1}]}
    shown = text_of(root.post(reverse("admin:segments_segment_add"), form(rules=json.dumps(wrong))))
    assert "$.conditions[0].operator: " in shown
    assert "This is no JSON yet" in text_of(root.post(reverse("admin:segments_segment_add"), form(rules="{")))
    assert Segment.objects.count() == 0


def test_a_segment_is_changed_and_keeps_its_key(root: Client) -> None:
    segment = a_rule("pros", PRO)
    follow()
    assert '"plan"' in text_of(root.get(page_of(segment) + "?edit=1")).replace("&quot;", '"')
    free = {"operator": "AND", "conditions": [{**PRO, "value": "free"}]}
    answer = root.post(page_of(segment) + "?edit=1", form(name="Free", key="other", rules=json.dumps(free)))
    segment.refresh_from_db()
    assert (answer.status_code, answer.url) == (302, page_of(segment))
    assert (segment.name, segment.key, segment.rules, segment.due) == ("Free", "pros", free, True)
    assert segment.generation == 0
    assert segment.computed_version == 1


def test_the_page_shows_who_is_in_it_masked_and_recorded(root: Client) -> None:
    alice, bob = some_people(2)
    traits(alice, firstName="Ada", lastName="Byron")
    identifier(alice, "email", "ada@example.com")
    vip, other = a_list(name="Very important"), a_list("other")
    add_members(vip, ids([alice, bob]), actor="test")
    add_members(other, ids([alice]), actor="test")
    shown = text_of(root.get(page_of(vip)))
    for expected in ("Very important", "Ada Byron", "ada@example.com", "By hand", "50 %", "100 %", "<polyline"):
        assert expected in shown, expected
    entry = AuditEntry.objects.order_by("-id").first()
    assert entry is not None
    assert entry.object_ids == [str(alice.public_id), str(bob.public_id)]
    masked = text_of(signed_in("viewer").get(page_of(vip)))
    assert "Byron" not in masked
    assert "a***@e***.com" in masked
    assert "Delete" not in masked
    assert "Export" not in masked


def test_an_error_is_shown_on_the_page_and_in_the_list(root: Client) -> None:
    segment = a_rule("pros", PRO)
    follow()
    Segment.objects.update(rules={"trait": "plan", "operator": "~", "value": 1}, swept_at=0)
    follow()
    assert "$.operator" in text_of(root.get(page_of(segment)))
    assert "failed" in text_of(root.get(reverse("admin:segments_segment_changelist")))


def test_the_list_takes_the_same_number_of_queries_for_one_and_for_many(
    root: Client, django_assert_max_num_queries: Any
) -> None:
    def asked() -> int:
        with statements() as seen, django_assert_max_num_queries(60) as captured:
            text_of(root.get(reverse("admin:segments_segment_changelist")))
        return len(seen) + len(captured)

    a_list("one")
    asked()
    few = asked()
    for number in range(10):
        a_list(f"more-{number}")
    assert asked() == few


def test_compute_export_and_delete(root: Client) -> None:
    (alice,) = some_people(1)
    identifier(alice, "email", "ada@example.com")
    segment = a_rule("everybody", {"field": "createdAt", "operator": "exists"})
    follow()
    assert members(segment) == [alice.pk]
    assert root.post(reverse("admin:segments_segment_compute", args=[segment.pk])).status_code == 302
    segment.refresh_from_db()
    assert segment.due
    assert root.get(reverse("admin:segments_segment_compute", args=[segment.pk])).status_code == 403
    answer = root.post(reverse("admin:segments_segment_export", args=[segment.pk]))
    lines = b"".join(answer.streaming_content).decode().splitlines()  # type: ignore[attr-defined]
    assert lines[0] == "id,enteredAt,userId,email,phone"
    assert lines[1].endswith(",,ada@example.com,")
    assert signed_in("viewer").post(reverse("admin:segments_segment_export", args=[segment.pk])).status_code == 403
    root.post(reverse("admin:segments_segment_delete", args=[segment.pk]), {"post": "yes"})
    assert Segment.objects.count() == 0
    assert SegmentSize.objects.count() == 0


def test_what_is_used_is_not_deleted(root: Client) -> None:
    segment = a_list()
    Audience.objects.create(key="a", name="Spring", segment=segment, created_at=0, updated_at=0)
    shown = text_of(root.post(reverse("admin:segments_segment_delete", args=[segment.pk]), {"post": "yes"}))
    assert "Spring" in shown
    chosen = {"action": "delete_selected", "_selected_action": [segment.pk], "post": "yes"}
    root.post(reverse("admin:segments_segment_changelist"), chosen)
    assert Segment.objects.count() == 1


def test_an_audience_is_made_with_the_form(root: Client) -> None:
    segment, complained = a_list(), a_list("complained", type="suppression")
    body = {"name": "Spring", "segment": segment.pk, "suppressed": [complained.pk], "hold_out": "10", "consent": ""}
    assert root.post(reverse("admin:segments_audience_add"), body).status_code == 302
    made = Audience.objects.get()
    assert (made.key, made.hold_out, list(made.suppressed.all())) == ("spring", 10.0, [complained])
    assert made.created_at > 0
    assert "Spring" in text_of(root.get(reverse("admin:segments_audience_changelist")))
    address = reverse("admin:segments_audience_change", args=[made.pk])
    assert "Who is reached" in text_of(root.get(address))
    assert root.post(address, {**body, "name": "Summer", "hold_out": "101"}).status_code == 200
    assert root.post(address, {**body, "name": "Summer"}).status_code == 302
    made.refresh_from_db()
    assert (made.key, made.name) == ("spring", "Summer")


def test_a_chart_of_steps() -> None:
    hours = [SegmentSize(segment_id=1, hour=hour, size=size) for hour, size in ((100, 10), (150, 20))]
    found = chart(hours, now=200 * HOUR)
    assert found is not None
    assert found.line == "0.0,82.0 360.0,82.0 360.0,4.0 720.0,4.0"
    assert (found.most, [point.size for point in found.points]) == (20, [20, 10])
    assert chart([], now=now_us()) is None
