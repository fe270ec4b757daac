"""Where a person is counted in, in a package: segments with their history, lists, audiences."""

from collections.abc import Iterator

from cdp.core.clock import iso, iso_or_none
from cdp.privacy.package_part import Part, Record, Subject
from cdp.segments.audience import split
from cdp.segments.members import Member
from cdp.segments.models import Audience, ListedProfile, Membership, MembershipChange, Segment

_AT_ONCE = 2_000


class SegmentRecord(Record, frozen=True):
    """A segment that the person is in, or was in lately; `rule` says in words who is."""

    segment: str
    name: str
    rule: str | None
    entered_at: str
    left_at: str | None


class SegmentChangeRecord(Record, frozen=True):
    """An entry or an exit."""

    segment: str
    change: str
    cause: str
    at: str


class ListRecord(Record, frozen=True):
    """A list that the person was put on by hand or by a file."""

    segment: str
    added_at: str
    profile_id: str


class AudienceRecord(Record, frozen=True):
    """An audience that the person is in now; `reached` is false when they are left out, `why` by what."""

    audience: str
    name: str
    reached: bool
    why: str | None


def _segments(subject: Subject) -> Iterator[SegmentRecord]:
    segments = Segment.objects.in_bulk()
    rows = Membership.objects.filter(person_id__in=subject.numbers).order_by("entered_at", "segment_id")
    for row in rows:
        segment = segments.get(row.segment_id)
        if segment is not None and row.from_gen <= segment.generation:
            yield SegmentRecord(
                segment=segment.key,
                name=segment.name,
                rule=segment.words or None,
                entered_at=iso(row.entered_at),
                left_at=iso_or_none(row.left_at),
            )


def _changes(subject: Subject) -> Iterator[SegmentChangeRecord]:
    segments = Segment.objects.in_bulk()
    rows = MembershipChange.objects.filter(person_id__in=subject.numbers).order_by("-id")
    for row in rows.iterator(chunk_size=_AT_ONCE):
        segment = segments.get(row.segment_id)
        if segment is not None and row.generation <= segment.generation:
            yield SegmentChangeRecord(segment.key, row.get_change_display(), row.get_cause_display(), iso(row.at))


def _lists(subject: Subject) -> Iterator[ListRecord]:
    for row in ListedProfile.objects.filter(profile_id__in=subject.numbers).select_related("segment"):
        yield ListRecord(row.segment.key, iso(row.added_at), subject.ids[row.profile_id])


def _audiences(subject: Subject) -> Iterator[AudienceRecord]:
    own = Membership.objects.filter(person_id=subject.person.pk).values_list("segment_id", "from_gen", "to_gen")
    segments = Segment.objects.in_bulk({row[0] for row in own})
    now_in = {
        number
        for number, first, end in own
        if number in segments and first <= segments[number].generation and (end or 2**31) > segments[number].generation
    }
    member = Member(subject.person.pk, str(subject.person.public_id), 0)
    for audience in Audience.objects.filter(segment_id__in=now_in):
        found = split(audience, [member], now=subject.now)
        why = next((name for name in ("suppressed", "without_consent", "held_out") if getattr(found, name)), None)
        yield AudienceRecord(audience.key, audience.name, why is None, why and why.replace("_", " "))


GROUP_PARTS = (
    Part("segments", "Segments", "Groups of people that we count you in, or did.",
         ("segments.Membership",), SegmentRecord, _segments, ("name", "rule", "entered_at", "left_at")),
    Part("segmentChanges", "Entries and exits", "When you entered or left a group, and why; newest first.",
         ("segments.MembershipChange",), SegmentChangeRecord, _changes, ("at", "segment", "change", "cause")),
    Part("lists", "Lists", "Lists that you were put on.",
         ("segments.ListedProfile",), ListRecord, _lists, ("segment", "added_at")),
    Part("audiences", "Audiences", "Groups that may be addressed, and whether you would be.",
         (), AudienceRecord, _audiences, ("name", "reached", "why")),
)  # fmt: skip
