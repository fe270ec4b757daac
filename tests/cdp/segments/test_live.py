"""The whole installation: who does something is in the segment seconds later; and kill -9 while it is computed."""

import json
import re
import urllib.request
from base64 import b64encode
from pathlib import Path
from random import Random
from typing import Any

from tests.installation import Installation, new_installation
from tests.serving import serving, until

ENTRY_SECONDS = 15.0
"""Far above what it takes (benchmarks/segments.py), so that a busy machine does not fail the test."""
PEOPLE = 12_000
KILLS = 3
_MAKE_PEOPLE = f"""
from django.db.models import F
from cdp.core.ids import uuid7
from cdp.profiles.models import Profile
Profile.objects.bulk_create((Profile(public_id=uuid7(), person_id=0, created_at=n, updated_at=n, first_seen=n,
    last_seen=n) for n in range(1, {PEOPLE} + 1)), batch_size=2000)
Profile.objects.update(person_id=F("id"))
"""
_DEFINE = """
from cdp.segments.definition import define
from cdp.segments.models import Segment
rule = [{{"field": "createdAt", "operator": "{operator}", "value": "1970-01-01T00:00:00.006000Z"}}]
define(Segment.objects.filter(key="half").first() or Segment(), {{"name": "half", "key": "half", "rules": rule}})
"""


class Client:
    """The API of a running installation."""

    def __init__(self, url: str, key: str) -> None:
        self._url = url
        self._key = key

    def call(self, path: str, body: Any = None) -> Any:
        return self._send(f"/api/v1/cdp/{path}", body, {"X-API-Key": self._key})

    def track(self, write_key: str, event: str, user: str) -> None:
        basic = b64encode(f"{write_key}:".encode()).decode()
        self._send("/v1/track", {"event": event, "userId": user}, {"Authorization": f"Basic {basic}"})

    def _send(self, path: str, body: Any, headers: dict[str, str]) -> Any:
        data = None if body is None else json.dumps(body).encode()
        sent = urllib.request.Request(self._url + path, data, {**headers, "Content-Type": "application/json"})
        with urllib.request.urlopen(sent, timeout=20) as answer:
            return json.loads(answer.read() or b"null")


def test_whoever_does_something_is_in_the_segment_seconds_later(tmp_path: Path) -> None:
    with new_installation(tmp_path / "var") as installation:
        [write_key] = re.findall(r"^Write key +(\S+)", installation.manage("setup"), re.MULTILINE)
        key = installation.manage("create_api_key", "test", "--scopes", "read,write").splitlines()[-1].strip()
        with serving(installation) as server:
            client = Client(server.url, key)
            client.call("segments", {"name": "Buyers", "key": "buyers", "rules": [{"event": "Order Completed"}]})
            until(lambda: client.call("segments/buyers")["status"] == "ready", within=ENTRY_SECONDS)
            for number in range(3):
                client.track(write_key, "Order Completed", f"user-{number}")
                until(lambda n=number + 1: client.call("segments/buyers/size")["size"] == n, within=ENTRY_SECONDS)
            causes = [row["cause"] for row in client.call("segments/buyers/changes")["data"]]
            assert causes == ["event"] * 3
            assert client.call("segments/buyers/size")["freshness"] == 0


def _visible(installation: Installation) -> tuple[int, set[int]]:
    """The generation of the segment and the people that a reader sees, in one look."""
    rows = installation.rows(
        "select s.generation, m.person_id from segments_segment s left join segments_membership m on"
        " m.segment_id = s.id and m.from_gen <= s.generation and (m.to_gen is null or m.to_gen > s.generation)"
    )
    return rows[0][0], {person for _, person in rows if person is not None}


def test_killed_at_any_moment_the_old_generation_is_whole_and_the_next_run_right(tmp_path: Path) -> None:
    """The segment holds those created in the first or in the second half; both halves change at every run."""
    random = Random(11)
    with new_installation(tmp_path / "var") as installation:
        installation.manage("shell", "-c", _MAKE_PEOPLE)
        people = {row[0]: row[1] for row in installation.rows("select id, created_at from profiles_profile")}
        halves = {
            "before": {person for person, made in people.items() if made < 6_000},
            "after": {person for person, made in people.items() if made > 6_000},
        }
        before: set[int] = set()
        for number in range(KILLS):
            operator = ["before", "after"][number % 2]
            installation.manage("shell", "-c", _DEFINE.format(operator=operator))
            process = installation.start("segments", "compute", "half")
            seen = random.choice([1, 2_000, 4_500])
            sql = "select count(*) from segments_membershipchange c join segments_segment s on s.id = c.segment_id"
            written = f"{sql} where c.generation > s.generation"

            def ready(least: int = seen, asked: str = written) -> bool:
                return bool(installation.value(asked) >= least)

            installation.kill_when(process, ready)
            generation, found = _visible(installation)
            assert found in (before, halves[operator])
            installation.manage("segments", "compute", "half")
            after, found = _visible(installation)
            assert found == halves[operator]
            assert after == generation + (0 if before == halves[operator] else 1) or after == generation
            assert installation.value("select size from segments_segment") == len(found)
            before = found
        left = installation.value(
            "select count(*) from segments_membershipchange c join segments_segment s on s.id = c.segment_id"
            " where c.generation > s.generation"
        )
        assert left == 0
