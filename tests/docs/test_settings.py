"""docs/settings.md names every environment variable, and no other."""

import re

from tests.live import ROOT

_READ = re.compile(r'env\.(?:text|flag|integers?|words|choice|networks)\(\s*"([A-Z_]+)"|os\.environ\.get\("([A-Z_]+)"')
_DOCUMENTED = re.compile(r"^\| `([A-Z_]+)` \|", re.MULTILINE)


def test_every_variable_is_documented_and_no_other() -> None:
    files = [*ROOT.glob("config/**/*.py"), *ROOT.glob("cdp/**/*.py"), *ROOT.glob("dashboard/**/*.py")]
    read = {first or second for path in files for first, second in _READ.findall(path.read_text())}
    documented = _DOCUMENTED.findall((ROOT / "docs" / "settings.md").read_text())
    assert sorted(documented) == sorted(read)
