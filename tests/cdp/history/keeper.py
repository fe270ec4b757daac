"""A process that keeps the lake and is killed between two steps, over and over: `python -m tests.cdp.history.keeper`.

Imports everything once and forks for every life, so that a life costs no start-up. A life exports, compacts, purges and
sweeps, and ends by SIGKILL before or after a step whose number is drawn at random.
"""

import os
import random
import signal
import sys
from collections.abc import Callable
from typing import Any

import django

STEPS: dict[str, tuple[str, ...]] = {
    "cdp.history.export": ("table_to_write", "events_rows", "note", "note_flushed", "_versions"),
    "cdp.history.compact": ("open_table", "compact_month", "compact_people", "note"),
    "cdp.history.purge": ("_old",),
    "cdp.history.erase": ("open_table", "note", "_versions_of"),
    "cdp.lake.delta": ("_guarded",),
}
METHODS = {"append", "replace", "remove", "vacuum"}


def main(lives: int, seed: int) -> None:
    """Live so often; the parent opens neither database nor lake, which do not survive a fork."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    import deltalake  # noqa: F401
    import duckdb  # noqa: F401
    import ibis  # noqa: F401
    import numpy  # noqa: F401
    import pandas  # noqa: F401

    chance = random.Random(seed)
    killed = 0
    for _ in range(lives):
        last = chance.randrange(1, 25)
        child = os.fork()
        if child == 0:
            live(last)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            assert os.WTERMSIG(status) == signal.SIGKILL, status
            killed += 1
        else:
            assert status == 0, status
        sys.stdout.write(f"{killed}\n")
        sys.stdout.flush()


def live(last: int) -> None:
    """Keep the lake until the step number `last`, which is the end."""
    import importlib

    from cdp.core.clock import now_us
    from cdp.history import compact, erase, export, lease, purge
    from cdp.lake.delta import LakeTable
    from cdp.lake.errors import Overtaken

    left = [last]

    def mortal(step: Callable[..., Any]) -> Callable[..., Any]:
        def stepped(*args: Any, **kwargs: Any) -> Any:
            die(left)
            result = step(*args, **kwargs)
            die(left)
            return result

        return stepped

    for module, names in STEPS.items():
        for name in names:
            place = importlib.import_module(module)
            setattr(place, name, mortal(getattr(place, name)))
    for name in METHODS:
        setattr(LakeTable, name, mortal(getattr(LakeTable, name)))
    for work in (
        export.flush_events,
        export.flush_people,
        lambda: compact.compact_events(everything=True),
        lambda: compact.compact_people_table(everything=True),
        lambda: purge.purge_hot_events(now_us()),
        erase.erase_deleted,
    ):
        try:
            work()
        except (lease.LakeBusy, Overtaken):
            continue


def die(left: list[int]) -> None:
    """SIGKILL at the last step."""
    left[0] -= 1
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
