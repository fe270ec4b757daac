"""`kill -9` between any two steps of retention: in the end exactly what is too old is gone, from the files too."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq

from cdp.pipeline.message import digest_of
from tests.installation import ROOT, Installation, new_installation

_EVENTS = 200
_FLUSHED = 150
_MAPPING = ("id=messageId", "visitor=anonymousId", "at=timestamp", "event=event")


def event(number: int) -> dict[str, object]:
    """Spread over 120 days, pages and orders in turn."""
    days = number * 7919 % 120
    name = "Order Completed" if number % 3 == 0 else "Page Seen"
    at = int(time.time()) - days * 86_400 - 43_200
    return {"id": f"m{number}", "visitor": f"v{number % 20}", "event": name, "at": at, "days": days}


def kept(row: dict[str, object]) -> bool:
    """Pages for 30 days, all else for 90."""
    days = row["days"]
    assert isinstance(days, int)
    return days < (30 if row["event"] == "Page Seen" else 90)


def bring(installation: Installation, folder: Path, rows: list[dict[str, object]]) -> None:
    path = folder / f"{rows[0]['id']}.jsonl"
    path.write_text("".join(json.dumps({k: v for k, v in row.items() if k != "days"}) + "\n" for row in rows))
    maps = [part for one in _MAPPING for part in ("--map", one)]
    installation.manage("import_file", str(path), "--kind", "events", "--source", "shop", *maps)


def python(installation: Installation, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", *arguments],
        cwd=ROOT, env=installation.environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def files(installation: Installation) -> list[Path]:
    """Every file of events on disk, whether the table still knows it or not."""
    found = (installation.folder / "lake" / "events").rglob("*.parquet")
    return [file for file in found if "_delta_log" not in file.parts]


def column(file: Path, name: str) -> list[bytes]:
    return pq.read_table(file, columns=[name], partitioning=None)[name].to_pylist()  # type: ignore[no-any-return]


_POLICIES = """
import django; django.setup()
from cdp.privacy.models import RetentionPolicy
from cdp.privacy.retention import save_policy
for given in ({"name": "Pages", "days": 30, "event_names": ["Page Seen"]}, {"name": "All", "days": 90}):
    save_policy(RetentionPolicy(), {**given, "active": True}, actor="test")
"""


def test_killed_retention_goes_on_and_leaves_what_it_should(tmp_path: Path) -> None:
    events = [event(number) for number in range(_EVENTS)]
    with new_installation(tmp_path / "var") as installation:
        bring(installation, tmp_path, events[:_FLUSHED])
        installation.manage("lake", "flush")
        bring(installation, tmp_path, events[_FLUSHED:])
        python(installation, "-c", _POLICIES)
        killed = int(python(installation, "-m", "tests.cdp.privacy.retainer", "60").split()[-1])
        assert killed >= 6

        source = installation.value("select id from access_source where name = 'shop'")
        digests = {digest_of(source, str(row["id"])): row for row in events}
        expected = {digest for digest, row in digests.items() if kept(row)}
        assert {bytes(row[0]) for row in installation.rows("select digest from events_event")} == expected
        stored = [digest for file in files(installation) for digest in column(file, "digest")]
        first = {digest for digest, row in digests.items() if row in events[:_FLUSHED]}
        assert sorted(stored) == sorted(expected & first)
        policies = "select running_since, error, last_run_at is not null from privacy_retentionpolicy"
        assert [(since, error, bool(ran)) for since, error, ran in installation.rows(policies)] == [
            (None, "", True)
        ] * 2
        installation.manage("lake", "flush")
        assert f"{len(expected)} events, each once" in installation.manage("lake", "verify")
