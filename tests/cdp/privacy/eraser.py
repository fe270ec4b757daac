"""A process that erases and is killed between two steps, over and over: `python -m tests.cdp.privacy.eraser`.

Imports everything once and forks for every life. A life begins the erasure of `user-0` if nobody has, goes on with what
is not done, and ends by SIGKILL before or after a step; each life gets one step further than the one before.
"""

import importlib
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import django

STEPS: dict[str, tuple[str, ...]] = {
    "cdp.privacy.erase": ("write_lines", "release"),
    "cdp.privacy.erase_store": ("look_through", "_forget", "_say_about_nobody"),
    "cdp.privacy.erase_elsewhere": ("forget_objects", "count_objects", "_unnamed_requests"),
    "cdp.privacy.erase_history": ("flush_people", "erase_deleted", "lake_rows"),
    "cdp.privacy.proof": ("scan", "save_receipt"),
    "cdp.history.erase": ("_versions_of",),
}
METHODS = ("remove", "vacuum")


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
            live(3 * life)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            assert status == 0, status
            break
        assert os.WTERMSIG(status) == signal.SIGKILL, status
        killed += 1
    sys.stdout.write(f"{killed}\n")


def live(last: int) -> None:
    """Erase until the step number `last`, which is the end. An early life dies at an early step, and so on."""
    from cdp.identities.lookup import find_person
    from cdp.lake.delta import LakeTable
    from cdp.privacy.erase import continue_erasures, erase_person
    from cdp.privacy.erase_work import Work
    from cdp.privacy.models import Erasure

    left = [last]

    def mortal(step: Callable[..., Any]) -> Callable[..., Any]:
        def stepped(*args: Any, **kwargs: Any) -> Any:
            die(left)
            result = step(*args, **kwargs)
            die(left)
            return result

        return stepped

    for module, names in STEPS.items():
        place = importlib.import_module(module)
        for name in names:
            setattr(place, name, mortal(getattr(place, name)))
    for name in METHODS:
        setattr(LakeTable, name, mortal(getattr(LakeTable, name)))
    Work.record = mortal(Work.record)  # type: ignore[method-assign]
    if Erasure.objects.exists():
        continue_erasures(at_once=True)
        return
    person = find_person("user_id", "user-0")
    assert person is not None
    erase_person(person, request=None, actor="test")


def die(left: list[int]) -> None:
    """SIGKILL at the last step."""
    left[0] -= 1
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main(int(sys.argv[1]))
