"""`kill -9` between any two steps of making and removing packages: what is left can be read by who has its link, or by
nobody and is swept away; nothing is ever unencrypted on disk."""

import json
import subprocess
import sys
from pathlib import Path

from tests.installation import ROOT, new_installation

_LIVES = 20
_LOOK = """
import json, os, zipfile, io
from cdp.core.clock import now_us
from cdp.privacy.models import AccessPackage
from cdp.privacy.package_making import prepare_packages
from cdp.privacy.package import packages_folder, read_package, remove_expired_packages
prepare_packages()
remove_expired_packages(now_us())
rows = list(AccessPackage.objects.filter(key__isnull=False))
whole = [zipfile.ZipFile(io.BytesIO(b"".join(read_package(row, actor="test", why="")))).testzip() for row in rows]
expired = AccessPackage.objects.filter(expires_at__lte=now_us(), key__isnull=False).count()
print(json.dumps([sorted(os.listdir(packages_folder())), sorted(r.public_id.hex for r in rows), whole, expired,
    sorted(set(AccessPackage.objects.values_list("status", flat=True)))]))
"""


def test_killed_makers_leave_nothing_that_can_be_read_and_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "ona.jsonl").write_text(
        json.dumps({"id": "m1", "user": "ona", "mail": "ona@quixmail.example", "at": 1_700_000_000})
    )
    mapping = ("id=messageId", "user=userId", "mail=traits.email", "at=timestamp")
    maps = [part for one in mapping for part in ("--map", one)]
    with new_installation(tmp_path / "var") as installation:
        installation.manage("import_file", str(tmp_path / "ona.jsonl"), "--kind", "customers", *maps)
        maker = subprocess.run(
            [sys.executable, "-W", "ignore", "-m", "tests.cdp.privacy.maker", str(_LIVES), "7"],
            cwd=ROOT,
            env=installation.environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert maker.returncode == 0, maker.stderr
        assert int(maker.stdout) > _LIVES // 2
        files, rows, whole, expired, states = json.loads(
            installation.manage("shell", "-v", "0", "-c", _LOOK).splitlines()[-1]
        )
    assert files == rows
    assert whole == [None] * len(rows)
    assert (len(rows) > 0, expired, states) == (True, 0, ["ready"])
