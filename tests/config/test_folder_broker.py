"""The broker in a folder: readers beside writers get every message once, and whole."""

import threading
from pathlib import Path
from queue import Empty

import pytest
from kombu import Connection

from config.folder_broker import SCHEME

MESSAGES = 1500


@pytest.fixture
def connection(tmp_path: Path) -> Connection:
    folders = {"data_folder_in": str(tmp_path), "data_folder_out": str(tmp_path)}
    options = {**folders, "control_folder": str(tmp_path / "control"), "store_processed": False}
    return Connection(f"{SCHEME}://localhost", transport_options=options)


def test_a_reader_never_meets_half_a_message(connection):
    got: list[int] = []
    done = threading.Event()

    def read() -> None:
        with connection.clone() as mine:
            channel = mine.default_channel
            while True:
                ended = done.is_set()
                try:
                    got.append(channel._get("work")["number"])
                except Empty:
                    if ended:
                        return

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    with connection as mine:
        for number in range(MESSAGES):
            mine.default_channel._put("work", {"number": number, "body": "x" * 4000})
    done.set()
    for reader in readers:
        reader.join()
    assert sorted(got) == list(range(MESSAGES))


def test_a_file_that_is_no_message_is_passed_over(connection, tmp_path):
    (tmp_path / "0_a.work.msg").write_bytes(b"")
    with connection as mine:
        mine.default_channel._put("work", {"number": 7})
        assert mine.default_channel._get("work") == {"number": 7}
        with pytest.raises(Empty):
            mine.default_channel._get("work")
    assert list(tmp_path.glob("*.msg")) == []
