"""Puts the demo shop's traffic into the inbox, once however often it is asked for."""

import hashlib
from collections.abc import Callable
from datetime import date
from functools import partial

from django.db import transaction
from django.utils import timezone

from cdp.access.source import SourceRef, source_named
from cdp.core.clock import now_us
from cdp.core.errors import Conflict
from cdp.pipeline.accept import accept
from cdp.pipeline.backlog import patiently
from cdp.pipeline.demo.traffic import Shop
from cdp.pipeline.message import HISTORICAL
from cdp.pipeline.models import ImportRun
from cdp.pipeline.writer import ACCEPTED

SOURCE = "demo shop"
CHUNK = 2500
"""Messages that are accepted together, at least."""


def seed_demo(
    people: int, *, seed: int, days: int, until: date | None, on_chunk: Callable[[int, int], None]
) -> ImportRun:
    """Make the first `people` people of `seed` and accept all that they did on the `days` before `until`.

    People who are there already are passed by, so more can be asked for later, and a stopped run goes on. Without
    `until` it is today, or the day that this seed was made with. `on_chunk` gets the people and messages done. Raises
    Conflict when the seed was made with other days.
    """
    source = source_named(SOURCE)
    key = hashlib.sha256(f"demo/{seed}".encode()).hexdigest()
    run = ImportRun.objects.filter(key=key).first()
    if run is None:
        span = _span(days, until or timezone.now().date())
        run = ImportRun.objects.create(key=key, path=span, kind="demo", source_id=source.id)
    elif run.path != _span(days, until or _until(run)):
        raise Conflict(f"Demo data of seed {seed} is there already, for {run.path}. Choose another --seed.")
    shop = Shop(seed, until=_until(run), days=days)
    messages: list[bytes] = []
    on_chunk(run.offset, run.accepted + run.duplicates)
    for number in range(run.offset, people):
        messages += shop.messages(number)
        if len(messages) >= CHUNK or number == people - 1:
            patiently(partial(_commit, run, messages, number + 1, source))
            messages = []
            on_chunk(run.offset, run.accepted + run.duplicates)
    ImportRun.objects.filter(pk=run.pk).update(status=ImportRun.Status.DONE)
    return run


def _commit(run: ImportRun, messages: list[bytes], offset: int, source: SourceRef) -> None:
    with transaction.atomic():
        outcomes = accept(messages, source=source, received=now_us(), flags=HISTORICAL)
        accepted = sum(outcome.status == ACCEPTED for outcome in outcomes)
        after = {
            "offset": offset,
            "accepted": run.accepted + accepted,
            "duplicates": run.duplicates + len(messages) - accepted,
        }
        here = ImportRun.objects.filter(pk=run.pk, offset=run.offset)
        if here.update(**after, status=ImportRun.Status.RUNNING, updated_at=timezone.now()) != 1:
            raise Conflict("Another process makes the same demo data.", code="import_running")
    for name, value in after.items():
        setattr(run, name, value)


def _span(days: int, until: date) -> str:
    return f"{days} days until {until.isoformat()}"


def _until(run: ImportRun) -> date:
    return date.fromisoformat(run.path.rpartition(" ")[2])
