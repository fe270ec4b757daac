"""`kill -9` of the worker at any moment: every acknowledged message becomes one event, once."""

import json
from functools import partial
from pathlib import Path

import pytest

from tests.installation import Installation, new_installation

MESSAGES = 3000
_EVENTS = "select count(*) from events_event"


def traffic(folder: Path) -> Path:
    """Messages that create, attach and merge, as JSON lines."""
    path = folder / "traffic.jsonl"
    with path.open("w") as file:
        for n in range(MESSAGES):
            person = n * 7919 % 400
            row = {"id": f"m{n}", "visitor": f"v{person}-{n % 3}", "event": "Page Seen", "at": 1_780_000_000 + n * 60}
            if n % 4 == 0:
                row["user"] = f"u{person}"
            file.write(json.dumps(row) + "\n")
    return path


def picture(installation: Installation) -> list[list[tuple[object, ...]]]:
    """What the messages have become, without the ids that differ from run to run."""
    return [
        installation.rows(sql)
        for sql in (
            "select digest, decision, ts from events_event order by digest",
            "select event_count, purchase_count, first_seen, last_seen from profiles_profile order by 1, 2, 3, 4",
            "select started, last, event_count from events_session order by 1, 2, 3",
            "select kind, rule, count(*) from identities_identitylog group by kind, rule order by 1, 2",
            "select count(*) from profiles_merge",
        )
    ]


def fill(installation: Installation, file: Path) -> None:
    mapping = ["id=messageId", "visitor=anonymousId", "user=userId", "at=timestamp", "event=event"]
    maps = [part for one in mapping for part in ("--map", one)]
    installation.manage("import_file", str(file), "--kind", "events", "--no-process", *maps)


def test_killed_workers_lose_and_double_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = traffic(tmp_path)
    with new_installation(tmp_path / "calm") as installation:
        fill(installation, file)
        installation.manage("process_inbox", "--once")
        expected = picture(installation)
    monkeypatch.setenv("MICRO_BATCH", "50")
    with new_installation(tmp_path / "killed") as installation:
        fill(installation, file)
        for killed_after in (1, 400, 900, 1500, 2100):
            worker = installation.start("process_inbox")
            installation.kill_when(worker, partial(_has_events, installation, killed_after))
            assert installation.value(_EVENTS) + installation.waiting() == MESSAGES
        installation.manage("process_inbox", "--once")
        assert installation.waiting() == 0
        assert picture(installation) == expected


def _has_events(installation: Installation, count: int) -> bool:
    return bool(installation.value(_EVENTS) >= count)
