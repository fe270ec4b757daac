"""Reading files: every kind of damage is named with its line, and harms no neighbour."""

import gzip
import json
from pathlib import Path

import pytest

from cdp.core.errors import Invalid, NotFound
from cdp.pipeline.imports.rows import BadRow, Row, RowFile


def read(path, **options):
    with RowFile(path, **options) as file:
        return file.columns, list(file)


def written(folder, text, name="a.csv", encoding="utf-8"):
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def test_csv_rows_by_column(tmp_path):
    columns, rows = read(written(tmp_path, "id,name\n00001,Ada\n00002,\n"))
    assert columns == ["id", "name"]
    assert rows == [Row(2, {"id": "00001", "name": "Ada"}), Row(3, {"id": "00002", "name": ""})]


@pytest.mark.parametrize("mark", [";", "\t", "|"])
def test_the_delimiter_is_found_in_the_header(tmp_path, mark):
    columns, rows = read(written(tmp_path, f'id{mark}"a,b,c,d"\n1{mark}2\n'))
    assert columns == ["id", "a,b,c,d"]
    assert rows == [Row(2, {"id": "1", "a,b,c,d": "2"})]


def test_a_byte_order_mark_and_windows_line_ends_are_no_content(tmp_path):
    columns, rows = read(written(tmp_path, "id,name\r\n1,Žygis\r\n", encoding="utf-8-sig"))
    assert columns == ["id", "name"]
    assert rows == [Row(2, {"id": "1", "name": "Žygis"})]


def test_line_numbers_count_the_lines_inside_quotes(tmp_path):
    _, rows = read(written(tmp_path, 'id,note\n1,"two\nlines"\n\n2,x\n'))
    assert rows == [Row(2, {"id": "1", "note": "two\nlines"}), Row(5, {"id": "2", "note": "x"})]


def test_ragged_lines_are_refused_by_themselves(tmp_path):
    _, rows = read(written(tmp_path, "id,name\n1\n2,b\n3,c,d\n"))
    assert rows == [
        BadRow(2, "ragged", "It has 1 fields; the header has 2."),
        Row(3, {"id": "2", "name": "b"}),
        BadRow(4, "ragged", "It has 3 fields; the header has 2."),
    ]


def test_a_bad_quote_harms_only_its_row(tmp_path):
    _, rows = read(written(tmp_path, 'id,name\n1,"a"b\n2,c\n'))
    assert rows == [
        BadRow(2, "bad_csv", "A quote is not closed, or something follows a closing quote."),
        Row(3, {"id": "2", "name": "c"}),
    ]


def test_a_quote_that_is_never_closed_says_which_lines_it_swallowed(tmp_path):
    lines = "".join(f"{n},{'x' * 1000}\n" for n in range(3, 203))
    _, rows = read(written(tmp_path, f'id,name\n2,"open\n{lines}'))
    assert rows[0] == BadRow(
        2,
        "bad_csv",
        "A field is longer than 131,072 characters: perhaps a quote is not closed. Lines 2 to 133 were left out.",
    )
    assert [row.line for row in rows[1:]] == list(range(134, 203))


def test_bad_encoding_names_the_line_and_what_to_do(tmp_path):
    path = written(tmp_path, "id,name\n1,Ada\n2,Renée\n", encoding="latin-1")
    with pytest.raises(Invalid, match="Line 3 is not UTF-8") as caught:
        read(path)
    assert caught.value.code == "bad_encoding"
    assert read(path, encoding="cp1252")[1][1] == Row(3, {"id": "2", "name": "Renée"})


def test_utf_16_is_read_when_it_is_named(tmp_path):
    path = written(tmp_path, "id\tname\r\n1\tŽ\r\n", encoding="utf-16")
    assert read(path, encoding="utf-16")[1] == [Row(2, {"id": "1", "name": "Ž"})]


def test_an_unknown_encoding_is_said(tmp_path):
    with pytest.raises(Invalid, match="There is no encoding 'utf-7x'"):
        read(written(tmp_path, "id\n1\n"), encoding="utf-7x")


def test_gzipped_files_report_bytes_on_disk(tmp_path):
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(b"id\n" + b"1\n" * 50_000))
    with RowFile(path) as file:
        rows = list(file)
        assert (len(rows), file.position) == (50_000, path.stat().st_size)


def test_a_truncated_gzip_file_is_an_error_with_a_line(tmp_path):
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(json.dumps(list(range(50_000))).replace(" ", "\n").encode())[:-500])
    with pytest.raises(Invalid, match="no whole gzip file"):
        read(path, delimiter=";")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is empty"),
        ("\n1,2\n", "does not begin with a line of column names"),
        ("id,name,id\n1,2,3\n", "Two columns have the same name: id"),
    ],
)
def test_files_without_a_usable_header(tmp_path, text, sentence):
    with pytest.raises(Invalid, match=sentence):
        read(written(tmp_path, text))


def test_a_column_without_a_name_is_called_by_its_place(tmp_path):
    assert read(written(tmp_path, "id,\n1,2\n")) == (["id", "column2"], [Row(2, {"id": "1", "column2": "2"})])


def test_what_is_no_file(tmp_path):
    with pytest.raises(NotFound, match="There is no file"):
        read(tmp_path / "a.csv")
    with pytest.raises(Invalid, match="is not a file"):
        read(Path(tmp_path), form="csv")
    with pytest.raises(Invalid, match=r"neither .csv nor .jsonl"):
        read(written(tmp_path, "x", name="a.xlsx"))


def test_json_lines_keep_their_types_and_bad_lines_harm_nobody(tmp_path):
    text = '{"id": 1, "a": {"b": [true]}}\n\nnope\n[1]\n{"c": null}\n'
    columns, rows = read(written(tmp_path, text, name="a.jsonl"))
    assert columns == ["id", "a", "c"]
    assert rows == [
        Row(1, {"id": 1, "a": {"b": [True]}}),
        BadRow(3, "bad_json", "It is no JSON."),
        BadRow(4, "bad_json", "It is no JSON object."),
        Row(5, {"c": None}),
    ]


def test_hostile_json_lines_are_refused_by_themselves(tmp_path):
    deep = ['{"a": ' + "[" * depth + "]" * depth + "}" for depth in (99, 100, 1000, 100_000)]
    flat = ['{"a": "' + "[" * 1000 + '"}', '{"a": 1e999}', '{"a": "\\ud800"}', '{"a": 1' + "0" * 30 + "}", '{"a": NaN}']
    _, rows = read(written(tmp_path, "\n".join([*deep, *flat]), name="a.jsonl"))
    found = [row.code if isinstance(row, BadRow) else "" for row in rows]
    assert found == ["", "too_deep", "too_deep", "too_deep", "", "bad_json", "bad_json", "", "bad_json"]


def test_more_json_lines_than_the_sample_come_in_order(tmp_path):
    path = written(tmp_path, "".join(f'{{"n": {n}}}\n' for n in range(2500)), name="a.ndjson")
    assert [row.values["n"] for row in read(path)[1]] == list(range(2500))


def test_a_json_array_is_not_json_lines(tmp_path):
    with pytest.raises(Invalid, match="one JSON array"):
        read(written(tmp_path, '[{"id": 1}]', name="a.jsonl"))


def test_an_endless_line_is_refused_before_it_fills_the_memory(tmp_path):
    path = tmp_path / "a.csv"
    with path.open("wb") as file:
        file.truncate(20_000_000)
    with pytest.raises(Invalid, match="Line 1 is longer than 4,194,304 characters"):
        read(path)
