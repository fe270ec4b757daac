"""One writer of a lake table at a time. Exactly-once does not rest on it (Delta refuses who is late): it spares work,

and keeps a vacuum away from files that another one is about to commit.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.db.models import Q

from cdp.core.clock import MINUTE, SECOND, now_us
from cdp.core.errors import Conflict, DomainError
from cdp.core.holder import holder_name, is_gone
from cdp.history.models import LakeState

LEASE = 10 * MINUTE
_SHOWN = 300


class LakeBusy(Conflict):
    """Somebody else writes this table of the lake now."""

    code = "lake_busy"
    status = 503


@dataclass(frozen=True, slots=True)
class Held:
    """The lease that is held."""

    name: str
    holder: str

    def renew(self) -> None:
        """Hold it for another while: before each step. Raises LakeBusy when it ran out and another took it."""
        mine = LakeState.objects.filter(name=self.name, holder=self.holder)
        if mine.update(expires_at=now_us() + LEASE) != 1:
            raise LakeBusy(f"The lease on {self.name} ran out and another process took it.")


@contextmanager
def lake_lease(name: str) -> Iterator[Held]:
    """Be the one who writes the table `name`; what fails within is noted on its state. Raises LakeBusy."""
    holder = holder_name()
    now = now_us()
    row = LakeState.objects.get(pk=name)
    free = Q(holder="") | Q(expires_at__lt=now)
    if is_gone(row.holder):
        free |= Q(holder=row.holder)
    if LakeState.objects.filter(free, name=name).update(holder=holder, expires_at=now + LEASE) != 1:
        left = max(0, row.expires_at - now) // SECOND
        raise LakeBusy(f"{row.holder or 'Another process'} writes the table {name} of the lake ({left} s left).")
    mine = LakeState.objects.filter(name=name, holder=holder)
    try:
        yield Held(name, holder)
    except Exception as error:
        said = error.message if isinstance(error, DomainError) else type(error).__name__
        mine.update(error=said[:_SHOWN], error_at=now_us(), holder="", expires_at=0)
        raise
    mine.update(holder="", expires_at=0)
