"""The state of consents, read from the ledger."""

import pytest

from cdp.consents.models import ConsentRecord
from cdp.consents.state import consents_of
from cdp.core.ids import uuid7
from tests import factories as make
from tests.factories import T0

pytestmark = pytest.mark.django_db


def say(owner, kind, granted, at, **fields):
    ConsentRecord.objects.create(public_id=uuid7(), profile=owner, type=kind, granted=granted, at=at, **fields)


def states(fragments, now):
    return [(state.type, state.granted, state.at) for state in consents_of(fragments, now=now)]


def test_the_newest_statement_of_all_profiles_counts(django_assert_num_queries):
    ada, guest = make.profile(), make.profile()
    say(ada, "MARKETING_SMS", False, T0 + 3)
    say(ada, "MARKETING_EMAIL", True, T0 + 1)
    say(guest, "MARKETING_EMAIL", False, T0 + 2)
    say(make.profile(), "PROFILING", True, T0)
    say(ada, "MARKETING_SMS", True, T0 + 99)  # not yet said at the moment asked for
    with django_assert_num_queries(1):
        assert states([ada.pk, guest.pk], T0 + 10) == [
            ("MARKETING_EMAIL", False, T0 + 2),
            ("MARKETING_SMS", False, T0 + 3),
        ]


def test_a_grant_ends_when_it_expires():
    ada = make.profile()
    say(ada, "PROFILING", True, T0, expires_at=T0 + 5)
    assert states([ada.pk], T0 + 4) == [("PROFILING", True, T0)]
    assert states([ada.pk], T0 + 5) == [("PROFILING", False, T0)]


def test_a_merge_takes_away_what_one_side_withdrew_while_it_is_active():
    ada, guest = make.profile(), make.profile()
    merge = make.merge(ada, guest, at=T0 + 2)
    say(ada, "PROFILING", True, T0 + 1)
    say(guest, "PROFILING", False, T0)
    say(ada, "PROFILING", False, T0 + 2, cause="merge", merge=merge.public_id)
    assert states([ada.pk, guest.pk], T0 + 3) == [("PROFILING", False, T0 + 2)]
    merge.active, merge.undone_at = False, T0 + 4
    merge.save()
    assert states([ada.pk, guest.pk], T0 + 3) == [("PROFILING", False, T0 + 2)]
    assert states([ada.pk], T0 + 5) == [("PROFILING", True, T0 + 1)]
    assert states([guest.pk], T0 + 5) == [("PROFILING", False, T0)]


def test_a_grant_after_the_merge_wins_by_its_time():
    ada, guest = make.profile(), make.profile()
    make.merge(ada, guest, at=T0 + 2)
    say(ada, "PROFILING", True, T0 + 1)
    say(guest, "PROFILING", False, T0)
    say(guest, "PROFILING", True, T0 + 3)
    assert states([ada.pk, guest.pk], T0 + 3) == [("PROFILING", True, T0 + 3)]


def test_what_nobody_said_restricts_nothing():
    ada, guest = make.profile(), make.profile()
    make.merge(ada, guest, at=T0 + 2)
    say(guest, "PROFILING", True, T0 + 1)
    assert states([ada.pk, guest.pk], T0 + 3) == [("PROFILING", True, T0 + 1)]


def test_profiles_that_no_merge_holds_together_yet_allow_what_all_of_them_allow():
    ada, guest = make.profile(), make.profile()
    say(guest, "PROFILING", False, T0)
    say(ada, "PROFILING", True, T0 + 1)
    assert states([ada.pk, guest.pk], T0 + 2) == [("PROFILING", False, T0)]
