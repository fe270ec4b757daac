"""`manage.py serve`: two processes that are kept running, and none that is left behind."""

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.installation import Installation, new_installation
from tests.serving import Serving, alive, serving, until


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    with new_installation(tmp_path / "var") as made:
        yield made


@pytest.fixture
def served(installation: Installation) -> Iterator[Serving]:
    with serving(installation) as server:
        yield server


def test_a_process_that_dies_is_started_again_and_no_connection_is_refused(served: Serving) -> None:
    first = served.children()
    os.kill(first["web"], signal.SIGKILL)
    until(lambda: not alive(first["web"]))
    # The socket is the supervisor's: a client that comes now waits for the new process.
    with socket.create_connection(("127.0.0.1", served.port), timeout=30) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert client.recv(15) == b"HTTP/1.1 200 OK"
    os.kill(first["worker"], signal.SIGKILL)
    until(lambda: len({*served.children().values(), *first.values()}) == 4)
    assert "The web server ended (killed by SIGKILL); starting it again in 0.5 s." in served.log()
    assert "The worker ended (killed by SIGKILL); starting it again in 0.5 s." in served.log()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_ends_everything_within_seconds(served: Serving, number: signal.Signals) -> None:
    children = served.children()
    served.supervisor.send_signal(number)
    assert served.supervisor.wait(12) == 0
    assert [pid for pid in children.values() if alive(pid)] == []


def test_nothing_outlives_a_killed_supervisor(served: Serving) -> None:
    children = served.children()
    served.supervisor.kill()
    served.supervisor.wait(10)
    until(lambda: not any(alive(pid) for pid in children.values()), within=15)


def test_a_port_in_use_is_a_sentence(installation: Installation) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        installation.environment["PORT"] = str(port)
        said = installation.manage("serve", status=1)
    assert said == (
        f"Cannot listen on 127.0.0.1 port {port} (Address already in use). Choose another port: PORT={port + 1}\n"
    )  # fmt: skip
