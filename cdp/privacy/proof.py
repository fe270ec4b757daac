"""The proof of an erasure: a scan that decodes every store and must find nothing; then the signed receipt."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from django.conf import settings
from django.db import transaction

from cdp.access.audit import record_change
from cdp.core.clock import iso, now_us
from cdp.core.errors import DomainError
from cdp.identities.models import IdentifierType
from cdp.privacy.erase_history import unreadable
from cdp.privacy.erase_subject import Trace, open_trace, seal_trace
from cdp.privacy.erase_work import Work
from cdp.privacy.models import Erasure
from cdp.privacy.proof_lake import scan_lake
from cdp.privacy.proof_mentions import count_mentions
from cdp.privacy.proof_scope import Scope
from cdp.privacy.proof_store import Scanned, scan_store
from cdp.privacy.receipt import VERSION, check_signature, save_receipt, signed

STEP = "proof"
"""Under which an erasure says what the scan found."""
Progress = Callable[[str, int, int], None]


def scan(scope: Scope, *, progress: Progress = lambda *_: None) -> tuple[dict[str, Scanned], str]:
    """Every store by name, and why one of them could not be looked at (blank: all were)."""
    scanned = scan_store(scope, progress)
    try:
        scanned |= scan_lake(scope, progress)
    except DomainError as error:
        return scanned, f"The lake: {error.message}"
    except unreadable() as error:
        return scanned, f"The lake cannot be read ({type(error).__name__})."
    return scanned, ""


def prove(work: Work, *, progress: Progress = lambda *_: None) -> int:
    """Scan every store for the people of `work`; sign a receipt for each when nothing is found. Returns how many.

    Otherwise the erasures are `partial`, with what is in the way, and every step is due again.
    """
    if work.problems().keys() - {STEP}:  # what an earlier scan found is looked for again
        _partial(work)
        return 0
    scanned, problem = scan(Scope.of_work(work), progress=progress)
    found = {store: one.found for store, one in scanned.items() if one.found}
    if found:
        work.again()
        problem = f"Still found: {', '.join(f'{count} in {store}' for store, count in found.items())}."
    if problem:
        work.failed(STEP, problem)
        _partial(work)
        return 0
    types = dict(IdentifierType.objects.values_list("id", "code"))
    ended = now_us()
    for row in work.erasures:
        row.receipt = signed(_content(row, work.subjects[row.pk].trace, scanned, types, ended))
        save_receipt(row.receipt)
    with transaction.atomic():
        for row in work.erasures:
            row.status, row.ended_at, row.subject = Erasure.Status.DONE, ended, None
            row.steps = {name: said for name, said in row.steps.items() if name != STEP}
        fields = ["status", "ended_at", "subject", "receipt", "steps"]
        Erasure.objects.bulk_update(work.erasures, fields, batch_size=200)
        ids = [row.public_id for row in work.erasures]
        actor = work.erasures[0].actor
        record_change(actor, action="erased", object_type="erasure", object_ids=ids, fields=["receipt"])
    return len(work.erasures)


def _partial(work: Work) -> None:
    Erasure.objects.filter(pk__in=[row.pk for row in work.erasures]).update(status=Erasure.Status.PARTIAL)


def _content(
    row: Erasure, trace: Trace, scanned: Mapping[str, Scanned], types: Mapping[int, str], ended: int
) -> dict[str, Any]:
    erased: Counter[str] = Counter()
    for said in row.steps.values():
        erased.update(said.get("gone", {}))
    return {
        "version": VERSION,
        "id": str(row.public_id),
        "request": str(row.request.public_id) if row.request is not None else None,
        "startedAt": iso(row.started_at),
        "endedAt": iso(ended),
        "erased": dict(sorted(erased.items())),
        "scanned": {store: msgspec.to_builtins(one) for store, one in sorted(scanned.items())},
        "found": 0,
        "subject": {
            "suppressed": sorted(
                ({"type": types[type_id], "digest": digest.hex()} for type_id, digest in trace.suppressed),
                key=lambda one: one["digest"],
            ),
            "sealed": seal_trace(trace),
        },
        "keys": list(settings.KEYRING.versions),
    }


class Verdict(msgspec.Struct, frozen=True):
    """What a later scan found. `problem`: why a store could not be looked at; `returned`: more people have an

    identifier of theirs now than when the receipt was signed.
    """

    scanned: dict[str, Scanned]
    found: dict[str, int]
    problem: str
    returned: int
    mentions: int = 0

    @property
    def holds(self) -> bool:
        """Whether the receipt is still true."""
        return not (self.found or self.problem or self.returned > 0)


def verify_receipt(receipt: Mapping[str, Any], *, deep: bool = False, progress: Progress = lambda *_: None) -> Verdict:
    """Check the signature and scan every store again. Raises Invalid for a receipt that was not signed here.

    `deep` opens what belongs to other people too, and counts what mentions an identifier of the erased person.
    """
    check_signature(receipt)
    scope = Scope.of_trace(open_trace(receipt["subject"]["sealed"]))
    scanned, problem = scan(scope, progress=progress)
    mentions = count_mentions(scope, progress) if deep else 0
    before = sum(one["others"] for one in receipt["scanned"].values())
    return Verdict(
        scanned,
        {store: one.found for store, one in scanned.items() if one.found},
        problem,
        sum(one.others for one in scanned.values()) - before,
        mentions,
    )
