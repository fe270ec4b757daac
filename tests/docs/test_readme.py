"""The commands of the README do what it says, on a server that was started the way it says."""

import json
import re
import subprocess
import sys
from pathlib import Path

from tests.installation import new_installation
from tests.live import ROOT
from tests.serving import serving, until

_BLOCK = re.compile(r"^<!-- runs -->\n```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_first_event_and_the_person(tmp_path: Path) -> None:
    blocks = _BLOCK.findall((ROOT / "README.md").read_text())
    assert [language for language, _ in blocks] == ["sh", "sh", "python", "sh", "sh", "sh"]
    with new_installation(tmp_path / "var") as installation:
        said = installation.manage("setup")
        keys = dict(re.findall(r"^(Write key|API key) +(\S+)", said, re.MULTILINE))
        with serving(installation) as server:
            environment = {**installation.environment, "WRITE_KEY": keys["Write key"], "API_KEY": keys["API key"]}

            def run(language: str, text: str) -> str:
                program = ["bash", "-euc"] if language == "sh" else [sys.executable, "-c"]
                text = text.replace("http://localhost:8000", server.url)
                done = subprocess.run(
                    [*program, text],
                    env=environment,
                    cwd=tmp_path,
                    capture_output=True,
                    text=True,
                    timeout=60,
                    check=True,
                )
                return done.stdout

            for language, text in blocks[:3]:
                said = run(language, text)
                if language == "sh":
                    assert json.loads(said) == {"success": True, "ok": 1, "rejected": []}
            until(lambda: installation.value("select count(*) from events_event") == 3)
            found = json.loads(run(*blocks[3]))
            assert found["pagination"]["total"] == 1
            [person] = found["data"]
            assert "grace@example.com" in json.dumps(person)
            resolved = json.loads(run(*blocks[4]))
            assert resolved["customerId"] == person["id"]
            said = run(*blocks[5])
            size, segment = (json.loads(part) for part in said.replace("}{", "}\n{").splitlines())
            assert (size["size"], segment["name"], segment["status"]) == (0, "Looked, did not buy", "waiting")
            # The view before the sign-in is hers.
            assert installation.value("select count(distinct profile_id) from events_event") == 1


def test_the_documents_that_it_names_are_there() -> None:
    for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text()):
            assert (path.parent / target).is_file(), f"{path.name} leads to {target}"
