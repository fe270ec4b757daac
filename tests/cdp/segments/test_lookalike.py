"""Lookalike segments: a planted likeness is found, held-out members are, and too little is refused in a sentence."""

import random
from datetime import UTC, datetime

import pytest

from cdp.core.clock import DAY, iso, now_us
from cdp.core.errors import Conflict
from cdp.history.export import flush
from cdp.identities.lookup import find_person
from cdp.segments.definition import define
from cdp.segments.generations import Cause
from cdp.segments.lookalike import ask_lookalike, build_lookalike, build_waiting, waiting
from cdp.segments.members import members_table
from cdp.segments.membership import replace
from cdp.segments.models import Lookalike, MembershipChange, Segment
from tests.calling import Api
from tests.sending import message, send

pytestmark = pytest.mark.django_db
FANS, OTHERS = 160, 300


@pytest.fixture
def people() -> dict[str, set[int]]:
    """Fans buy games often and live in Lithuania, others buy books seldom. One in ten is like the other kind."""
    chance = random.Random(7)
    rows = []
    kinds: dict[str, str] = {}
    for number in range(FANS + OTHERS):
        user, fan = f"u{number}", number < FANS
        like_fan = fan != (chance.random() < 0.1)
        kinds[user] = "fan" if like_fan else "other"
        country = chance.choice(("LT", "LT", "LT", "DE")) if like_fan else chance.choice(("DE", "FR", "FR", "LT"))
        rows.append(message("identify", userId=user, traits={"country": country, "note": f"unique {number}"}))
        for _ in range(chance.randrange(3, 8) if like_fan else chance.randrange(0, 3)):
            category = "Games" if chance.random() < (0.9 if like_fan else 0.2) else "Books"
            ago = chance.randrange(1, 60 if like_fan else 300)
            rows.append(
                message(
                    "track", event="Order Completed", userId=user, timestamp=iso(now_us() - ago * DAY),
                    properties={"revenue": chance.randrange(10, 60), "category": category},
                )
            )  # fmt: skip
    send(*rows[: len(rows) // 2])
    flush()
    send(*rows[len(rows) // 2 :])
    found: dict[str, set[int]] = {"fan": set(), "other": set(), "source": set()}
    for user, kind in kinds.items():
        person = find_person("user_id", user)
        assert person is not None
        found[kind].add(person.pk)
        if kind == "fan" and len(found["source"]) < 100:
            found["source"].add(person.pk)
    return found


def source_of(people: set[int], name: str = "Source") -> Segment:
    segment = define(Segment(), {"name": name, "type": "static"})
    replace(segment, sorted(people), cause=Cause.MANUAL)
    segment.refresh_from_db()
    return segment


def members(segment: Segment) -> set[int]:
    return set(members_table([segment.key]).column("person").to_pylist())


def test_a_planted_likeness_is_found_and_explained(people):
    made = ask_lookalike(source_of(people["source"]), name="Like them", threshold=0.7)
    assert (waiting(), members(made)) == (True, set())
    assert build_waiting() == 1
    assert not waiting()
    row = Lookalike.objects.get()
    assert (row.status, row.error) == ("ready", "")
    found = members(made)
    assert not found & people["source"]
    rest = people["fan"] - people["source"]
    assert len(found & rest) / len(rest) > 0.7  # most who are like them, although they were shown as others
    assert len(found & people["other"]) / len(people["other"]) < 0.05  # hardly any who are not
    report = row.report
    assert (report["sourceSize"], report["others"], report["chosen"]) == (100, 360, len(found))
    assert report["heldOut"] == pytest.approx(30, abs=15)
    assert report["heldOutFound"] > 0.7
    assert report["lift"] > 2
    assert report["auc"] > 0.8
    names = [feature["feature"] for feature in report["features"]]
    assert {"purchases of Games", "country is LT"} & set(names[:6])
    assert not any("unique" in name for name in names)
    games = next(feature for feature in report["features"] if feature["feature"] == "purchases of Games")
    assert games["weight"] > 0
    assert games["sourceAverage"] > games["othersAverage"]
    made.refresh_from_db()
    assert "at least 0.7 similar to those of “Source”" in made.words
    assert set(MembershipChange.objects.filter(segment=made).values_list("cause", flat=True)) == {"model"}


def test_the_same_people_give_the_same_members_and_a_higher_threshold_fewer(people, time_machine):
    time_machine.move_to(datetime.now(UTC), tick=False)
    source = source_of(people["source"])
    found = []
    for name, threshold in (("a", 0.6), ("b", 0.6), ("c", 0.95)):
        made = ask_lookalike(source, name=name, threshold=threshold)
        build_lookalike(Lookalike.objects.get(segment=made))
        found.append(members(made))
    assert found[0] == found[1]
    assert found[2] < found[0]


def test_chance_has_no_lift(people):
    everybody = sorted(people["fan"] | people["other"])
    strangers = set(random.Random(3).sample(everybody, 120))
    made = ask_lookalike(source_of(strangers), name="Nothing in common", threshold=0.5)
    report = build_lookalike(Lookalike.objects.get(segment=made))
    assert 0.35 < report.auc < 0.65
    assert report.lift is not None
    assert 0.5 < report.lift < 1.6


def test_too_little_is_refused_in_a_sentence(people):
    with pytest.raises(Conflict, match="has 49 people: a lookalike needs at least 50"):
        ask_lookalike(source_of(set(sorted(people["fan"])[:49])), name="x", threshold=0.5)
    everybody = people["fan"] | people["other"]
    made = ask_lookalike(source_of(everybody, "Everybody"), name="x", threshold=0.5)
    assert build_waiting() == 1
    row = Lookalike.objects.get(segment=made)
    assert (row.status, row.error) == (
        "failed", "Only 0 people are not in the source segment: too few to choose from.",
    )  # fmt: skip
    assert Segment.objects.filter(name="x").count() == 1


def test_a_source_that_is_gone(people):
    source = source_of(people["source"])
    made = ask_lookalike(source, name="x", threshold=0.5)
    source.delete()
    build_waiting()
    assert Lookalike.objects.get(segment=made).error == "The source segment is gone."
    made.delete()
    assert Lookalike.objects.count() == 0


def test_by_rest(people):
    api = Api("read", "write")
    source = source_of(people["source"])
    body = {"sourceSegmentId": str(source.public_id), "name": "Lookalike - High Value", "similarityThreshold": 0.7}
    status, made = api.post("segments/lookalike/create", body)
    assert (status, made["status"], made["report"], made["similarityThreshold"]) == (201, "waiting", None, 0.7)
    assert (made["segment"]["type"], made["sourceSegmentId"]) == ("lookalike", str(source.public_id))
    build_waiting()
    status, found = api.get(f"segments/{made['segment']['id']}/lookalike")
    assert (status, found["status"], found["segment"]["size"]) == (200, "ready", found["report"]["chosen"])
    assert api.get(f"segments/{source.key}/lookalike")[0] == 404
    for wrong, path in (
        ({**body, "similarityThreshold": 1.5}, "similarityThreshold"), ({**body, "name": " "}, "name"),
        ({**body, "sourceSegmentId": made["segment"]["id"][:8]}, None),
    ):  # fmt: skip
        status, answer = api.post("segments/lookalike/create", wrong)
        assert (status, answer["details"].get("path")) == (400 if path else 404, path)
    small = source_of(set(list(people["source"])[:3]), "Small")
    status, answer = api.post("segments/lookalike/create", {**body, "sourceSegmentId": small.key})
    assert (status, answer["code"]) == (409, "source_too_small")
