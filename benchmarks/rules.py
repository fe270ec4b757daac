"""Rules on a million people and ten million events, beside SQL written by hand: `python benchmarks/rules.py`.

The data is made in an empty folder that goes afterwards (`_million.py`). Every answer is compared with the one of the
SQL written by hand, which does the same work on the same files: living people only, merged ones together, nothing
after now. Times are the best of three, in turns, and hold everything: reading the rule, filling the moment into the SQL
that was built when the rule was first asked (that first time stands below each), running it, the ids as Arrow. The same
is asked of PostgreSQL, with indexes for exactly these questions, where BENCH_DATABASE_URL (default: the local one)
answers. The load before is printed: on a busy machine only the ratios say something.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

if __name__ == "__main__":
    # As a module, from the root: what it measures is found there.
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks._rules", *sys.argv[1:]]
    sys.exit(subprocess.run(command, cwd=ROOT, check=False).returncode)
