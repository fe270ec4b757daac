"""An SDK that keeps sending while its person is erased does not bring them back."""

import threading
from pathlib import Path

from segment.analytics.client import Client

from tests.installation import new_installation
from tests.serving import serving, until

_BEFORE, _AFTER = 60, 60


def test_a_person_whose_sdk_keeps_sending_does_not_come_back(tmp_path: Path) -> None:
    with new_installation(tmp_path / "var") as installation:
        said = installation.manage("setup")
        [key] = [line.split()[2] for line in said.splitlines() if line.startswith("Write key")]
        with serving(installation) as server:
            stop, sent = threading.Event(), [0]
            sdk = Client(key, host=server.url, upload_size=5, upload_interval=0.05, max_retries=20, timeout=20)

            def keep_sending() -> None:
                while not stop.wait(0.01):
                    sdk.track("ada", "Still here", anonymous_id="visitor-ada")
                    sdk.identify("ada", {"email": "ada@example.com"})
                    sdk.track("bob", "Somebody else")
                    sent[0] += 1

            sender = threading.Thread(target=keep_sending, daemon=True)
            sender.start()
            until(lambda: int(installation.value("select count(*) from events_event")) > _BEFORE)
            installation.manage("privacy", "erase", "ada@example.com")
            after = sent[0] + _AFTER
            until(lambda: sent[0] > after)
            stop.set()
            sender.join(30)
            sdk.shutdown()
            until(lambda: installation.waiting() == 0)
        [receipt] = (installation.folder / "receipts").glob("*.json")
        assert "nothing was found" in installation.manage("privacy", "verify", str(receipt))
        assert installation.value("select count(*) from profiles_profile") == 1
        assert installation.rows("select distinct name from events_event") == [("Somebody else",)]
        suppressed = installation.value("select sum(count) from pipeline_counter where outcome = 'suppressed'")
        assert int(suppressed) >= 2 * _AFTER
