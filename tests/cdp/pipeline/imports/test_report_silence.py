"""A report of refused rows holds no value of a row, so erasures need not touch it: every code, rows full of words."""

import ast
import csv
from pathlib import Path
from typing import Any

import msgspec
import pytest

import cdp.pipeline.check
import cdp.pipeline.imports.messages
import cdp.pipeline.imports.rows
from cdp.identities.suppression import Suppressed
from cdp.pipeline.imports.mapping import ColumnMap
from cdp.pipeline.imports.rows import RowFile
from cdp.pipeline.imports.run import import_file
from tests.factories import suppress

pytestmark = pytest.mark.django_db

ADA = "ada.lovelace@example.com"
WORDS = (ADA, "Lovelace", "+37061111111", "Vilniaus", "user-ada")
DEEP = "[" * 90 + f'"{ADA}"' + "]" * 90
EVENTS = ("events", ["who=userId", "at=timestamp", "what=event", "no=messageId", "sum=properties.sum:number"])
PEOPLE = ("customers", ["mail=email", "tel=phone", "who=userId", "name=traits.name"])

OTHERS = {"unknown_type", "profile_id_not_allowed", "bad_profile_id", "missing_previous_id", "timestamp_too_old",
          "not_utf8", "missing_id", "missing_event"}  # fmt: skip
"""Codes that no row can have: an import writes UTF-8 and the type itself, looks for id and name before, and its source
is a server's."""
READERS = (cdp.pipeline.imports.rows, cdp.pipeline.imports.messages, cdp.pipeline.check)


def event(**values: Any) -> str:
    row = {"who": "user-ada", "at": "2026-01-05", "what": f"called {WORDS[2]}", "street": "Vilniaus", **values}
    return msgspec.json.encode({name: value for name, value in row.items() if value is not None}).decode()


JSON_EVENTS = {
    "bad_json": f'{{"who": "user-ada", "mail": "{ADA}"',
    "too_deep": '{"who": "user-ada", "deep": ' + DEEP.replace("[", '{"Lovelace": [').replace("]", "]}") + "}",
    "no_event": event(what=None),
    "no_timestamp": event(at=" "),
    "no_identifier": event(who=" ", mail=ADA),
    "bad_number": event(sum=ADA),
    "bad_id": event(who={ADA: "Lovelace"}),
    "bad_timestamp": event(at=ADA),
    "wrong_type": event(what={ADA: "Lovelace"}),
    "event_name_too_long": event(what=f"{ADA} " * 20),
    "message_id_too_long": event(no=f"{ADA} " * 10),
    "nul_character": event(street=f"{ADA}\0"),
    "too_large": event(street=ADA * 3_000),
    "suppressed": event(who="user-erased", mail=ADA),
}
CSV_PEOPLE = {
    "ragged": f"{ADA},Lovelace,user-ada",
    "bad_csv": f'{ADA},"Love"lace,x,y',
    "no_identifier": "nobody,Vilniaus Lovelace,,Lovelace",
}


def codes_in(path: Path) -> set[str]:
    """The codes that a module refuses rows or messages with: always written out, so that none is forgotten here."""
    places = {"BadRow": 1, "RowRefused": 0, "_Refusal": 0}
    codes = set()
    for call in ast.walk(ast.parse(path.read_text())):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in places:
            codes.add(ast.literal_eval(call.args[places[call.func.id]]))
    return codes


def report_of(path: Path, rows: list[str], columns: ColumnMap) -> str:
    path.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
    with RowFile(path) as file:
        found = import_file(file, columns, on_chunk=lambda _position, _rows: None)
    assert (found.rejected, found.report) == (len(rows) - 1, path.with_name(f"{path.name}.errors.csv"))
    return path.with_name(f"{path.name}.errors.csv").read_text(encoding="utf-8")


def check(report: str, codes: list[str], rows: list[str]) -> None:
    """Every row is refused with its code, and nothing that rows say is in the report."""
    told = list(csv.DictReader(report.splitlines()))
    assert [(int(row["line"]), row["code"]) for row in told] == list(enumerate(codes, 2))
    said = [word for word in WORDS if any(word in row for row in rows)]
    assert len(said) > 1
    assert [word for word in (*said, "Lovelace", "user-erased") if word.lower() in report.lower()] == []


def test_every_code_is_tried() -> None:
    known = set().union(*(codes_in(Path(str(module.__file__))) for module in READERS)) | {Suppressed.code}
    assert JSON_EVENTS.keys() | CSV_PEOPLE.keys() == known - OTHERS
    assert known >= OTHERS


def test_a_report_of_json_lines_says_nothing_of_a_row(tmp_path: Path) -> None:
    suppress("user_id", "user-erased")
    rows = [event(no="m1", sum=1, mail=WORDS[0], name=WORDS[1]), *JSON_EVENTS.values()]
    report = report_of(tmp_path / "events.jsonl", rows, ColumnMap.parse(*EVENTS))
    check(report, list(JSON_EVENTS), rows)


def test_a_report_of_a_table_says_nothing_of_a_row(tmp_path: Path) -> None:
    rows = ["mail,tel,who,name", *CSV_PEOPLE.values()]
    report = report_of(tmp_path / "people.csv", rows, ColumnMap.parse(*PEOPLE))
    check(report, list(CSV_PEOPLE), rows)
