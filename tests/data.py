"""Public data sets that the tests read. They lie beside the repository."""

import os
from pathlib import Path

from tests.installation import ROOT

CDNOW_MAPPING = [
    "--kind", "events", "--map", "customer_id=userId", "--map", "date=timestamp",
    "--map", "amount=properties.revenue", "--map", "quantity=properties.quantity",
    "--set", "event=Order Completed", "--set", "properties.currency=USD",
]  # fmt: skip
"""What `import_file` is told of the file."""


def cdnow_file() -> str:
    """The CDNOW purchases: beside the repository, or where CDNOW_CSV says."""
    given = os.environ.get("CDNOW_CSV")
    places = [Path(given)] if given else [folder / "shared/data/cdnow.csv" for folder in ROOT.parents]
    found = [place for place in places if place.is_file()]
    assert found, f"cdnow.csv is in none of {places}. Put it there or name it in CDNOW_CSV."
    return str(found[0])
