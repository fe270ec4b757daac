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


def test_what_a_merge_wrote_counts_only_while_it_is_active():
    ada, guest = make.profile(), make.profile()
    merge = make.merge(ada, guest)
    say(ada, "PROFILING", True, T0)
    say(ada, "PROFILING", False, T0 + 1, cause="merge", merge=merge.public_id)
    assert states([ada.pk, guest.pk], T0 + 2) == [("PROFILING", False, T0 + 1)]
    merge.active = False
    merge.save()
    assert states([ada.pk, guest.pk], T0 + 2) == [("PROFILING", True, T0)]
