"""Officers are told before a deadline, once for each threshold."""

import smtplib

import pytest
from django.contrib.auth.models import Group
from django.core import mail
from django.core.mail.backends.base import BaseEmailBackend
from django.test import Client

from cdp.access.models import User
from cdp.core.clock import DAY, now_us
from cdp.privacy.alerts import Deadlines, alert_officers, deadlines, left_in_words
from cdp.privacy.models import PrivacyRequest
from cdp.privacy.requests import cancel_request, extend_request, open_request
from tests import factories as make

pytestmark = pytest.mark.django_db


class Refusing(BaseEmailBackend):
    """A mail server that takes nothing."""

    def send_messages(self, _messages):
        raise smtplib.SMTPServerDisconnected("gone")


@pytest.fixture
def officers():
    for name, role in (("olga", "privacy officer"), ("vera", "viewer"), ("gone", "privacy officer")):
        user = make.user(name)
        user.email, user.is_active = f"{name}@house.example", name != "gone"
        user.save()
        user.groups.add(Group.objects.get(name=role))
    User.objects.create_superuser("root", "root@house.example")


def asked(number=1):
    return open_request(
        "deletion", {"user_id": f"user{number}"}, regulation="gdpr", channel="api", actor="key:1"
    )  # fmt: skip


def at_days(request, left):
    return request.due_at - int(left * DAY)


def test_once_for_each_threshold(officers, django_assert_num_queries):
    request = asked()
    with django_assert_num_queries(1):
        assert alert_officers(at_days(request, 7.01)) == 0
    told = [alert_officers(at_days(request, left)) for left in (7, 6.5, 3, 2, 1, 0.01, 0, -1, -30)]
    assert told == [1, 0, 0, 1, 0, 0, 1, 0, 0]
    assert [message.bcc for message in mail.outbox] == [["olga@house.example", "root@house.example"]] * 3
    bodies = [message.body for message in mail.outbox]
    assert [words in body for words, body in zip(("in 7 days", "in 2 days", "due today"), bodies, strict=True)] == [
        True, True, True,
    ]  # fmt: skip
    assert f"/admin/privacy/privacyrequest/{request.pk}/change/" in bodies[0]
    assert all("user1" not in body for body in bodies)


def test_several_are_one_mail(officers):
    requests = [asked(number) for number in range(3)]
    assert alert_officers(at_days(requests[0], 5)) == 3
    [message] = mail.outbox
    assert message.subject == "3 privacy requests wait for an answer"


def test_what_has_ended_or_was_extended_alerts_nobody(officers):
    ended, extended = asked(1), asked(2)
    cancel_request(ended, actor="user:1")
    now = at_days(extended, 5)
    assert alert_officers(now) == 1
    longer = extend_request(extended, days=60, actor="user:1", reason="Many")
    assert alert_officers(now) == 0
    assert alert_officers(at_days(longer, 5)) == 1


def test_a_mail_that_fails_is_sent_the_next_time(officers, settings):
    request = asked()
    working = settings.EMAIL_BACKEND
    settings.EMAIL_BACKEND = f"{__name__}.Refusing"
    assert alert_officers(at_days(request, 5)) == 0
    settings.EMAIL_BACKEND = working
    assert alert_officers(at_days(request, 5)) == 1
    assert alert_officers(at_days(request, 5)) == 0


def test_without_mail_nothing_counts_as_told(officers, settings):
    request = asked()
    settings.EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
    assert alert_officers(at_days(request, 5)) == 0
    assert PrivacyRequest.objects.get().alerted is None


def test_figures(time_machine):
    first = asked(1)
    asked(2)
    assert deadlines(now_us()) == Deadlines(open=2, soon=0, overdue=0)
    assert deadlines(first.due_at) == Deadlines(open=2, soon=2, overdue=1)
    lines = Client().get("/metrics", REMOTE_ADDR="127.0.0.1").content.decode().splitlines()
    assert [line for line in lines if line.startswith("cdp_privacy_requests")] == [
        "cdp_privacy_requests_open 2", "cdp_privacy_requests_due_soon 0", "cdp_privacy_requests_overdue 0",
    ]  # fmt: skip


def test_days_in_words():
    words = [left_in_words(days) for days in (None, 3, 1, 0, -1, -2)]
    assert words == ["", "due in 3 days", "due in 1 day", "due today", "1 day late", "2 days late"]
