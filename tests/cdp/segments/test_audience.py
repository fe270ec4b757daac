"""Audiences: who is left out and why; the hold-out is stable, uniform and independent between audiences."""

import itertools
import uuid

import pytest

from cdp.consents.models import ConsentRecord
from cdp.core.clock import DAY, now_us
from cdp.pipeline.merge import merge_people
from cdp.segments.audience import audience_after, audience_pages, audience_size, held_out
from cdp.segments.membership import add_members
from cdp.segments.models import Audience, Segment
from tests.cdp.segments.making import a_list, ids, many_people, some_people

SALTS = ("one", "two")


def an_audience(segment: Segment, **fields: object) -> Audience:
    made = Audience.objects.create(segment=segment, key=f"a{uuid.uuid4().hex}", name="a", created_at=0, updated_at=0)
    for name, value in fields.items():
        setattr(made, name, value)
    made.save()
    return made


def reached(audience: Audience) -> list[int]:
    return [member.person_id for page in audience_pages(audience, now=now_us()) for member in page]


def test_the_hold_out_is_as_large_as_was_asked_for_whatever_the_salt() -> None:
    """Binomial: 10 % of 20,000 is 2,000 ± 42; five deviations are never seen by chance."""
    people = [str(uuid.uuid5(uuid.NAMESPACE_DNS, str(number))) for number in range(20_000)]
    for salt in SALTS:
        count = sum(held_out(salt, person, 10) for person in people)
        assert abs(count - 2_000) < 5 * 42.5
    both = sum(all(held_out(salt, person, 10) for salt in SALTS) for person in people)
    assert abs(both - 200) < 5 * 14.1


def test_a_larger_share_only_adds_people_and_the_ends_are_nobody_and_everybody() -> None:
    people = [str(uuid.uuid5(uuid.NAMESPACE_DNS, str(number))) for number in range(2_000)]
    shares = [{p for p in people if held_out("one", p, share)} for share in (0, 1, 10, 50, 100)]
    assert shares[0] == set()
    assert shares[-1] == set(people)
    assert all(small < large for small, large in itertools.pairwise(shares))


def test_the_hash_is_the_documented_one() -> None:
    """SHA-256 of salt, a colon and the id: its first 8 bytes as a share of 2^64. Fixed for ever."""
    person = "01890a5d-ac96-774b-bcce-b302099a8057"
    assert [held_out("salt", person, share) for share in (83.0, 85.0)] == [_share("salt", person) < s for s in (83, 85)]


def _share(salt: str, person: str) -> float:
    import hashlib

    return int(hashlib.sha256(f"{salt}:{person}".encode()).hexdigest()[:16], 16) / 2**64 * 100


@pytest.mark.django_db
def test_everybody_is_counted_once_by_the_first_reason_that_applies() -> None:
    people = many_people(400)
    vip, complained, bounced = a_list(), a_list("complained", type="suppression"), a_list("bounced")
    add_members(vip, people, actor="test")
    add_members(complained, people[:100], actor="test")
    add_members(bounced, people[50:150], actor="test")
    for number, person in enumerate(people):
        ConsentRecord.objects.create(profile_id=person, type="MARKETING_EMAIL", granted=number % 2 == 0, at=1)
    audience = an_audience(vip, hold_out=20.0, consent="MARKETING_EMAIL")
    audience.suppressed.set([complained, bounced])
    size = audience_size(audience, now=now_us())
    assert (size.segment, size.suppressed, size.without_consent) == (400, 150, 125)
    assert size.held_out + size.size == 125
    assert 8 <= size.held_out <= 45
    found = reached(audience)
    assert len(found) == size.size
    assert set(found) <= set(people[150::2])
    assert found == [m.person_id for m in audience_after(audience, 0, limit=1_000, now=now_us())]
    half = [m.person_id for m in audience_after(audience, 0, limit=10, now=now_us())]
    assert half + [m.person_id for m in audience_after(audience, half[-1], limit=1_000, now=now_us())] == found
    assert reached(audience) == found


@pytest.mark.django_db
def test_a_consent_that_ran_out_and_one_never_given_are_none() -> None:
    alice, bob, carol = ids(some_people(3))
    vip = a_list()
    add_members(vip, [alice, bob, carol], actor="test")
    now = now_us()
    ConsentRecord.objects.create(profile_id=alice, type="MARKETING_SMS", granted=True, at=1, expires_at=now + DAY)
    ConsentRecord.objects.create(profile_id=bob, type="MARKETING_SMS", granted=True, at=1, expires_at=now - 1)
    ConsentRecord.objects.create(profile_id=carol, type="MARKETING_EMAIL", granted=True, at=1)
    assert reached(an_audience(vip, consent="MARKETING_SMS")) == [alice]


@pytest.mark.django_db
def test_suppression_follows_a_merge() -> None:
    alice, bob = some_people(2)
    vip, complained = a_list(), a_list("complained", type="suppression")
    add_members(vip, [alice.pk], actor="test")
    add_members(complained, [bob.pk], actor="test")
    audience = an_audience(vip)
    audience.suppressed.set([complained])
    assert reached(audience) == [alice.pk]
    merge_people(alice.public_id, [bob.public_id], strategy="latest", actor="test")
    from cdp.segments.follow import follow

    follow()
    assert reached(audience) == []
