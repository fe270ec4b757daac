"""`kill -9` between any two steps of export, compaction, purge and erasure, while events come in and readers read:

in the end every event is there exactly once, and every look in between saw exactly what was committed.
"""

import json
import subprocess
import sys
from pathlib import Path

import pyarrow.dataset as ds
from deltalake import DeltaTable

from cdp.pipeline.message import digest_of
from tests.installation import ROOT, Installation, new_installation

_LIVES = 12
_EVENTS = 1500
_PEOPLE = 150


def traffic(folder: Path) -> Path:
    """Events of old and new months, of people who are told apart and joined, as JSON lines."""
    path = folder / "traffic.jsonl"
    with path.open("w") as file:
        for n in range(_EVENTS):
            person = n * 7919 % _PEOPLE
            row = {"id": f"m{n}", "visitor": f"v{person}-{n % 3}", "event": "Page Seen", "at": 1_700_000_000 + n * 4000}
            if n % 5 == 0:
                row["user"] = f"u{person}"
            file.write(json.dumps(row) + "\n")
    return path


def program(installation: Installation, module: str, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", f"tests.cdp.history.{module}", *arguments],
        cwd=ROOT,
        env=installation.environment,
        stdout=subprocess.PIPE,
        text=True,
    )


def lake_rows(installation: Installation, name: str, columns: list[str]) -> list[tuple[object, ...]]:
    files = DeltaTable(f"{installation.folder}/lake/{name}").file_uris()
    table = ds.dataset([file.removeprefix("file://") for file in files]).to_table(columns=columns)
    return list(zip(*(table[column].to_pylist() for column in columns), strict=True))


def test_killed_keepers_lose_and_double_nothing(tmp_path: Path) -> None:
    mapping = ["id=messageId", "visitor=anonymousId", "user=userId", "at=timestamp", "event=event"]
    maps = [part for one in mapping for part in ("--map", one)]
    with new_installation(tmp_path / "var") as installation:
        installation.environment |= {"MICRO_BATCH": "40", "LAKE_FLUSH_ROWS": "150", "HOT_EVENT_DAYS": "1"}
        installation.manage("import_file", str(traffic(tmp_path)), "--kind", "events", "--no-process", *maps)
        stop = tmp_path / "stop"
        watcher = program(installation, "watcher", str(stop))
        worker = installation.start("process_inbox")
        keepers = [program(installation, "keeper", str(_LIVES), str(seed)) for seed in (1, 2)]
        killed = [int(keeper.communicate(timeout=300)[0].split()[-1]) for keeper in keepers]
        assert [keeper.returncode for keeper in keepers] == [0, 0]
        worker.kill()
        worker.communicate()
        installation.manage("process_inbox", "--once")
        stop.touch()
        looks = [tuple(map(int, line.split())) for line in watcher.communicate(timeout=120)[0].splitlines()]
        assert watcher.returncode == 0
        for action in ("flush", "compact", "purge", "erase"):
            installation.manage("lake", action)
        said = installation.manage("lake", "verify")

        source = installation.value("select id from access_source where lower(name) like 'import%'")
        expected = {digest_of(source, f"m{n}") for n in range(_EVENTS)}
        stored = lake_rows(installation, "events", ["id", "digest"])
        assert installation.value("select count(*) from events_event") == 0
        assert len(stored) == _EVENTS
        assert {digest for _, digest in stored} == expected
        assert f"{_EVENTS} events, each once" in said

        ids = sorted(number for number, _ in stored)
        sums = {0: (0, 0)}
        for count, number in enumerate(ids, 1):
            sums[number] = (count, sums[ids[count - 2] if count > 1 else 0][1] + number)
        for count, top, total, distinct, people, distinct_people in looks:
            assert (count, total) == sums[top]
            assert (distinct, distinct_people) == (count, people)
        assert looks[-1][0] == _EVENTS
        assert looks[-1][4] == installation.value("select count(distinct person_id) from profiles_profile")

        versions = lake_rows(installation, "people", ["person", "version"])
        assert len(set(versions)) == len(versions)
        assert sum(killed) >= _LIVES // 2
