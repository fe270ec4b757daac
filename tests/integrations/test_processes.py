"""Several web processes that share Redis make one call."""

import os
import subprocess
import sys
from typing import Any

import pytest
from django.conf import settings as django_settings

from integrations.models import Integration
from tests.integrations.upstream import Upstream, row
from tests.live import ROOT, database_url

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not django_settings.REDIS_URL, reason="processes share what is kept through Redis alone"),
]

PROCESSES, THREADS = 3, 34
PROGRAM = """
import os, sys, threading
import django
django.setup()
from integrations.lookup import look_up
answers = []
ready = threading.Barrier(35)
def ask():
    ready.wait()
    answers.append(look_up("C1"))
threads = [threading.Thread(target=ask) for _ in range(34)]
for thread in threads: thread.start()
print("ready", flush=True)
sys.stdin.readline()
ready.wait()
print("asking", flush=True)
for thread in threads: thread.join()
print(len(answers), sorted({str((a.source, a.cdp_available, a.fallback_reason)) for a in answers}), flush=True)
os._exit(0)
"""


@pytest.mark.parametrize(
    ("fault", "said"), [("", "('exacaster', True, None)"), ("500", "('store', False, 'upstream_error')")]
)
def test_a_hundred_look_ups_at_once(fault: str, said: str, upstream: Upstream, integration: Integration):
    upstream.people["C1"] = row("C1")
    upstream.fault = fault
    upstream.gate.clear()
    environment = {
        **os.environ,
        "DATABASE_URL": database_url(),
        "REDIS_URL": django_settings.REDIS_URL,
        "OUTBOUND_ALLOW": "127.0.0.0/8",
        "CDP_REQUEST_TIMEOUT": "30000",
        "DJANGO_SETTINGS_MODULE": "config.settings",
    }
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [
        subprocess.Popen([sys.executable, "-W", "ignore", "-c", PROGRAM], cwd=ROOT, env=environment, **pipes)
        for _ in range(PROCESSES)
    ]
    try:
        assert {process.stdout.readline() for process in processes} == {"ready\n"}
        for process in processes:
            process.stdin.write("go\n")
            process.stdin.flush()
        assert {process.stdout.readline() for process in processes} == {"asking\n"}
        upstream.gate.set()
        printed = {process.stdout.readline() for process in processes}
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert printed == {f'{THREADS} ["{said}"]\n'}
    assert len(upstream.requests) == 1
