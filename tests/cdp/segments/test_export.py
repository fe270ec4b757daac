"""Files of members: what is in them, what is masked, and that memory does not grow."""

import csv
import io
import json
import tracemalloc
from collections.abc import Iterator

import pytest

from cdp.access.rights import EVERYTHING
from cdp.core.errors import Invalid
from cdp.core.ids import uuid7
from cdp.segments.export import Export
from cdp.segments.members import Member, member_pages
from cdp.segments.membership import add_members
from cdp.segments.models import Segment
from tests.cdp.segments.making import a_list, ids, some_people
from tests.factories import identifier


def written(segment: Segment, **fields: object) -> str:
    segment.refresh_from_db()
    return b"".join(Export(**fields).written(member_pages(segment))).decode()  # type: ignore[arg-type]


@pytest.fixture
def vip(db: None) -> Segment:
    alice, bob = some_people(2)
    identifier(alice, "email", "alice@example.com")
    identifier(alice, "user_id", "=1+1")
    identifier(bob, "phone", "+37060012345")
    segment = a_list()
    add_members(segment, ids([alice, bob]), actor="test")
    return segment


def test_csv(vip: Segment) -> None:
    text = written(vip, fields=("email", "phone", "userId"), rights=EVERYTHING)
    assert list(csv.reader(io.StringIO(text))) == [
        ["email", "phone", "userId"],
        ["alice@example.com", "", "'=1+1"],
        ["", "+37060012345", ""],
    ]


def test_json_and_lines_say_the_same(vip: Segment) -> None:
    listed = json.loads(written(vip, fields=("id", "email", "enteredAt"), format="json", rights=EVERYTHING))
    lines = written(vip, fields=("id", "email", "enteredAt"), format="jsonl", rights=EVERYTHING)
    assert [json.loads(line) for line in lines.splitlines()] == listed
    assert [row["email"] for row in listed] == ["alice@example.com", None]
    assert list(listed[0]) == ["id", "email", "enteredAt"]


def test_personal_values_are_masked_without_the_right(vip: Segment) -> None:
    assert json.loads(written(vip, fields=("email",), format="json"))[0] == {"email": "a***@e***.com"}


def test_an_empty_segment_is_an_empty_file(db: None) -> None:
    nobody = a_list("nobody")
    assert written(nobody) == "id,enteredAt\r\n"
    assert written(nobody, format="json") == "[]\n"
    assert written(nobody, format="jsonl") == ""


def test_what_is_unknown_is_refused() -> None:
    with pytest.raises(Invalid, match=r"'shoe' is no field\. Use any of: id, enteredAt, userId, email, phone"):
        Export.asked("id,shoe", "csv", rights=EVERYTHING)
    with pytest.raises(Invalid, match="must be one of csv, json, jsonl"):
        Export.asked("", "xml", rights=EVERYTHING)


def test_memory_does_not_grow_with_the_segment() -> None:
    def pages(count: int) -> Iterator[list[Member]]:
        for number in range(count):
            yield [Member(number * 5_000 + one, str(uuid7()), number) for one in range(5_000)]

    def peak(count: int) -> int:
        tracemalloc.start()
        for _ in Export(format="csv").written(pages(count)):
            pass
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(1)
    assert peak(12) < 1.5 * peak(3)
