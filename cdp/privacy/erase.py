"""Erasing people: every app's part in order. One page to read.

1. `begin_erasures`, one transaction under the processing fence: nobody is held by law; the identifiers are suppressed,
   so that no message of theirs is stored from here on; the journal outside the database has a line.
2. `STEPS`, each of which may be stopped anywhere and done again: the operational store and what waits at its door;
   requests and packages; look-ups at other platforms; the audit; the lake.
3. The proof (`cdp.privacy.proof`) decodes every store and must find nothing; then the receipt is signed.

A part that cannot be reached leaves the erasure `partial`, with the reason, and `continue_erasures` goes on.
"""

import logging
from collections.abc import Callable, Sequence
from typing import NamedTuple

from cdp.access.audit import record_change
from cdp.core.clock import MINUTE, now_us
from cdp.core.errors import Conflict, NotFound
from cdp.core.holder import holder_name
from cdp.core.ids import uuid7
from cdp.identities.lookup import current_rules
from cdp.identities.suppression import Suppression, suppress
from cdp.pipeline.lease import exclusive
from cdp.privacy.erase_elsewhere import forget_audit, forget_look_ups, forget_requests
from cdp.privacy.erase_history import forget_history
from cdp.privacy.erase_store import forget_rows
from cdp.privacy.erase_subject import open_subject, seal_subject, seal_trace, subject_of
from cdp.privacy.erase_work import LEASE, Unreachable, Work, claim, release
from cdp.privacy.holds import held
from cdp.privacy.journal import Line, write_lines
from cdp.privacy.models import Erasure, PrivacyRequest
from cdp.privacy.proof import prove
from cdp.profiles.models import Profile

MOST = 10_000
"""How many people one call may erase."""
_CHUNK = 200
_REST = MINUTE
"""How long an erasure waits after something could not be reached."""
_RUNNING = (Erasure.Status.RUNNING, Erasure.Status.PARTIAL)
_log = logging.getLogger(__name__)
Progress = Callable[[str, int, int], None]
"""Called with what is done now, how much of it is done, and how much there is."""


class Step(NamedTuple):
    """A part of erasing, and what it does. Raises Unreachable."""

    name: str
    act: Callable[[Work], None]


STEPS = (
    Step("store", forget_rows),
    Step("requests", forget_requests),
    Step("look-ups", forget_look_ups),
    Step("audit", forget_audit),
    Step("lake", forget_history),
)


def erase_person(person: Profile, *, request: PrivacyRequest | None, actor: str) -> Erasure:
    """Erase the whole person that `person` is a profile of, with proof; returns the erasure, `done` or `partial`.

    Raises Conflict under a legal hold, NotFound when the person is gone. Takes as long as a rewrite of the lake.
    """
    return erase_people([person], request=request, actor=actor)[0]


def erase_people(
    people: Sequence[Profile],
    *,
    request: PrivacyRequest | None = None,
    actor: str,
    returns: bool = False,
    progress: Progress = lambda *_: None,
) -> list[Erasure]:
    """Erase several people, with one rewrite of the lake and one proof for all. Raises like `erase_person`.

    Under a legal hold on one of them nobody's erasure begins. Who `returns` may come back: nothing is suppressed, as
    when data has reached its age.
    """
    begun = begin_erasures(people, request=request, actor=actor, returns=returns, mine=True)
    carry_out_erasures([row for row in begun if row.holder], progress=progress)
    return list(Erasure.objects.filter(pk__in=[row.pk for row in begun]).order_by("pk"))


def begin_erasures(
    people: Sequence[Profile],
    *,
    request: PrivacyRequest | None = None,
    actor: str,
    returns: bool = False,
    mine: bool = False,
) -> list[Erasure]:
    """Suppress these people and write down that they are being erased; the sweep carries it out (`mine`: the caller).

    A person whose erasure runs already gets that one. Raises Conflict, NotFound; then nothing was written.
    """
    if len(people) > MOST:
        raise Conflict(f"Erase at most {MOST} people in one call.", code="too_many")
    with exclusive() as db:
        rows_of = Profile.objects.filter(pk__in=[person.pk for person in people])
        found = dict(rows_of.values_list("pk", "person_id"))
        ids = list(dict.fromkeys(found[person.pk] for person in people if person.pk in found))
        if not ids:
            raise NotFound("There is no such person.")
        kept = held(ids)
        if kept:
            raise Conflict(
                "A legal hold keeps this person's data: release it first."
                if len(ids) == 1
                else f"A legal hold keeps the data of {len(kept)} of these people: release it, or leave them out.",
                code="legal_hold",
                details={"held": len(kept)},
            )
        running = _running_for(ids)
        if request is not None:
            also = [row.pk for row in running.values() if row.request_id is None]
            Erasure.objects.filter(pk__in=also).update(request=request)
        rules, now = current_rules(), now_us()
        rows, lines = [], []
        for person in (one for one in ids if one not in running):
            subject = subject_of(db, person, rules, returns=returns)
            row = Erasure(
                public_id=uuid7(), request=request, actor=actor[:150], started_at=now, subject=seal_subject(subject)
            )
            if mine:
                row.holder, row.expires_at = holder_name(), now + LEASE
            asked = request.public_id if request is not None else row.public_id
            kept_out = [Suppression(digest, type_id) for type_id, digest in subject.trace.suppressed]
            suppress(db, kept_out, request=asked, now=now)
            rows.append(row)
            lines.append(Line("erase", str(row.public_id), now, seal_trace(subject.trace)))
        Erasure.objects.bulk_create(rows, batch_size=_CHUNK)
        if rows:
            named = [row.public_id for row in rows]
            record_change(actor, action="erase", object_type="erasure", object_ids=named, fields=["person"])
            write_lines(lines)
    return [*rows, *running.values()]


def delete_at_once(people: Sequence[Profile], *, request: PrivacyRequest | None = None, actor: str) -> list[Erasure]:
    """Begin to erase these people and delete what the operational store has of them; the sweep does the rest.

    For an answer within a second. Raises like `begin_erasures`.
    """
    begun = begin_erasures(people, request=request, actor=actor, mine=True)
    delete_rows([row for row in begun if row.holder])
    return begun


def delete_rows(erasures: Sequence[Erasure]) -> None:
    """Delete what the operational store has of the people of erasures that are this process's; the sweep goes on."""
    try:
        if erasures:
            _take(STEPS[0], Work(erasures))
    finally:
        release(erasures)


def _running_for(ids: Sequence[int]) -> dict[int, Erasure]:
    """Person → the erasure that runs for them."""
    running: dict[int, Erasure] = {}
    for row in Erasure.objects.filter(status__in=_RUNNING, subject__isnull=False):
        for number in open_subject(row.subject or b"").trace.numbers:
            if number in ids:
                running[number] = row
    return running


def erasures_wait() -> bool:
    """Whether `continue_erasures` would find something to do: one query."""
    return Erasure.objects.filter(status__in=_RUNNING, expires_at__lt=now_us()).exists()


def continue_erasures(*, at_once: bool = False, progress: Progress = lambda *_: None) -> int:
    """Go on with every erasure that is not done and that nobody else works on; returns how many are done now.

    One that could not be finished rests for a minute, unless `at_once`.
    """
    open_ = Erasure.objects.filter(status__in=_RUNNING)
    if at_once:
        open_.filter(holder="").update(expires_at=0)
    waiting = claim(open_.order_by("pk")[:MOST])
    return carry_out_erasures(waiting, progress=progress) if waiting else 0


def carry_out_erasures(erasures: Sequence[Erasure], *, progress: Progress = lambda *_: None) -> int:
    """Do every step of erasures that are this process's; returns how many are done, each with its receipt."""
    if not erasures:
        return 0
    try:
        work = Work(erasures)
        for number, step in enumerate(STEPS):
            progress(step.name, number, len(STEPS) + 1)
            if work.waiting(step.name):
                _take(step, work)
        progress("proof", len(STEPS), len(STEPS) + 1)
        done = prove(work)
        progress("done", len(STEPS) + 1, len(STEPS) + 1)
    except BaseException:
        release(erasures)
        raise
    release(erasures, rest=0 if done else _REST)
    return done


def _take(step: Step, work: Work) -> None:
    try:
        step.act(work)
    except Unreachable as problem:
        work.reload()
        work.failed(step.name, str(problem))
        _log.warning("Erasing goes on later: %s", problem)
