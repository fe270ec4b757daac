"""The report holds each refused row once, whatever was tried again."""

from pathlib import Path

import pytest

from cdp.pipeline.imports.report import ErrorReport, report_path
from cdp.pipeline.imports.rows import BadRow


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.csv.errors.csv"


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


def test_a_report_without_refused_rows_is_no_file(path):
    path.write_text("line,code,message\n2,ragged,of an earlier run\n")
    with ErrorReport(path, after=0) as report:
        report.write([], at=report.mark())
    assert not path.exists()


@pytest.mark.parametrize("before", [0, 2])
def test_a_chunk_that_is_tried_again_is_written_once(path, before):
    with ErrorReport(path, after=0) as report:
        report.write([BadRow(n, "ragged", "x") for n in range(before)], at=report.mark())
        mark = report.mark()
        report.write([BadRow(8, "ragged", "first try"), BadRow(9, "ragged", "first try")], at=mark)
        report.write([BadRow(8, "ragged", "second, try")], at=mark)
    assert lines(path) == ["line,code,message", *(f"{n},ragged,x" for n in range(before)), '8,ragged,"second, try"']


def test_an_earlier_attempt_counts_up_to_its_last_row(path):
    path.write_text("line,code,message\n2,ragged,x\n5,ragged,y\n6,ragged,z\n7,rag")
    with ErrorReport(path, after=5) as report:
        assert report.count == 2
        report.write([BadRow(6, "bad_csv", "z")], at=report.mark())
    assert lines(path) == ["line,code,message", "2,ragged,x", "5,ragged,y", "6,bad_csv,z"]


def test_where_it_goes(tmp_path):
    assert report_path(tmp_path / "a.csv", tmp_path / "b") == tmp_path / "a.csv.errors.csv"
    (tmp_path / "a.csv.errors.csv").mkdir()
    assert report_path(tmp_path / "a.csv", tmp_path / "b") == tmp_path / "b" / "a.csv.errors.csv"
