"""What a policy finds to be too old."""

from collections.abc import Callable
from dataclasses import dataclass

Progress = Callable[[str, int, int], None]
"""Called with what is deleted, how much of it is done, and how much there is."""


@dataclass(slots=True)
class Old:
    """What is to go by one policy, or went: how many there are, and the time (µs) of the oldest.

    Of events `hot` are in the operational store and `lake` in the lake; one that is in both is one of `rows`. Sessions
    go besides.
    """

    rows: int = 0
    oldest: int | None = None
    hot: int = 0
    lake: int = 0
    sessions: int = 0

    def add(self, rows: int, oldest: int | None) -> None:
        """Count more of it."""
        self.rows += rows
        if oldest is not None:
            self.oldest = oldest if self.oldest is None else min(self.oldest, oldest)
