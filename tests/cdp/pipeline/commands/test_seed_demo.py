"""`seed_demo` as an operator calls it: once, again, more, stopped."""

import json

import pytest

from tests.installation import new_installation

UNTIL = ["--until", "2026-11-01"]
SEEN = "select digest from pipeline_seenmessage"


@pytest.fixture
def installation(tmp_path):
    with new_installation(tmp_path / "data") as made:
        yield made


def test_people_sessions_and_orders_once(installation):
    out = installation.manage("seed_demo", "--profiles", "300", *UNTIL)
    assert out.startswith("Demo data: 300 people with ")
    assert installation.value("select count(distinct person_id) from profiles_profile") == 300
    assert installation.value("select count(*) from pipeline_inboxmessage") == 0
    assert installation.value("select count(*) from events_quarantinedmessage") == 0
    events = installation.value("select count(*) from events_event")
    assert f"with {events:,} messages, 730 days until 2026-11-01." in out
    assert installation.value("select count(*) from profiles_merge") > 30
    assert installation.value("select count(*) from events_session") > 800
    revenues = [row[0] for row in installation.rows("select revenue from profiles_profile where purchase_count > 0")]
    money = [value if isinstance(value, dict) else json.loads(value) for value in revenues]
    assert {currency for one in money for currency in one} == {"EUR", "GBP", "USD"}

    assert installation.manage("seed_demo", "--profiles", "300") == out
    assert installation.manage("seed_demo", "--profiles", "100") == out
    assert installation.value("select count(*) from events_event") == events


def test_more_people_later_are_the_same_as_all_at_once(installation, tmp_path):
    installation.manage("seed_demo", "--profiles", "40", *UNTIL, "--no-process")
    installation.manage("seed_demo", "--profiles", "120", "--no-process")
    with new_installation(tmp_path / "other") as other:
        other.manage("seed_demo", "--profiles", "120", *UNTIL, "--no-process")
        names = [[sorted(bytes(row[0]) for row in one.rows(SEEN)) for one in (installation, other)]]
    assert names[0][0] == names[0][1]
    assert len(names[0][0]) == installation.value("select count(*) from pipeline_inboxmessage")


def test_killed_and_called_again(installation):
    offset = 'select "offset" from pipeline_importrun'
    for stop in (1, 1200):
        process = installation.start("seed_demo", "--profiles", "2000", *UNTIL)
        installation.kill_when(process, lambda stop=stop: (installation.value(offset) or 0) >= stop)
    out = installation.manage("seed_demo", "--profiles", "2000")
    events = installation.value("select count(*) from events_event")
    assert out == f"Demo data: 2,000 people with {events:,} messages, 730 days until 2026-11-01.\n"
    assert installation.value("select count(distinct person_id) from profiles_profile") == 2000
    assert installation.value("select count(*) from pipeline_inboxmessage") == 0


def test_a_seed_has_one_span_of_days(installation):
    installation.manage("seed_demo", "--profiles", "2", *UNTIL)
    err = installation.manage("seed_demo", "--profiles", "2", "--until", "2025-01-01", status=1)
    sentence = "Demo data of seed 1 is there already, for 730 days until 2026-11-01. Choose another --seed."
    assert err.splitlines()[-1] == f"CommandError: {sentence}"
    assert "--until: 'soon' is no day" in installation.manage("seed_demo", "--until", "soon", status=2)
    assert "--profiles: must be at least 1" in installation.manage("seed_demo", "--profiles", "0", status=2)
