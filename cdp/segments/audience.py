"""The people of an audience: the members of its segment without those suppressed, held out or not consenting.

The hold-out is a stable share: a person is held out when the first 8 bytes of SHA-256(salt + ":" + public id), read as
a big-endian number and divided by 2^64, are below the share. The same person is always on the same side of the same
audience; a larger share only adds people; two audiences choose independently, because each has a salt of its own.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence

import msgspec

from cdp.consents.permission import permitted
from cdp.core.clock import now_us
from cdp.history.reading import database
from cdp.segments.members import Member, member_pages, members_after
from cdp.segments.models import Audience, Segment
from cdp.segments.overlap import Overlap, pair

_PAGE = 2_000
_SUPPRESSED = """
    select distinct m.person_id from segments_membership m join segments_segment s on s.id = m.segment_id
    join segments_audience_suppressed a on a.segment_id = s.id
    where m.from_gen <= s.generation and (m.to_gen is null or m.to_gen > s.generation)
    and a.audience_id = ? and m.person_id {in}"""
_FRAGMENTS = "select person_id, id from profiles_profile where person_id {in}"


class AudienceSize(msgspec.Struct, frozen=True, rename="camel"):
    """How the members of the segment divide: each is counted once, by the first reason that applies, in this order."""

    segment: int
    suppressed: int
    without_consent: int
    held_out: int
    size: int


class Split(msgspec.Struct, frozen=True):
    """Members of a segment, divided."""

    reached: list[Member]
    suppressed: list[Member]
    without_consent: list[Member]
    held_out: list[Member]


def held_out(salt: str, public_id: str, percent: float) -> bool:
    """Whether a person belongs to the share of `percent` (0–100) that is left out to compare with."""
    digest = hashlib.sha256(f"{salt}:{public_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < percent / 100 * 2**64


def split(audience: Audience, members: Sequence[Member], *, now: int) -> Split:
    """Divide `members` of the audience's segment at `now` (µs): at most three queries."""
    barred = _barred(audience, members)
    left = [member for member in members if member.person_id not in barred]
    agreed = _consenting(left, audience.consent, now=now) if audience.consent else {m.person_id for m in left}
    willing = [member for member in left if member.person_id in agreed]
    share = audience.hold_out
    out = {m.person_id for m in willing if held_out(audience.salt, m.public_id, share)} if share else set()
    return Split(
        reached=[member for member in willing if member.person_id not in out],
        suppressed=[member for member in members if member.person_id in barred],
        without_consent=[member for member in left if member.person_id not in agreed],
        held_out=[member for member in willing if member.person_id in out],
    )


def audience_pages(audience: Audience, *, now: int | None = None) -> Iterator[list[Member]]:
    """The people of an audience at the current generation of its segment, in constant memory.

    Without `now` (µs) each page is asked for as it is read: who withdraws while a file is written is not in the rest.
    """
    for members in member_pages(Segment.objects.get(pk=audience.segment_id)):
        if reached := split(audience, members, now=now_us() if now is None else now).reached:
            yield reached


def audience_after(audience: Audience, person_id: int, *, limit: int, now: int) -> list[Member]:
    """Up to `limit` people of an audience after the person `person_id`."""
    found: list[Member] = []
    segment = Segment.objects.get(pk=audience.segment_id)
    while len(found) < limit:
        members = members_after(segment, person_id, limit=_PAGE)
        found += split(audience, members, now=now).reached
        if len(members) < _PAGE:
            break
        person_id = members[-1].person_id
    return found[:limit]


def audience_size(audience: Audience, *, now: int) -> AudienceSize:
    """The exact size now, and why the others of the segment are left out."""
    totals: dict[str, int] = defaultdict(int)
    for members in member_pages(Segment.objects.get(pk=audience.segment_id)):
        parts = split(audience, members, now=now)
        totals["segment"] += len(members)
        for name in Split.__struct_fields__:
            totals[name] += len(getattr(parts, name))
    return AudienceSize(
        segment=totals["segment"],
        suppressed=totals["suppressed"],
        without_consent=totals["without_consent"],
        held_out=totals["held_out"],
        size=totals["reached"],
    )


def audience_overlaps(audience: Audience, others: Sequence[Audience], *, now: int) -> list[Overlap]:
    """How many people `audience` shares with each of `others` now."""
    mine = _people(audience, now=now)
    found = []
    for other in others:
        theirs = mine if other.pk == audience.pk else _people(other, now=now)
        found.append(pair(audience.key, other.key, len(mine), len(theirs), len(mine & theirs)))
    return found


def _people(audience: Audience, *, now: int) -> set[int]:
    return {member.person_id for page in audience_pages(audience, now=now) for member in page}


def _barred(audience: Audience, members: Sequence[Member]) -> set[int]:
    rows = database().rows_in(_SUPPRESSED, [m.person_id for m in members], "bigint", (audience.pk,))
    return {row[0] for row in rows}


def _consenting(members: Sequence[Member], consent: str, *, now: int) -> set[int]:
    """Those who allow the purpose `consent`; where nothing was said the purpose decides: two queries."""
    fragments: dict[int, list[int]] = {member.person_id: [] for member in members}
    for person, fragment in database().rows_in(_FRAGMENTS, fragments, "bigint"):
        fragments[person].append(fragment)
    allowed = permitted(list(fragments.values()), consent, now=now)
    return {person for (person, profiles), may in zip(fragments.items(), allowed, strict=True) if may and profiles}
