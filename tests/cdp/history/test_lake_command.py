"""manage.py lake, as an operator uses it."""

import io
import shutil

import pytest
from django.core.management import CommandError, call_command

from cdp.core.clock import now_us
from cdp.history.models import LakeState
from cdp.history.purge import purge_hot_events
from cdp.history.reading import database, ends
from cdp.lake.delta import EVENTS, LakeTable
from cdp.lake.errors import LakeAhead, LakeLost
from tests.cdp.history.conftest import history
from tests.sending import message, send

pytestmark = pytest.mark.django_db


def lake(action, *options):
    out = io.StringIO()
    call_command("lake", action, *options, stdout=out)
    return out.getvalue()


def fill():
    send(message("identify", userId="alice", traits={"plan": "pro", "email": "alice@example.com"}))
    send(*(message(event=f"e{n}", userId="alice", timestamp=f"2026-0{n}-01T00:00:00Z") for n in range(1, 4)))


def test_flush_compact_verify_status():
    with pytest.raises(CommandError, match="There is no lake yet"):
        lake("verify")
    fill()
    assert lake("status").splitlines()[1].split()[:5] == ["events", "0", "0", "0.0", "4"]
    assert lake("flush") == "4 events and 1 versions of people written.\n"
    assert lake("compact") == "0 months of events and the current state of people rewritten.\n"
    assert lake("verify") == ("4 events, each once; 1 versions of 1 people; 9 values looked at, none personal.\n")
    assert LakeState.objects.get(pk="events").error == ""
    words = lake("status").split()
    assert words[words.index("events") : words.index("events") + 3] == ["events", "4", "4"]


def open_events():
    from django.conf import settings

    table = LakeTable.open(settings.LAKE_URL, EVENTS, store=str(LakeState.objects.get(pk="events").store))
    assert table is not None
    return table


def test_verify_finds_what_is_wrong(capsys):
    fill()
    lake("flush")
    table = open_events()
    first = table.dataset().to_table().sort_by("id").slice(0, 1)
    leak = first.set_column(first.schema.get_field_index("event"), "event", [["mail ada@example.com"]])
    table.append(leak, table.position)
    table.append(leak.set_column(0, "id", [[table.position + 5]]), table.position)
    table.remove(first.select([]).append_column("id", [[table.position]]), table.position)
    err = io.StringIO()
    with pytest.raises(CommandError, match=r"^5 problems\.$"):
        call_command("lake", "verify", stderr=err)
    assert err.getvalue().splitlines() == [
        "1 events are there more than once (by id).",
        "2 events are there more than once (by digest).",
        f"1 events lie beyond the position {table.position}.",
        f"1 events of the operational store up to number {table.position} are not in it.",
        "2 values of '' in events look personal.",
    ]


def test_a_lost_lake_is_not_begun_again_in_silence(settings):
    fill()
    lake("flush")
    settings.HOT_EVENT_DAYS = 1
    assert purge_hot_events(now_us()) == 3
    people = history()["people"]
    shutil.rmtree(settings.LAKE_URL)
    with pytest.raises(CommandError, match="is gone"):
        lake("flush")
    assert "is gone" in LakeState.objects.get(pk="events").error
    with pytest.raises(LakeLost):
        history()
    said = lake("rebuild", "--yes")
    assert "1 events and 1 people written" in said
    assert "lost" in said
    after = history()
    assert [row["event"] for row in after["events"]] == ["identify"]
    assert after["people"] == people
    assert LakeState.objects.get(pk="events").error == ""


def test_rebuilding_keeps_events_that_can_be_read(settings):
    fill()
    lake("flush")
    settings.HOT_EVENT_DAYS = 1
    purge_hot_events(now_us())
    before = history()
    assert "The events that were there are kept" in lake("rebuild", "--yes")
    assert history() == before


def test_the_lake_of_another_store_is_refused():
    fill()
    lake("flush")
    LakeState.objects.update(store="00000000-0000-0000-0000-000000000001")
    for action in ("flush", "verify"):
        with pytest.raises(CommandError, match="was written by another store"):
            lake(action)
    lake("rebuild", "--yes")
    assert len(history()["events"]) == 4


def test_one_writer_at_a_time():
    fill()
    LakeState.objects.filter(pk="events").update(holder="elsewhere:1:x", expires_at=now_us() + 60_000_000)
    with pytest.raises(CommandError, match="elsewhere:1:x writes the table events"):
        lake("flush")
    LakeState.objects.filter(pk="events").update(expires_at=1)
    assert lake("flush") == "4 events and 1 versions of people written.\n"


def test_a_store_restored_from_an_older_backup_is_noticed():
    fill()
    lake("flush")
    before = history()
    fence = database().rows("select fence from pipeline_processinglease")[0][0]
    ahead = open_events()
    rows = ahead.dataset().to_table().sort_by("id").slice(0, 1)
    late = ends(database()).event + 7
    ahead.append(rows.set_column(0, "id", [[late]]).set_column(1, "digest", [[b"x" * 16]]), late)
    for action in (lambda: lake("flush"), history):
        with pytest.raises((CommandError, LakeAhead), match="restored from an older backup"):
            action()
    assert "0 events and 1 people written. The events that were there are kept." in lake("rebuild", "--yes")
    assert history() == before
    send(message(event="after", userId="alice"))
    assert [row["event"] for row in history()["events"]][-1] == "after"
    lake("flush")
    assert len(history()["events"]) == 5
    LakeState.objects.update(position=None)
    database().execute("update pipeline_processinglease set fence = ?", (fence - 1,))
    with pytest.raises(LakeAhead):
        history()
