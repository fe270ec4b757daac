"""The console's pages of consent: the ledger, the purposes, and the card of a person."""

import csv
import io

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse

from cdp.access.models import AuditEntry, User
from cdp.consents.models import ConsentRecord, Purpose
from cdp.core.clock import DAY, iso, now_us
from cdp.segments.models import Audience
from tests import factories as make
from tests.calling import Api
from tests.cdp.segments.making import a_list, a_rule

pytestmark = pytest.mark.django_db
LEDGER = reverse("admin:consents_consentrecord_changelist")


def signed_in(role):
    user = User.objects.create_user(role, is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(user)
    return client


def entries(action):
    return list(AuditEntry.objects.filter(action=action).values_list("object_type", "object_ids", "fields", "why"))


def say(owner, kind, granted, **fields):
    values = {"at": now_us(), "recorded_at": now_us(), **fields}
    return ConsentRecord.objects.create(profile=owner, type=kind, granted=granted, **values)


def state(client, person, **fields):
    body = {"purpose": "MARKETING_EMAIL", "granted": "no", "source": "phone call", "why": "asked to stop", **fields}
    return client.post(reverse("admin:consents_consentrecord_state", args=[person.pk]), body, follow=True)


def test_an_officer_records_what_somebody_said():
    ada, officer = make.profile(), signed_in("privacy officer")
    answer = state(officer, ada, document="terms-3")
    assert "Recorded: Marketing by e-mail." in answer.content.decode()
    row = ConsentRecord.objects.get()
    assert (row.profile_id, row.type, row.granted, row.source, row.document) == (
        ada.pk, "MARKETING_EMAIL", False, "phone call", "terms-3",
    )  # fmt: skip
    assert entries("state consents") == [
        ("profile", [str(ada.public_id)], ["MARKETING_EMAIL"], "asked to stop"),
    ]
    page = answer.content.decode()
    assert page.count("phone call") == 3  # the state, the history, and the example in the form
    assert "withdrawn</span>" in page


def test_what_is_no_statement_is_said_and_not_recorded():
    ada, officer = make.profile(), signed_in("privacy officer")
    for wrong in ({"why": ""}, {"purpose": "NOPE"}, {"until": "2030-01-01"}, {"source": ""}):
        assert "Recorded" not in state(officer, ada, **wrong).content.decode()
    assert ConsentRecord.objects.count() == 0
    until = iso(now_us() + DAY)[:10]
    assert "Recorded" in state(officer, ada, granted="yes", until=until).content.decode()
    assert iso(ConsentRecord.objects.get().expires_at) == f"{until}T00:00:00.000Z"


def test_who_may_not_write_sees_no_form_and_cannot_post():
    ada, viewer = make.profile(), signed_in("viewer")
    assert state(viewer, ada).status_code == 403
    page = viewer.get(reverse("admin:profiles_profile_change", args=[ada.pk])).content.decode()
    assert "Record a statement" not in page


def test_the_ledger_is_filtered_and_never_changed(django_assert_max_num_queries):
    officer = signed_in("privacy officer")
    people = [make.profile() for _ in range(12)]
    for person in people:
        say(person, "PROFILING", True, source="=shop")
    row = say(people[0], "MARKETING_SMS", False, at=now_us() - 9 * DAY)

    def listed(query=""):
        return officer.get(LEDGER + query).context["cl"].result_count

    assert [listed(q) for q in ("", "?type=PROFILING", "?granted__exact=0", "?q=%3Dshop", "?cause=merge")] == [
        13,
        12,
        1,
        12,
        0,
    ]
    assert listed(f"?to={iso(now_us() - 2 * DAY)[:10]}") == 1
    with django_assert_max_num_queries(14):
        officer.get(LEDGER)
    change = reverse("admin:consents_consentrecord_change", args=[row.pk])
    assert officer.get(change).status_code == 200
    assert officer.post(change, {"granted": "on"}).status_code == 403
    assert officer.post(reverse("admin:consents_consentrecord_delete", args=[row.pk])).status_code == 403
    assert officer.get(reverse("admin:consents_consentrecord_add")).status_code == 403


def test_the_export_is_what_the_filter_shows_and_is_recorded():
    officer, ada = signed_in("privacy officer"), make.profile()
    say(ada, "PROFILING", True, source="=shop", document="v1")
    say(ada, "MARKETING_SMS", False)
    answer = officer.post(reverse("admin:consents_consentrecord_export") + "?type=PROFILING")
    [row] = csv.DictReader(io.StringIO(answer.getvalue().decode()))
    assert (row["profileId"], row["consentType"], row["granted"], row["source"], row["documentVersion"]) == (
        str(ada.public_id), "PROFILING", "true", "'=shop", "v1",
    )  # fmt: skip
    [(kind, ids, fields, why)] = entries("export")
    assert (kind, ids, "source" in fields, why) == ("consentrecord", [], True, "type=PROFILING")
    assert signed_in("marketer").post(reverse("admin:consents_consentrecord_export")).status_code == 403


def test_a_purpose_is_added_recorded_and_understood_at_once():
    officer = signed_in("privacy officer")
    add = reverse("admin:consents_purpose_add")
    body = {"code": "newsletter_print", "name": "Printed newsletter", "group": "Marketing", "description": "",
            "unknown": "deny", "position": 90}  # fmt: skip
    assert officer.post(add, body).status_code == 302
    assert entries("add")[-1][:2] == ("purpose", ["NEWSLETTER_PRINT"])
    api, ada = Api("admin"), make.profile()
    said = api.post(f"consents/{ada.public_id}", {"consentType": "marketing", "granted": True})[1]
    assert "NEWSLETTER_PRINT" in [part["consentType"] for part in said["purposes"]]
    for wrong in (
        {"code": "MARKETING"},
        {"code": "history"},
        {"code": "X Y"},
        {"code": "NEW_ONE", "group": "profiling"},
    ):
        assert officer.post(add, body | wrong).status_code == 200
    assert Purpose.objects.count() == 9


def purpose(code, **fields):
    row = Purpose.objects.get(pk=code)
    values = {"name": row.name, "group": row.group, "also_called": "\r\n".join(row.also_called), "description": "",
              "unknown": row.unknown, "position": row.position}  # fmt: skip
    return reverse("admin:consents_purpose_change", args=[code]), values | fields


def test_other_names_are_kept_trimmed_once_and_recorded():
    officer = signed_in("privacy officer")
    page, body = purpose(
        "ANALYTICS_TRACKING", also_called=" C0002 \r\n\r\nPerformance Cookies\r\nperformance-cookies\n"
    )
    assert officer.post(page, body).status_code == 302
    assert Purpose.objects.get(pk="ANALYTICS_TRACKING").also_called == ["C0002", "Performance Cookies"]
    assert entries("change") == [("purpose", ["ANALYTICS_TRACKING"], ["also_called"], "")]
    assert "C0002\nPerformance Cookies" in officer.get(page).content.decode()
    page, body = purpose("ANALYTICS_TRACKING")
    assert officer.post(page, body).status_code == 302
    assert len(entries("change")) == 1
    for other in ("PROFILING", "PERSONALIZATION"):
        assert officer.post(*purpose(other, also_called="c0002")).status_code == 302
    assert Purpose.objects.filter(also_called=["c0002"]).count() == 2


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        ("profiling", "“profiling” is the code of PROFILING already: it means that."),
        ("C0002\nmarketing by SMS", "“marketing by SMS” is the name of MARKETING_SMS already: it means that."),
        ("Marketing", "“Marketing” is the group of MARKETING_EMAIL already: it means that."),
        ("analytics-tracking", "“analytics-tracking” is the code of this purpose: it is understood without this."),
        ("Analytics", "“Analytics” is the group of this purpose: it is understood without this."),
        ("- _", "“- _” has nothing but blanks, dashes and underscores, which are not compared."),
        ("x" * 101, "At most 20 other names of 100 characters each."),
        ("\n".join(f"n{n}" for n in range(21)), "At most 20 other names of 100 characters each."),
    ],
)
def test_other_names_that_mean_something_else_are_refused(words, refusal):
    officer = signed_in("privacy officer")
    answer = officer.post(*purpose("ANALYTICS_TRACKING", also_called=words))
    assert (answer.status_code, answer.context["errors"]) == (200, [[refusal]])
    assert Purpose.objects.exclude(also_called=[]).count() == 0


@pytest.mark.parametrize(
    "fields", [{"code": "C0002"}, {"name": "performance cookies"}, {"group": "performance_cookies"}]
)
def test_no_purpose_is_called_as_another_one_is_also_called(fields):
    officer = signed_in("privacy officer")
    Purpose.objects.filter(code="ANALYTICS_TRACKING").update(also_called=["C0002", "Performance Cookies"])
    body = {"code": "PRINT", "name": "Print", "group": "", "also_called": "", "description": "", "unknown": "deny",
            "position": 9} | fields  # fmt: skip
    answer = officer.post(reverse("admin:consents_purpose_add"), body)
    [word] = fields.values()
    refusal = f"“{word}” is another name of ANALYTICS_TRACKING: remove it there first."
    assert (answer.status_code, answer.context["errors"]) == (200, [[refusal]])
    assert not Purpose.objects.filter(code="PRINT").exists()


@pytest.mark.parametrize("used", ["ledger", "audience", "segment", "rule", None])
def test_a_purpose_that_is_used_stays_and_keeps_its_code(used):
    admin = signed_in("administrator")
    purpose = Purpose.objects.create(code="PRINT", name="Print")
    if used == "ledger":
        say(make.profile(), "PRINT", True)
    elif used == "audience":
        Audience.objects.create(segment=a_list(), key="a", name="a", consent="PRINT", created_at=0, updated_at=0)
    elif used == "segment":
        a_rule("willing", {"consent": "PRINT"})
    elif used == "rule":
        purpose.rules.create(calls=["track"])
    change = reverse("admin:consents_purpose_change", args=["PRINT"])
    admin.post(change, {"code": "OTHER", "name": "On paper", "group": "", "description": "", "unknown": "deny",
                        "position": 5})  # fmt: skip
    purpose.refresh_from_db()
    assert (purpose.name, Purpose.objects.filter(code="OTHER").exists()) == ("On paper", False)
    answer = admin.post(reverse("admin:consents_purpose_delete", args=["PRINT"]), {"post": "yes"})
    assert answer.status_code == (403 if used else 302)
    assert Purpose.objects.filter(code="PRINT").exists() is bool(used)


def test_a_purpose_that_came_with_the_product_stays():
    admin = signed_in("administrator")
    assert admin.post(reverse("admin:consents_purpose_delete", args=["PROFILING"]), {"post": "yes"}).status_code == 403
