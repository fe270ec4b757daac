"""A process that runs retention and is killed between two steps, over and over: `python -m tests.cdp.privacy.retainer`.

Imports everything once and forks for every life; each life gets further than the one before, until one ends.
"""

import importlib
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import django

STEPS: dict[str, tuple[str, ...]] = {
    "cdp.privacy.retention_run": ("_begin", "_end", "ask_for_sweeps"),
    "cdp.privacy.retention_events": ("_delete_some", "_delete_sessions"),
    "cdp.history.retain": ("keep_rows", "note"),
    "cdp.lake.delta": ("_guarded",),
}


def main(most: int) -> None:
    """Live until nothing is left to do, at most so often; writes how many lives were cut short."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    for module in (*STEPS, "deltalake", "duckdb", "ibis", "pyarrow.dataset", "pandas"):
        importlib.import_module(module)
    killed = 0
    for life in range(1, most):
        child = os.fork()
        if child == 0:
            live(2 * life - 1)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            assert status == 0, status
            break
        assert os.WTERMSIG(status) == signal.SIGKILL, status
        killed += 1
    sys.stdout.write(f"{killed}\n")


def live(last: int) -> None:
    """Run every active policy, until the step number `last`, which is the end."""
    from cdp.core.clock import now_us
    from cdp.lake.delta import LakeTable
    from cdp.privacy import retention_events
    from cdp.privacy.models import RetentionPolicy
    from cdp.privacy.retention_run import run

    retention_events.CHUNK = 40
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
    LakeTable.vacuum = mortal(LakeTable.vacuum)  # type: ignore[method-assign]
    run(list(RetentionPolicy.objects.filter(active=True)), actor="test", now=now_us())


def die(left: list[int]) -> None:
    """SIGKILL at the last step."""
    left[0] -= 1
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main(int(sys.argv[1]))
