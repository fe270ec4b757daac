"""How consents were given and withdrawn, by day and purpose."""

from collections import defaultdict
from typing import Any

import msgspec
from django.db import connection

from cdp.core.clock import DAY, from_us, now_us

MOST_DAYS = 730
_SQL = """
    select c.type, c.at / %s, c.granted, count(*) from consents_consentrecord c
    where c.cause <> 'merge' and c.at >= %s and c.at < %s group by 1, 2, 3"""
_FIRST = """
    select s.type, s.day, count(*) from (
      select c.type, p.person_id, min(c.at) / %s as day from consents_consentrecord c
      join profiles_profile p on p.id = c.profile_id where c.at < %s group by 1, 2) s
    group by 1, 2"""


class ConsentRate(msgspec.Struct, frozen=True, rename="camel"):
    """One day (UTC, ISO) and purpose: how many statements granted and withdrew, and how many people of today's have

    said anything about it by the end of that day. `share` is that of the grants among the day's statements; None: none.
    """

    day: str
    purpose: str
    granted: int
    withdrawn: int
    people: int

    @property
    def share(self) -> float | None:
        """Grants among the statements of the day, 0 to 1."""
        stated = self.granted + self.withdrawn
        return self.granted / stated if stated else None


def consent_rates(days: int = 90, *, now: int | None = None) -> list[ConsentRate]:
    """A row for each of the last `days` days up to that of `now` (µs) and each purpose ever stated, oldest day first.

    What merges wrote are no statements. Two queries.
    """
    if not 1 <= days <= MOST_DAYS:
        raise ValueError(f"Ask for 1 to {MOST_DAYS} days.")
    last = (now_us() if now is None else now) // DAY
    first = last - days + 1
    stated: dict[tuple[str, int, bool], int] = {
        (kind, day, bool(granted)): number
        for kind, day, granted, number in _rows(_SQL, (DAY, first * DAY, (last + 1) * DAY))
    }
    newcomers: dict[str, dict[int, int]] = defaultdict(dict)
    for kind, day, number in _rows(_FIRST, (DAY, (last + 1) * DAY)):
        newcomers[kind][day] = number
    rates = []
    people = {kind: sum(n for day, n in found.items() if day < first) for kind, found in newcomers.items()}
    for day in range(first, last + 1):
        for kind in sorted(newcomers):
            people[kind] += newcomers[kind].get(day, 0)
            granted, withdrawn = (stated.get((kind, day, yes), 0) for yes in (True, False))
            rates.append(ConsentRate(from_us(day * DAY).date().isoformat(), kind, granted, withdrawn, people[kind]))
    return rates


def _rows(sql: str, params: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return list(cursor.fetchall())
