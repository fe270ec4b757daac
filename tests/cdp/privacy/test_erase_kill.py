"""`kill -9` between any two steps of an erasure: it ends with the receipt of one that was never stopped."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec

from tests.installation import ROOT, Installation, new_installation


def _traffic(folder: Path) -> Path:
    """Two people who did the same, and a third."""
    path = folder / "traffic.jsonl"
    with path.open("w") as file:
        for n in range(30):
            who = n % 3
            row = {"id": f"m{n}", "visitor": f"visitor-{who}", "user": f"user-{who}", "event": "Seen",
                   "at": 1_700_000_000 + n * 100_000}  # fmt: skip
            file.write(json.dumps(row) + "\n")
    return path


def _receipt(installation: Installation, file: str) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(Path(installation.folder, "receipts", file).read_bytes())
    return found


def test_a_killed_erasure_ends_with_the_same_receipt(tmp_path: Path) -> None:
    maps = ["id=messageId", "visitor=anonymousId", "user=userId", "at=timestamp", "event=event"]
    with new_installation(tmp_path / "var") as installation:
        options = [part for one in maps for part in ("--map", one)]
        installation.manage("import_file", str(_traffic(tmp_path)), "--kind", "events", *options)
        installation.manage("process_inbox", "--once")
        installation.manage("lake", "flush")
        eraser = subprocess.run(
            [sys.executable, "-W", "ignore", "-m", "tests.cdp.privacy.eraser", "200"],
            cwd=ROOT,
            env=installation.environment,
            stdout=subprocess.PIPE,
            text=True,
            timeout=580,
            check=True,
        )
        assert int(eraser.stdout) > 5
        [killed] = [path.name for path in Path(installation.folder, "receipts").iterdir()]
        said = installation.manage("privacy", "erase", "user-1")
        calm = Path(next(line for line in said.splitlines() if line.endswith(".json"))).name
        one, other = _receipt(installation, killed), _receipt(installation, calm)
        assert one["erased"] == other["erased"]
        assert one["erased"]["events_event"] == one["erased"]["lake events"] == 10
        assert [len(r["subject"]["suppressed"]) for r in (one, other)] == [1, 1]
        assert (one["found"], one["scanned"].keys()) == (0, other["scanned"].keys())
        assert "nothing was found" in installation.manage(
            "privacy", "verify", f"{installation.folder}/receipts/{killed}"
        )
        assert installation.value("select count(*) from profiles_profile") == 1
