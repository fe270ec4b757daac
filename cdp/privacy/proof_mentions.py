"""Looking for mentions of an erased person in what belongs to others: every encrypted body is opened.

Such a row is somebody else's: an event of theirs that carried a shared e-mail, a note that names a friend. It stays
with them, so a mention is counted, and is no failure of the erasure.
"""

from collections.abc import Callable

from django.conf import settings

from cdp.core.crypto import KeyMissing
from cdp.pipeline.lease import database
from cdp.privacy.opened import readable
from cdp.privacy.proof_scope import Scope
from cdp.privacy.proof_store import rows_of

Progress = Callable[[str, int, int], None]
SEALED_OF_OTHERS = (
    ("events_event", "body", "event"),
    ("traits_traitdocument", "body", "trait"),
    ("consents_consentrecord", "body", "consent"),
)
"""Table, column and purpose of what bears its profile's number, and so is not opened by the proof."""
_STEP = 10_000


def count_mentions(scope: Scope, progress: Progress) -> int:
    """How many rows of other people name an identifier that is kept out."""
    mentions = 0
    for table, column, purpose in SEALED_OF_OTHERS:
        total = int(database().rows(f"select count(*) from {table} where {column} is not null")[0][0])
        for number, (body,) in enumerate(rows_of(f"select {column} from {table} where {column} is not null"), 1):
            try:
                mentions += scope.in_text(readable(settings.KEYRING.decrypt(purpose, body)))
            except KeyMissing:
                continue
            if number % _STEP == 0 or number == total:
                progress(f"{table} (opened)", number, total)
    return mentions
