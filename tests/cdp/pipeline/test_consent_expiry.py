"""Grants that run out are followed by segments, each once, wherever the process was killed."""

import pytest
from django.db import transaction

from cdp.consents.ledger import ConsentStatement
from cdp.consents.models import ConsentRecord, ExpiryCursor
from cdp.core.clock import DAY, SECOND, now_us
from cdp.pipeline import consent_expiry
from cdp.pipeline.consent_expiry import follow_expiry
from cdp.pipeline.state_consent import state_consents
from cdp.profiles.models import Profile
from cdp.segments.follow import follow
from tests import factories as make
from tests.cdp.segments.making import a_rule, changes, statements
from tests.sending import message, send

pytestmark = pytest.mark.django_db


def grant(owner, until, **fields):
    return ConsentRecord.objects.create(
        profile=owner, type="MARKETING_EMAIL", granted=True, at=1, recorded_at=1, expires_at=until, **fields
    )


def described(after):
    return set(Profile.objects.filter(described__gt=after).values_list("pk", flat=True))


def head():
    return max(Profile.objects.values_list("described", flat=True))


def test_whose_grant_ran_out_is_described_once(monkeypatch):
    monkeypatch.setattr(consent_expiry, "CHUNK", 2)
    now = now_us()
    people = [make.profile() for _ in range(6)]
    for person in people[:3]:
        grant(person, now - DAY)  # all in the same moment, more than a chunk
    grant(people[3], now - SECOND)
    grant(people[4], now + SECOND)
    ConsentRecord.objects.create(profile=people[5], type="PROFILING", granted=False, at=1, expires_at=now - DAY)
    before = head()
    assert follow_expiry(now) == 4
    assert described(before) == {person.pk for person in people[:4]}
    with statements() as seen:
        assert follow_expiry(now) == 0
    assert len(seen) == 1
    before = head()
    assert follow_expiry(now + SECOND) == 1
    assert described(before) == {people[4].pk}


def test_killed_between_two_chunks_it_goes_on(monkeypatch):
    monkeypatch.setattr(consent_expiry, "CHUNK", 2)
    now = now_us()
    people = [make.profile() for _ in range(4)]
    for person in people:
        grant(person, now - 1)
    before = head()
    real, marked = consent_expiry.mark_described, []

    def dies(db, profiles, *, now):
        real(db, profiles, now=now)
        marked.append(profiles)
        if len(marked) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(consent_expiry, "mark_described", dies)
    with pytest.raises(KeyboardInterrupt):
        follow_expiry(now)
    assert described(before) == {person.pk for person in people[:2]}
    assert ExpiryCursor.objects.get().expired == now - 1
    assert follow_expiry(now) == 2
    assert described(before) == {person.pk for person in people}


def test_segments_follow_within_a_pass(time_machine):
    time_machine.move_to("2026-05-01T12:00:00Z", tick=False)
    send(message("identify", userId="ada", traits={"plan": "pro"}))
    ada = Profile.objects.get()
    state_consents(
        ada.public_id, ["MARKETING_EMAIL"], ConsentStatement(True, now_us(), now_us() + 60 * SECOND), actor="test"
    )
    segment = a_rule("willing", {"consent": "MARKETING_EMAIL", "granted": True})
    follow()
    assert changes(segment) == [(ada.pk, "entered", "initial")]
    time_machine.move_to("2026-05-01T12:01:00Z", tick=False)
    assert follow() == 0
    assert follow_expiry(now_us()) == 1
    follow()
    assert [change[:2] for change in changes(segment)] == [(ada.pk, "entered"), (ada.pk, "left")]


def test_nothing_of_the_ledger_can_be_changed_or_deleted():
    row = grant(make.profile(), None)
    row.granted = False
    for attempt in (
        row.save,
        row.delete,
        ConsentRecord.objects.all().delete,
        lambda: ConsentRecord.objects.filter(pk=row.pk).update(granted=False),
        lambda: ConsentRecord.objects.bulk_update([row], ["granted"]),
    ):
        with pytest.raises(TypeError, match="only added to"), transaction.atomic():
            attempt()
    assert ConsentRecord.objects.get().granted is True
