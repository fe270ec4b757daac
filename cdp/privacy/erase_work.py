"""Erasures that are carried out together, and what each of them has done so far.

`Erasure.steps` is `{step: {"gone": {store: rows}, "done": bool, "problem": sentence}}`. What goes from the database is
counted in the transaction that deletes it; what goes elsewhere is counted before, so that a process that was killed
ends with the same numbers.
"""

import json
from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping

from django.db import transaction

from cdp.core.bulk import Database, Table
from cdp.core.clock import MINUTE, now_us
from cdp.core.holder import holder_name, is_gone
from cdp.identities.lookup import current_rules
from cdp.identities.rules import Rules
from cdp.pipeline.lease import database
from cdp.privacy.erase_subject import Known, Subject, open_subject
from cdp.privacy.models import Erasure

LEASE = 15 * MINUTE
"""How long one who works on erasures is believed to be alive, unless a step that is done says so again."""
_STEPS = Table("privacy_erasure", {"steps": "jsonb", "expires_at": "bigint", "id": "bigint"})

Gone = dict[int, Counter[str]]
"""Rows that went, by store, of each erasure (its number)."""


class Unreachable(Exception):
    """A part that cannot be reached now, said in a sentence without a value."""


class Work:
    """Erasures of one process, with the lease on each, their subjects and the rules of identity."""

    def __init__(self, erasures: Iterable[Erasure]) -> None:
        self.erasures = list(erasures)
        self.rules: Rules = current_rules()
        self.subjects: dict[int, Subject] = {row.pk: open_subject(row.subject or b"") for row in self.erasures}
        self.owner = {number: pk for pk, subject in self.subjects.items() for number in subject.trace.numbers}

    @property
    def numbers(self) -> list[int]:
        """The numbers of all profiles."""
        return sorted(self.owner)

    def alone(self) -> set[bytes]:
        """The blind indexes of identifiers that nobody else has, under every key."""
        return self._digests(lambda one: one.alone)

    def suppressed(self) -> set[bytes]:
        """The blind indexes of identifiers that are kept out, under every key."""
        return self._digests(lambda one: one.suppressed)

    def by_digest(self) -> dict[bytes, int]:
        """Blind index → erasure, of all that are kept out or nobody else has."""
        return {
            digest: pk
            for pk, subject in self.subjects.items()
            for digest in subject.digests(self.rules, which=[k for k in subject.known if k.alone or k.suppressed])
        }

    def _digests(self, wanted: Callable[[Known], bool]) -> set[bytes]:
        return {
            digest
            for subject in self.subjects.values()
            for digest in subject.digests(self.rules, which=[one for one in subject.known if wanted(one)])
        }

    def waiting(self, step: str) -> bool:
        """Whether `step` is still to be done for one of them."""
        return not all(row.steps.get(step, {}).get("done") for row in self.erasures)

    def counted(self, step: str) -> bool:
        """Whether what goes in `step` was counted by an earlier attempt."""
        return all("gone" in row.steps.get(step, {}) for row in self.erasures)

    def record(
        self,
        db: Database,
        step: str,
        gone: Mapping[int, Mapping[str, int]],
        *,
        done: bool = True,
        only: Container[int] | None = None,
    ) -> None:
        """Add what went in `step` (of the erasures `only`) to what went before, in the transaction open on `db`.

        One statement.
        """
        for row in self.erasures:
            if only is not None and row.pk not in only:
                continue
            before = row.steps.get(step, {})
            total = Counter(before.get("gone", {}))
            total.update(gone.get(row.pk, {}))
            row.steps = {**row.steps, step: {"gone": dict(sorted(total.items())), "done": done}}
        self._write(db)

    def failed(self, step: str, problem: str) -> None:
        """Say why `step` is not done."""
        for row in self.erasures:
            row.steps = {**row.steps, step: {**row.steps.get(step, {}), "done": False, "problem": problem}}
        with transaction.atomic():
            self._write(database())

    def again(self) -> None:
        """Have every step looked at again: something was found. What went stays counted."""
        for row in self.erasures:
            row.steps = {step: {**said, "done": False} for step, said in row.steps.items()}

    def reload(self) -> None:
        """Know what the store knows: after a transaction that failed."""
        stored = dict(Erasure.objects.filter(pk__in=[row.pk for row in self.erasures]).values_list("pk", "steps"))
        for row in self.erasures:
            row.steps = stored[row.pk]

    def problems(self) -> dict[str, str]:
        """Step → why it is not done."""
        return {
            step: said.get("problem", "It was not reached yet.")
            for row in self.erasures
            for step, said in row.steps.items()
            if not said["done"]
        }

    def _write(self, db: Database) -> None:
        until = now_us() + LEASE
        db.update(_STEPS, [(json.dumps(row.steps), until, row.pk) for row in self.erasures])


def claim(erasures: Iterable[Erasure]) -> list[Erasure]:
    """Those of `erasures` that nobody works on, and that need not rest: now this process does. They are read again."""
    mine, now = holder_name(), now_us()
    taken = []
    for row in erasures:
        free = Erasure.objects.filter(pk=row.pk, subject__isnull=False)
        if row.expires_at >= now and not (row.holder and is_gone(row.holder)):
            continue
        if free.filter(holder=row.holder, expires_at=row.expires_at).update(holder=mine, expires_at=now + LEASE):
            taken.append(row.pk)
    return list(Erasure.objects.filter(pk__in=taken).order_by("pk"))


def release(erasures: Iterable[Erasure], *, rest: int = 0) -> None:
    """Let another process go on with those that are not done, after `rest` (µs)."""
    until = now_us() + rest if rest else 0
    Erasure.objects.filter(pk__in=[row.pk for row in erasures]).update(holder="", expires_at=until)


def tally(rows: Iterable[tuple[int, int]], owner: Mapping[int, int], store: str) -> Gone:
    """(profile's number, rows) of a store as what went of each erasure."""
    gone: Gone = {}
    for number, count in rows:
        gone.setdefault(owner[number], Counter())[store] += count
    return gone


def add(total: Gone, more: Gone) -> None:
    """Add `more` to `total`."""
    for pk, counts in more.items():
        total.setdefault(pk, Counter()).update(counts)
