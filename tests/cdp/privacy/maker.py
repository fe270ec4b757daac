"""A process that makes packages and is killed between two steps: `python -m tests.cdp.privacy.maker LIVES SEED`.

Imports once and forks for every life. A life makes packages of the one person there is, lets one expire and sweeps, and
ends by SIGKILL before or after a step whose number is drawn at random. After each the parent looks at the folder: the
e-mail address of the person must not be in any file. At the end it says how many lives were killed.
"""

import os
import random
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import django

SECRET = b"ona@quixmail.example"
STEPS = {
    "cdp.privacy.package": ("write_zip", "_to_disk", "record_change", "exclusive", "_remove", "_readable"),
    "cdp.privacy.package_zip": ("_parts", "Spool"),
    "cdp.privacy.package_file": ("_nonce",),
    "cdp.privacy.package_making": ("_claim", "new_package", "fill_package"),
}


def main(lives: int, seed: int) -> None:
    """Live so often; the parent opens no database, which does not survive a fork."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    import deltalake  # noqa: F401
    import duckdb  # noqa: F401
    import ibis  # noqa: F401
    import pandas  # noqa: F401

    chance = random.Random(seed)
    killed = 0
    for _ in range(lives):
        last = chance.randrange(1, 420)
        child = os.fork()
        if child == 0:
            live(last)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert status == 0 or os.WTERMSIG(status) == signal.SIGKILL, status
        killed += status != 0
        look()
    sys.stdout.write(f"{killed}\n")


def look() -> None:
    """Nothing on disk says whom it is about."""
    for path in Path(os.environ["DATA_DIR"], "packages").iterdir():
        assert SECRET not in path.read_bytes(), path


def live(last: int) -> None:
    """Make and sweep until the step number `last`, which is the end."""
    import importlib

    from cdp.core.clock import now_us
    from cdp.privacy import package_making
    from cdp.privacy.models import AccessPackage
    from cdp.privacy.package import make_package, remove_expired_packages
    from cdp.profiles.models import Profile

    left = last

    def step() -> None:
        nonlocal left
        left -= 1
        if left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(does: Callable[..., Any]) -> Callable[..., Any]:
        def does_and_counts(*args: Any, **kwargs: Any) -> Any:
            step()
            done = does(*args, **kwargs)
            step()
            return done

        return does_and_counts

    for module, names in STEPS.items():
        found = importlib.import_module(module)
        for name in names:
            setattr(found, name, around(getattr(found, name)))
    person = Profile.objects.get()
    preparing = AccessPackage.Status.PREPARING
    if not AccessPackage.objects.filter(status=preparing).exists():
        package_making.ask_for_package(person, actor="test")
        step()
    package_making.prepare_packages()
    step()
    for _ in range(2):
        made, _token = make_package(person, request=None, actor="test", why="")
        step()
        AccessPackage.objects.filter(pk=made.pk).update(expires_at=now_us())
        step()
        remove_expired_packages(now_us())
        make_package(person, request=None, actor="test", why="")
        step()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
