"""People of whom nothing was heard for longer than the policies allow: counted, or erased with all that is theirs."""

from collections.abc import Sequence
from uuid import UUID

from django.db.models import Max

from cdp.core.clock import DAY, now_us
from cdp.history.reading import database
from cdp.identities.models import SuppressedIdentifier
from cdp.identities.suppression import lift
from cdp.pipeline.lease import exclusive
from cdp.privacy.erase import begin_erasures, carry_out_erasures
from cdp.privacy.holds import COVERED
from cdp.privacy.journal import Line, write_lines
from cdp.privacy.models import Erasure, RetentionPolicy
from cdp.privacy.retention_old import Old, Progress
from cdp.profiles.models import Profile

ACTOR = "retention"
"""Who erases them, in the list of erasures and in the audit."""
CHUNK = 1000
_QUIET = f"""
    with recursive {COVERED}, quiet as (
        select person_id, max(last_seen) as seen from profiles_profile
        where person_id not in (select p.person_id from covered c join profiles_profile p on p.id = c.profile)
        group by person_id having max(last_seen) < ? and max(created_at) < ?)"""
"""People without an event since then, none of whose profiles was made since then, and who are not held."""


def count_people(
    policies: Sequence[RetentionPolicy], deleting: Sequence[RetentionPolicy], *, now: int
) -> dict[int, Old]:
    """How many would be erased at `now` (µs) by each of `deleting` when all of `policies` decide: one query."""
    found = {policy.pk: Old() for policy in deleting}
    decides = _shortest(policies)
    if decides is not None and decides.pk in found:
        before = now - decides.days * DAY
        [(rows, oldest)] = database().rows(f"{_QUIET} select count(*), min(seen) from quiet", (before, before))
        found[decides.pk].add(rows, oldest)
    return found


def erase_quiet(
    policies: Sequence[RetentionPolicy],
    deleting: Sequence[RetentionPolicy],
    *,
    now: int,
    progress: Progress = lambda *_: None,
) -> dict[int, Old]:
    """Erase whom `count_people` counts, 1,000 at a time, each with proof and receipt (`cdp.privacy.erase`).

    They are found and begun under the fence, so that nobody who came back meanwhile is among them. Afterwards they may
    come back as somebody new: the suppressions of these erasures are lifted when they are done.
    """
    found = {policy.pk: Old() for policy in deleting}
    decides = _shortest(policies)
    if decides is None or decides.pk not in found:
        return found
    before = now - decides.days * DAY
    old = found[decides.pk]
    total = count_people(policies, [decides], now=now)[decides.pk].rows
    last = 0
    while True:
        with exclusive() as db:
            sql = f"{_QUIET} select person_id, seen from quiet where person_id > ? order by person_id limit ?"
            quiet = db.rows(sql, (before, before, last, CHUNK))
            people = list(Profile.objects.filter(pk__in=[row[0] for row in quiet]))
            known = Erasure.objects.aggregate(last=Max("pk"))["last"] or 0
            begun = begin_erasures(people, actor=ACTOR, mine=True) if people else []
        if not quiet:
            break
        mine = [row for row in begun if row.pk > known]  # the others are being erased already
        carry_out_erasures(mine)
        old.add(len(mine), min(seen for _, seen in quiet))
        last = quiet[-1][0]
        progress("people", old.rows, max(total, old.rows))
    let_return()
    return found


def let_return() -> int:
    """Lift what erasures by retention that are done keep out; returns how many identifiers.

    A person who asked to be erased stays out; one who was only silent for long may come back.
    """
    done = list(
        Erasure.objects.filter(actor=ACTOR, request=None, status=Erasure.Status.DONE).values_list(
            "public_id", flat=True
        )
    )
    lifted = 0
    for start in range(0, len(done), CHUNK):
        lifted += _lift(done[start : start + CHUNK])
    return lifted


def _lift(erasures: Sequence[UUID]) -> int:
    with exclusive():
        now = now_us()
        rows = list(SuppressedIdentifier.objects.filter(request__in=erasures, lifted_at=None))
        for row in rows:
            lift(row, by=ACTOR, why="Erased for long silence, not at their request.", now=now)
        if rows:
            write_lines([Line("lift", bytes(row.digest).hex(), now) for row in rows])
        return len(rows)


def _shortest(policies: Sequence[RetentionPolicy]) -> RetentionPolicy | None:
    for_people = [policy for policy in policies if policy.subject == RetentionPolicy.Subject.PROFILES]
    return min(for_people, key=lambda policy: (policy.days, policy.pk), default=None)
