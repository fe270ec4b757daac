"""`import_file` as an operator calls it: the whole CDNOW file, twice, and killed in the middle."""

import json

import pytest

from tests.data import CDNOW_MAPPING as MAPPING
from tests.installation import new_installation


@pytest.fixture
def installation(tmp_path):
    with new_installation(tmp_path / "data") as made:
        yield made


def totals(installation):
    """Profiles, purchases and revenue as the store has them."""
    rows = installation.rows("select purchase_count, revenue from profiles_profile")
    revenue = [money if isinstance(money, dict) else json.loads(money) for _, money in rows]
    assert all(set(money) == {"USD"} for money in revenue)
    return len(rows), sum(count for count, _ in rows), sum(money["USD"] for money in revenue)


CDNOW = (23_570, 69_659, 2_500_315_6300)


def test_cdnow_twice(installation, cdnow):
    out = installation.manage("import_file", cdnow, *MAPPING)
    assert out == "69,659 rows: 69,659 accepted, 0 known before, 0 refused.\n"
    assert totals(installation) == CDNOW
    assert installation.value("select count(*) from events_event") == 69_659
    assert installation.value("select count(*) from pipeline_inboxmessage") == 0
    out = installation.manage("import_file", cdnow, *MAPPING)
    assert out.startswith("This file was imported before")
    out = installation.manage("import_file", cdnow, *MAPPING, "--again")
    assert out.startswith("69,659 rows: 0 accepted, 69,659 known before, 0 refused.")
    assert totals(installation) == CDNOW


def test_cdnow_killed_in_the_middle_and_resumed(installation, cdnow):
    offset = 'select "offset" from pipeline_importrun'
    for stop in (1, 17_000, 44_000):
        process = installation.start("import_file", cdnow, *MAPPING)
        installation.kill_when(process, lambda stop=stop: (installation.value(offset) or 0) >= stop)
    stopped = installation.value(offset)
    assert 44_000 <= stopped < 69_659
    out = installation.manage("import_file", cdnow, *MAPPING)
    assert out == (
        f"Went on behind the first {stopped:,} rows, which were done before.\n"
        "69,659 rows: 69,659 accepted, 0 known before, 0 refused.\n"
    )
    assert totals(installation) == CDNOW
    assert installation.value("select count(*) from events_event") == 69_659


def test_two_imports_of_one_file_at_once(installation, cdnow):
    first = installation.start("import_file", cdnow, *MAPPING, "--no-process")
    second = installation.start("import_file", cdnow, *MAPPING, "--no-process")
    ends = sorted((process.wait(timeout=120), process.communicate()) for process in (first, second))
    assert [status for status, _ in ends] == [0, 1]
    assert "This file is being imported by another process." in ends[1][1][1]
    assert installation.value("select count(*) from pipeline_inboxmessage") == 69_659


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["gone.csv", "--kind", "events", *MAPPING[2:]], "There is no file gone.csv."),
        (["--kind", "events"], "the following arguments are required: PATH"),
    ],
)
def test_wrong_arguments_end_with_2(tmp_path, arguments, sentence):
    with new_installation(tmp_path / "data") as installation:
        assert sentence in installation.manage("import_file", *arguments, status=2)


def test_an_unknown_column_is_answered_with_the_columns(installation, cdnow):
    err = installation.manage("import_file", cdnow, "--kind", "customers", "--map", "customer=userId", status=2)
    assert "The file has no column 'customer'. Did you mean customer_id?" in err
    assert "Traceback" not in err
