"""The snippets of docs/widget.md make tokens and requests that the server takes, in each language."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from cdp.core.clock import now_us
from tests.live import ROOT, WebServer
from tests.serving import until
from tests.shops import ORIGIN, Shop, new_shop
from widget_api.script import SCRIPT
from widget_api.tokens import customer_of

_SNIPPET = re.compile(r"^<!-- runs: (\w+) -->\n```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SNIPPETS = {
    (kind, language): text for kind, language, text in _SNIPPET.findall((ROOT / "docs" / "widget.md").read_text())
}
CUSTOMER = "Jonas Žemaitis / 7?&+ü"
PROGRAMS = {"python": sys.executable, "php": shutil.which("php"), "js": shutil.which("node")}
CALLS = {
    ("token", "python"): "import sys\nsys.stdout.write(customer_token({!r}))",
    ("token", "php"): "echo customer_token({!r});",
    ("token", "js"): "process.stdout.write(customerToken({!r}));",
    ("request", "python"): "import sys\nsys.stdout.write(profile({!r}))",
    ("request", "php"): "echo profile({!r});",
    ("request", "js"): "profile({!r}).then((text) => process.stdout.write(text));",
}


def test_there_is_a_snippet_for_each_language():
    assert sorted(SNIPPETS) == sorted(CALLS)


def run(kind: str, language: str, shop: Shop, folder: Path, url: str = "") -> str:
    program = PROGRAMS[language]
    if program is None and not os.environ.get("CI"):
        pytest.skip(f"There is no {language} on this machine; CI installs it.")
    assert program is not None
    file = folder / f"snippet.{language}"
    file.write_text(SNIPPETS[kind, language] + CALLS[kind, language].format(CUSTOMER) + "\n")
    environment = {
        **os.environ,
        "WIDGET_KEY": shop.row.key,
        "WIDGET_KEY_ID": shop.kid,
        "WIDGET_SECRET": shop.secret,
        "CDP_URL": url,
    }
    done = subprocess.run(
        [program, str(file)], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("language", sorted(PROGRAMS))
@pytest.mark.django_db
def test_the_token_is_taken(language: str, tmp_path: Path) -> None:
    shop = new_shop()
    assert customer_of(run("token", language, shop, tmp_path), shop.ref, now=now_us()) == CUSTOMER


@pytest.mark.parametrize("language", sorted(PROGRAMS))
def test_the_signed_request_is_answered(language: str, web: WebServer, tmp_path: Path) -> None:
    shop = new_shop(f"Shop for {language}")
    config = f"{web.url}/api/widget/v1/config?key={shop.row.key}"
    until(lambda: requests.get(config, headers={"Origin": ORIGIN}, timeout=5).status_code == 200)
    answer = json.loads(run("request", language, shop, tmp_path, web.url))
    assert (answer["customer_id"], answer["found"]) == (CUSTOMER, False)


def test_the_attributes_are_those_of_the_script():
    """Every attribute that the script reads is documented, and no other."""
    read = set(re.findall(r"options\.(\w+)", SCRIPT.read_text()))
    documented = set(re.findall(r"^\| `data-(\w+)` \|", (ROOT / "docs" / "widget.md").read_text(), re.MULTILINE))
    assert documented == read
