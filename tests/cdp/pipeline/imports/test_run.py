"""Imports into a real inbox: what is counted, reported, refused, resumed."""

import fcntl
import subprocess
import sys

import pytest
from django.conf import settings

from cdp.access.models import Source
from cdp.core.errors import Conflict, Invalid
from cdp.pipeline.imports.mapping import ColumnMap
from cdp.pipeline.imports.rows import RowFile
from cdp.pipeline.imports.run import Imported, import_file
from cdp.pipeline.message import HISTORICAL, decode_message, unseal
from cdp.pipeline.models import ImportRun, InboxMessage
from tests.factories import suppress

pytestmark = pytest.mark.django_db

COLUMNS = ColumnMap.parse("events", ["u=userId", "t=timestamp", "e=event", "no=messageId"])
HEADER = "u,t,e,no,price\n"


class Stop(Exception):
    """Stands for a process that ends between two chunks."""


def do(path, columns=COLUMNS, on_chunk=lambda _position, _rows: None, **options):
    with RowFile(path) as file:
        return import_file(file, columns, on_chunk=on_chunk, **options)


def inbox():
    envelopes = [unseal(settings.KEYRING, bytes(row.body)) for row in InboxMessage.objects.order_by("id")]
    return [(decode_message(envelope.message), envelope.flags) for envelope in envelopes]


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "orders.csv"
    rows = [f"u{n},2024-01-01,Order Completed,,{n}.50\n" for n in (1, 2, 2, 3)]
    path.write_text(HEADER + "".join(rows) + "u4,soon,x,,1\nu5\nu6,2024-01-01,,,1\nu7,2024-01-02,x,m7,1\n")
    return path


def test_rows_become_historical_messages_and_bad_ones_a_report(path):
    found = do(path, chunk=3)
    report = path.with_name("orders.csv.errors.csv")
    assert found == Imported(rows=8, accepted=5, duplicates=0, rejected=3, resumed=0, report=report)
    messages = inbox()
    assert [message.user_id for message, _ in messages] == ["u1", "u2", "u2", "u3", "u7"]
    assert {flags for _, flags in messages} == {HISTORICAL}
    assert messages[0][0].properties == {"price": 1.5}
    assert messages[4][0].message_id == "m7"
    assert len({message.message_id for message, _ in messages}) == 5
    assert report.read_text().splitlines() == [
        "line,code,message",
        '6,bad_timestamp,"Its time cannot be read: ISO 8601, seconds or milliseconds since 1970."',
        "7,ragged,It has 1 fields; the header has 5.",
        "8,no_event,It has no event name.",
    ]


def test_a_row_that_the_pipeline_refuses_is_in_the_report_with_its_line(path):
    path.write_text(HEADER + f"u1,2024-01-01,x,,1\nu2,2024-01-01,{'x' * 201},,1\n")
    found = do(path)
    assert (found.accepted, found.rejected) == (1, 1)
    assert found.report is not None
    assert found.report.read_text().splitlines()[1].startswith("3,event_name_too_long,")


def test_a_file_is_imported_once(path):
    first = do(path)
    assert do(path) == Imported(first.rows, 5, 0, 3, resumed=8, before=True)
    again = do(path, again=True)
    assert (again.accepted, again.duplicates, again.rejected, again.resumed) == (0, 5, 3, 0)
    assert len(inbox()) == 5


def test_what_was_added_to_a_file_is_all_that_is_new(path):
    do(path)
    with path.open("a") as file:
        file.write("u2,2024-01-01,Order Completed,,2.50\nu9,2024-01-01,x,,1\n")
    found = do(path)
    assert (found.rows, found.accepted, found.duplicates, found.rejected) == (10, 2, 5, 3)
    assert [message.user_id for message, _ in inbox()][5:] == ["u2", "u9"]


@pytest.mark.parametrize("stop_at", range(9))
def test_a_stopped_import_goes_on_behind_its_last_chunk(path, stop_at):
    def stop(_position, rows):
        if rows >= stop_at:
            raise Stop

    with pytest.raises(Stop):
        do(path, on_chunk=stop, chunk=2)
    done = ImportRun.objects.get().offset
    assert done == min(8, stop_at + stop_at % 2)
    found = do(path, chunk=3)
    report = path.with_name("orders.csv.errors.csv")
    assert found == Imported(rows=8, accepted=5, duplicates=0, rejected=3, resumed=done, report=report)
    assert len(inbox()) == 5
    assert [line.split(",")[0] for line in report.read_text().splitlines()] == ["line", "6", "7", "8"]


def test_lines_of_a_chunk_that_was_not_committed_are_not_reported_twice(path):
    def stop(_position, rows):
        if rows == 5:
            raise Stop

    with pytest.raises(Stop):
        do(path, on_chunk=stop, chunk=5)
    report = path.with_name("orders.csv.errors.csv")
    with report.open("a") as file:  # killed behind the report of the second chunk and before its commit
        file.write("7,ragged,It has 1 fields; the header has 5.\n8,no_event,It has no event name.\n")
    do(path, chunk=5)
    assert [line.split(",")[0] for line in report.read_text().splitlines()] == ["line", "6", "7", "8"]


def test_bad_encoding_keeps_what_came_before_and_says_the_line(path):
    path.write_bytes(HEADER.encode() + b"u1,2024-01-01,x,,1\n" * 2000 + b"u\xe9,2024-01-01,x,,1\n")
    with pytest.raises(Invalid, match="Line 2002 is not UTF-8"):
        do(path, chunk=100)
    run = ImportRun.objects.get()
    assert (run.status, run.accepted) == ("failed", run.offset)
    assert len(inbox()) == run.offset > 1000


def test_a_file_that_grows_while_it_is_read_is_not_called_done(path):
    def grow(_position, rows):
        if rows == 2:
            path.write_text(path.read_text() + "u1,2024-01-01,x,,1\n")

    with pytest.raises(Invalid, match="was written to while it was read"):
        do(path, on_chunk=grow, chunk=2)
    assert ImportRun.objects.get().status == "failed"


def test_a_second_import_of_the_same_file_is_refused_until_the_first_is_gone(path):
    with RowFile(path) as file:
        lock = settings.DATA_DIR / "imports" / f"{file.digest()[:16]}.lock"
    lock.parent.mkdir(exist_ok=True)
    hold = f"import fcntl, sys; f = open({str(lock)!r}, 'w'); fcntl.flock(f, {fcntl.LOCK_EX});"
    hold += "print(1, flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(Conflict, match="imported by another process"):
            do(path)
        other.kill()
    assert do(path).accepted == 5


def test_a_browser_source_is_refused(path):
    Source.objects.create(name="shop", kind=Source.Kind.BROWSER)
    with pytest.raises(Invalid, match="browser source"):
        do(path, source_name="shop")


def test_the_report_goes_to_the_data_folder_when_its_place_cannot_be_written(path):
    path.with_name("orders.csv.errors.csv").mkdir()
    found = do(path)
    assert found.report == settings.DATA_DIR / "imports" / "orders.csv.errors.csv"
    assert len(found.report.read_text().splitlines()) == 4


def test_customers_by_email_alone_are_accepted(tmp_path):
    path = tmp_path / "people.jsonl"
    path.write_text('{"mail": "ada@x.example", "city": "Vilnius"}\n{"mail": "", "city": "Kaunas"}\n')
    found = do(path, ColumnMap.parse("customers", ["mail=email"]))
    assert (found.accepted, found.rejected) == (1, 1)
    ((message, _),) = inbox()
    assert (message.type, message.traits) == ("identify", {"city": "Vilnius", "email": "ada@x.example"})


def test_a_row_of_an_erased_person_is_reported_and_kept_out(path):
    suppress("user_id", "u2")
    found = do(path, chunk=3)
    assert (found.accepted, found.duplicates, found.rejected) == (3, 0, 5)
    report = path.with_name("orders.csv.errors.csv").read_text()
    assert [line.partition(",")[0] for line in report.splitlines() if ",suppressed," in line] == ["3", "4"]
    assert "u2" not in report
    assert [message.user_id for message, _ in inbox()] == ["u1", "u3", "u7"]
