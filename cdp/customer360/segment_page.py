"""What the page of a segment shows: size over time, who is in it, what it shares with others, what changed last."""

from collections.abc import Sequence

import msgspec

from cdp.access.admin_pages import moment
from cdp.access.rights import EVERYTHING, NOTHING
from cdp.core.clock import DAY, HOUR
from cdp.customer360.masking import Clear, Sight
from cdp.customer360.segment_members import MemberView, member_views
from cdp.segments.history import ChangeRow, last_changes, sizes
from cdp.segments.members import members_page
from cdp.segments.models import MembershipChange, Segment, SegmentSize
from cdp.segments.overlap import Overlap, overlap_matrix
from cdp.segments.view import SegmentView, segment_views

WIDTH, HEIGHT = 720, 160
_DAYS = 30
_MEMBERS = 20
_CHANGES = 10
_OTHERS = 8

_CAUSES = dict(MembershipChange.Cause.choices)


class Point(msgspec.Struct, frozen=True):
    """A size and when it was, for the table below the chart."""

    when: str
    size: int
    entries: int
    exits: int


class Chart(msgspec.Struct, frozen=True):
    """The line of sizes as the points of a drawing of `WIDTH` × `HEIGHT`."""

    line: str
    area: str
    most: int
    first: str
    last: str
    points: list[Point]


class MemberLine(msgspec.Struct, frozen=True):
    """A member, with the number of the page of the person."""

    person_id: int
    view: MemberView


class ChangeLine(msgspec.Struct, frozen=True):
    """An entry or exit in words."""

    when: str
    person_id: int
    known: bool
    entered: bool
    cause: str
    historical: bool


class SegmentPage(msgspec.Struct, frozen=True):
    """Everything on the page."""

    view: SegmentView
    behind: str
    computed: str
    swept: str
    failed: str
    chart: Chart | None
    members: list[MemberLine]
    overlaps: list[Overlap]
    changes: list[ChangeLine]


def segment_page(segment: Segment, *, now: int, clear: Clear) -> SegmentPage:
    """The page of `segment` at `now` (µs): a constant number of queries; personal values are masked unless `clear`."""
    rights = clear.rights if isinstance(clear, Sight) else EVERYTHING if clear else NOTHING
    (view,) = segment_views([segment], now=now, rights=rights)
    members = members_page(segment, offset=0, limit=_MEMBERS)
    person_ids = {member.public_id: member.person_id for member in members}
    return SegmentPage(
        view=view,
        behind=age(view.freshness),
        computed=moment(segment.computed_at),
        swept=moment(segment.swept_at or None),
        failed=moment(segment.error_at),
        chart=chart(sizes(segment, since=now - _DAYS * DAY), now=now),
        members=[MemberLine(person_ids[view.id], view) for view in member_views(members, now=now, clear=clear)],
        overlaps=_overlaps(segment),
        changes=[_line(change) for change in last_changes(segment, limit=_CHANGES)],
    )


def age(seconds: float) -> str:
    """How far behind, in words; nothing for 0."""
    for unit, name in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.1f} seconds" if seconds else ""


def chart(rows: Sequence[SegmentSize], *, now: int) -> Chart | None:
    """The sizes as steps up to `now` (µs); None without any."""
    if not rows:
        return None
    begin = rows[0].hour
    span = max(now // HOUR - begin, 1)
    most = max(row.size for row in rows)
    steps: list[tuple[float, float]] = []
    for row in rows:
        x, y = (row.hour - begin) / span * WIDTH, HEIGHT - row.size / (most or 1) * (HEIGHT - 4)
        steps += [(x, steps[-1][1]), (x, y)] if steps else [(x, y)]
    steps.append((WIDTH, steps[-1][1]))
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in steps)
    points = [Point(moment(row.hour * HOUR), row.size, row.entries, row.exits) for row in rows]
    return Chart(line, f"0,{HEIGHT} {line} {WIDTH},{HEIGHT}", most, points[0].when, moment(now), points[::-1])


def _overlaps(segment: Segment) -> list[Overlap]:
    """With the largest other segments, those that share the most first: one query more."""
    others = list(Segment.objects.exclude(pk=segment.pk).filter(size__gt=0).order_by("-size", "pk")[:_OTHERS])
    if not others:
        return []
    pairs = overlap_matrix([segment, *others]).pairs[: len(others)]
    return sorted(pairs, key=lambda pair: (-pair.common, pair.second))


def _line(change: ChangeRow) -> ChangeLine:
    return ChangeLine(
        when=moment(change.at),
        person_id=change.person_id,
        known=change.public_id is not None,
        entered=change.change == MembershipChange.Change.ENTERED,
        cause=str(_CAUSES.get(change.cause, change.cause)),
        historical=change.historical,
    )
