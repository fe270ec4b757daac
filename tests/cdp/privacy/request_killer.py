"""A process that carries requests out and is killed between two steps, over and over.

`python -m tests.cdp.privacy.request_killer LIVES SEED` prints how many lives ended by SIGKILL. Each life is a fork that
dies before or after a step whose number is drawn at random.
"""

import os
import random
import signal
import sys
from collections.abc import Callable
from typing import Any

import django

STEPS: dict[str, tuple[str, ...]] = {
    "cdp.privacy.carrying": (
        "_claim", "_work", "_finish", "make_package", "erase_person", "record_statement", "mark_described",
        "set_traits", "add_identifier", "record", "forget_whom", "seal_request", "open_body", "person_now",
    ),
    "cdp.privacy.package": ("write_zip", "_to_disk", "record_change"),
    "cdp.privacy.erase": ("begin_erasures", "_take", "prove"),
}  # fmt: skip


def main(lives: int, seed: int) -> None:
    """Live so often; the parent opens neither database nor lake, which do not survive a fork."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    import deltalake  # noqa: F401
    import duckdb  # noqa: F401
    import ibis  # noqa: F401

    import cdp.privacy.carrying  # noqa: F401

    chance = random.Random(seed)
    killed = 0
    for _ in range(lives):
        last = chance.randrange(1, 40)
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


def live(last: int) -> None:
    """Carry out what was begun until the step number `last`, which is the end; with 0 to the end."""
    import importlib

    from cdp.privacy import carrying

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
    for kind in ("_package", "_erase", "_rectify", "_object"):
        setattr(carrying, kind, mortal(getattr(carrying, kind)))
    carrying.continue_requests()


def die(left: list[int]) -> None:
    """SIGKILL at the last step."""
    left[0] -= 1
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
