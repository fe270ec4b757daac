"""`kill -9` of any process while clients send: what was acknowledged is there exactly once afterwards."""

import json
import os
import re
import signal
import threading
import urllib.error
import urllib.request
from base64 import b64encode
from http.client import HTTPException
from pathlib import Path
from random import Random

from segment.analytics.client import Client

from cdp.pipeline.message import digest_of
from tests.installation import Installation, new_installation
from tests.serving import Serving, alive, serving, until

_ROUNDS = 4
_SDK_MESSAGES = 1_500


class Sender(threading.Thread):
    """Sends events one by one, each once, and remembers which were acknowledged, until `stop` is set."""

    def __init__(self, url: str, write_key: str) -> None:
        super().__init__(daemon=True)
        self._url = f"{url}/v1/track"
        self._headers = {"Authorization": "Basic " + b64encode(f"{write_key}:".encode()).decode()}
        self.stop = threading.Event()
        self.sent = 0
        self.acknowledged: list[str] = []

    def wait_for(self, acknowledged: int) -> None:
        """Until so many were acknowledged."""
        until(lambda: len(self.acknowledged) >= acknowledged)

    def run(self) -> None:
        while not self.stop.is_set():
            name = f"single-{self.sent}"
            self.sent += 1
            body = {"event": "Sent", "userId": f"u{self.sent % 50}", "messageId": name}
            request = urllib.request.Request(self._url, data=json.dumps(body).encode(), headers=self._headers)
            try:
                with urllib.request.urlopen(request, timeout=20) as answer:
                    answer.read()
                self.acknowledged.append(name)
            except (urllib.error.URLError, HTTPException, OSError):
                continue


def _kill(server: Serving, names: list[str]) -> None:
    """SIGKILL, and wait until they are gone and started again."""
    running = server.children()
    for name in names:
        os.kill(running[name], signal.SIGKILL)
    until(lambda: not any(alive(running[name]) for name in names))
    until(lambda: len(server.children()) == 2)


def _count(installation: Installation, table: str, column: str = "*") -> int:
    return int(installation.value(f"select count({column}) from {table}"))


def test_acknowledged_is_there_exactly_once(tmp_path: Path) -> None:
    random = Random(7)
    with new_installation(tmp_path / "var") as installation:
        [write_key] = re.findall(r"^Write key +(\S+)", installation.manage("setup"), re.MULTILINE)
        with serving(installation) as server:
            sender = Sender(server.url, write_key)
            sender.start()
            failures: list[Exception] = []
            sdk = Client(
                write_key, host=server.url, upload_size=20, upload_interval=0.05, max_retries=30, timeout=20,
                on_error=lambda error, _batch: failures.append(error),
            )  # fmt: skip
            for round_ in range(_ROUNDS):
                for number in range(_SDK_MESSAGES // _ROUNDS):
                    assert sdk.track(f"p{number % 40}", "Sent by the SDK")[0]
                sender.wait_for(len(sender.acknowledged) + random.randrange(5, 60))
                _kill(server, [["web"], ["worker"], ["web", "worker"]][round_ % 3])
            sender.stop.set()
            sender.join(60)
            sdk.shutdown()
            until(server.ready)
            until(lambda: installation.waiting() == 0)
        assert failures == []
        source = int(installation.value("select id from access_source where name = 'My app'"))
        stored = {bytes(digest) for (digest,) in installation.rows("select digest from events_event")}
        singles = {digest_of(source, name) for name in sender.acknowledged}
        assert len(singles) == len(sender.acknowledged) > 50
        assert singles - stored == set()
        events = _count(installation, "events_event")
        by_sdk = int(installation.value("select count(*) from events_event where name = 'Sent by the SDK'"))
        assert (by_sdk, len(stored)) == (_SDK_MESSAGES, events)
        # A single event whose answer was lost may be there, but not twice, and nothing else is.
        assert len(singles) <= events - by_sdk <= sender.sent
        assert int(installation.value("select sum(event_count) from profiles_profile")) == events
        assert _count(installation, "pipeline_seenmessage") == events
        assert _count(installation, "profiles_profile") == 90
