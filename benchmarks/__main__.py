"""`make bench`: every measurement of this folder, one after the other, each beside its limit.

Each file is a program that prints its own table; names choose some (`python -m benchmarks idle door`). On a machine
that does something else at the same time the figures say little.
"""

import os
import platform
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent


def main() -> int:
    """The exit status: 1 when a program failed; a missed limit is marked in its table."""
    files = sorted(path for path in FOLDER.glob("*.py") if not path.name.startswith("_"))
    names = sys.argv[1:]
    unknown = set(names) - {path.stem for path in files}
    if unknown:
        sys.exit(f"No such benchmark: {', '.join(sorted(unknown))}. There are: {', '.join(p.stem for p in files)}.")
    load = os.getloadavg()[0]
    sys.stdout.write(f"{os.cpu_count()} cores, Python {platform.python_version()}, load before: {load:.2f}\n")
    failed = []
    for path in files:
        if names and path.stem not in names:
            continue
        sys.stdout.write(f"\n=== {path.stem} ===\n")
        sys.stdout.flush()
        if subprocess.run([sys.executable, str(path)], cwd=FOLDER.parent, check=False).returncode:
            failed.append(path.stem)
    if failed:
        sys.stdout.write(f"\nFailed: {', '.join(failed)}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
