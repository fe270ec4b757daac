"""A reader that looks at history again and again until a file says stop: `python -m tests.cdp.history.watcher FILE`.

Prints, for every look, how many events there are, the greatest id and the sum of ids; then for people the same of
(person, created). What it must have seen is known when everything is over.
"""

import os
import sys
from pathlib import Path

import django


def main(stop: Path) -> None:
    """Look until `stop` exists, and once more."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from cdp.history.snapshot import snapshot

    last = False
    while True:
        with snapshot() as taken:
            events, people = taken.tables.events, taken.tables.people
            [row] = taken.run(
                events.agg(
                    n=events.count(), top=events.id.max(), total=events.id.sum(), distinct=events.digest.nunique()
                )
            ).to_pylist()
            [who] = taken.run(people.agg(n=people.count(), distinct=people.person.nunique())).to_pylist()
        print(row["n"], row["top"] or 0, row["total"] or 0, row["distinct"], who["n"], who["distinct"], flush=True)  # noqa: T201
        if last:
            return
        last = stop.exists()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
