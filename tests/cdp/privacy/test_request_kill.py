"""`kill -9` between any two steps of carrying requests out: they go on and end once."""

import json
import subprocess
import sys
from pathlib import Path

from tests.installation import ROOT, new_installation

_LIVES = 15
_WANTED = ("access", "portability", "deletion", "objection", "rectification")
_BEGIN = """
from cdp.core.clock import now_us
from cdp.core.holder import holder_name
from cdp.privacy.models import PrivacyRequest
from cdp.privacy.requests import open_request, verify_request
wanted = {"traits": {"lastName": "King"}, "identifiers": {"phone": "+37061234567"}}
for kind in PrivacyRequest.Kind.values:
    changes = wanted if kind == "rectification" else None
    made = open_request(
        kind, {"user_id": f"{kind}-person"}, regulation="gdpr", channel="command", actor="shell:test", changes=changes
    )
    verify_request(made, by="shell:test", how="document")
held = {"holder": holder_name(), "held_until": now_us() + 10**12}
PrivacyRequest.objects.update(status="running", carried_by="shell:test", **held)
"""
"""A verified request of each kind, begun by a process that is gone."""
_FINISH = """
from cdp.privacy.carrying import continue_requests
from cdp.privacy.erase import continue_erasures
from cdp.privacy.models import PrivacyRequest
continue_requests()
continue_erasures()
PrivacyRequest.objects.update(held_until=0)
continue_requests()
"""


def people(folder: Path) -> Path:
    """A person for each kind of request, with an event."""
    path = folder / "people.jsonl"
    with path.open("w") as file:
        for number, kind in enumerate(_WANTED):
            row = {"id": f"m{number}", "user": f"{kind}-person", "event": "Seen", "at": 1_700_000_000 + number}
            file.write(json.dumps(row) + "\n")
    return path


def test_killed_anywhere_it_ends_once(tmp_path: Path) -> None:
    mapping = ["id=messageId", "user=userId", "at=timestamp", "event=event"]
    maps = [part for one in mapping for part in ("--map", one)]
    with new_installation(tmp_path / "var") as installation:
        installation.manage("import_file", str(people(tmp_path)), "--kind", "events", *maps)
        installation.manage("shell", "-v0", "-c", _BEGIN)
        killer = subprocess.run(
            [sys.executable, "-W", "ignore", "-m", "tests.cdp.privacy.request_killer", str(_LIVES), "1"],
            cwd=ROOT, env=installation.environment, stdout=subprocess.PIPE, text=True, timeout=300, check=True,
        )  # fmt: skip
        installation.manage("shell", "-v0", "-c", _FINISH)
        rows = dict(installation.rows("select kind, status from privacy_privacyrequest"))
        assert rows == dict.fromkeys(_WANTED, "completed")
        completed = "select count(*) from access_auditentry where action = 'complete'"
        assert installation.value(completed) == len(_WANTED)
        packages = installation.rows(
            "select r.kind, count(*) from privacy_accesspackage p join privacy_privacyrequest r on r.id = p.request_id"
            " where p.key is not null group by r.kind order by r.kind"
        )
        assert packages == [("access", 1), ("portability", 1)]
        statements = installation.rows(
            "select type, count(*) from consents_consentrecord where source like 'privacy request%' group by type"
        )
        assert {count for _, count in statements} == {1}
        assert installation.value("select count(*) from access_auditentry where action = 'rectify'") == 1
        assert installation.rows("select status from privacy_erasure") == [("done",)]
        assert installation.value("select count(*) from profiles_profile") == len(_WANTED) - 1
        assert int(killer.stdout) >= _LIVES // 3
