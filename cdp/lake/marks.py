"""Times that are filled in when a query runs: its text is made once and asked again at every later moment."""

import re
import secrets
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import ibis.expr.types as ir

_LOW = 2 * 10**18
"""Marks have 19 digits and fit 64 bits; numbers in rules end at 10¹⁵."""
_MARK = re.compile(r"(?<![0-9])([0-9]{19})(?![0-9])")


class Moving(Hashable, Protocol):
    """A time that follows from the moment of the question; equal ones are the same time."""

    def at(self, now: int) -> int:
        """Microseconds."""


@dataclass(frozen=True, slots=True)
class _Itself:
    """The moment of the question."""

    def at(self, now: int) -> int:
        return now


class Marks:
    """A moment that is not known yet, where expressions take `now`.

    Each time that depends on it is a number that nobody can guess, drawn for this text alone: so nothing that a rule
    says can be taken for one.
    """

    def __init__(self) -> None:
        self._numbers: dict[Moving, int] = {}

    def mark(self, time: Moving) -> int:
        """What stands for `time`."""
        if time not in self._numbers:
            self._numbers[time] = _LOW + secrets.randbelow(_LOW)
        return self._numbers[time]

    def template(self, text: str) -> "Template":
        """The text of an expression that was built with this, to be filled in."""
        known = {number: time for time, number in self._numbers.items()}
        pieces: list[str] = [""]
        times: list[Callable[[int], int]] = []
        for number, part in enumerate(_MARK.split(text)):
            time = known.get(int(part)) if number % 2 else None
            if time is None:
                pieces[-1] += part
            else:
                times.append(time.at)
                pieces.append("")
        return Template(tuple(pieces), tuple(times))


@dataclass(frozen=True, slots=True)
class Template:
    """A text with gaps: between two pieces stands a time, which follows from the moment."""

    pieces: tuple[str, ...]
    times: tuple[Callable[[int], int], ...]

    def at(self, now: int) -> str:
        """The text at `now` (µs)."""
        parts = [self.pieces[0]]
        for time, piece in zip(self.times, self.pieces[1:], strict=True):
            us = int(time(now))
            parts += [str(us) if us >= 0 else f"({us})", piece]
        return "".join(parts)


Now = int | Marks
"""Microseconds, or the marks that stand for them."""


def instant(now: Now) -> "ir.IntegerScalar":
    """`now` in an expression."""
    return moving(_Itself(), now)


def moving(time: Moving, now: Now) -> "ir.IntegerScalar":
    """A time that follows from `now`, in an expression."""
    import ibis

    number = now.mark(time) if isinstance(now, Marks) else time.at(now)
    found: ir.IntegerScalar = ibis.literal(number, type="int64")
    return found
