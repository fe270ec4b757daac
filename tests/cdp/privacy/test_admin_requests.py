"""The console's pages of requests."""

import pytest
from django.contrib.auth.models import Group
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from cdp.access.models import AuditEntry
from cdp.core.clock import DAY, now_us
from cdp.privacy.holds import place_hold
from cdp.privacy.models import PrivacyRequest, RequestNote
from cdp.privacy.request_body import open_body
from cdp.privacy.requests import open_request, verify_request
from tests import factories as make

pytestmark = pytest.mark.django_db

EMAIL = "zelda@quixmail.example"
LIST = "/admin/privacy/privacyrequest/"


def signed_in(role):
    user = make.user(role.replace(" ", ""))
    user.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def officer():
    return signed_in("privacy officer")


@pytest.fixture
def zelda():
    person = make.profile()
    make.identifier(person, "email", EMAIL)
    return person


def asked(kind="access", **identifiers):
    return open_request(
        kind, identifiers or {"email": EMAIL}, regulation="gdpr", channel="api", actor="key:1"
    )  # fmt: skip


def address(request):
    return reverse("admin:privacy_privacyrequest_change", args=[request.pk])


def posted(client, request, step, **data):
    answer = client.post(address(request), {"step": step, **data}, follow=True)
    request.refresh_from_db()
    return [str(message) for message in answer.context["messages"]]


def form(**given):
    names = ("email", "phone", "user_id", "profile_id", "other_type", "other_value", "contact", "corrections")
    return {"kind": "access", "regulation": "gdpr", **dict.fromkeys(names, ""), **given}


def test_an_empty_list_says_what_would_be_there(officer):
    page = officer.get(LIST).content.decode()
    assert "Nobody has asked yet" in page
    assert "POST privacy/requests" in page


def test_who_may_look_and_who_may_do(zelda):
    request = asked()
    for role, may in (("privacy officer", True), ("administrator", True), ("marketer", False), ("analyst", False),
                      ("viewer", False)):  # fmt: skip
        client = signed_in(role)
        codes = [client.get(LIST).status_code, client.get(address(request)).status_code]
        assert (role, codes) == (role, [200, 200] if may else [403, 403])
        assert (role, client.post(address(request), {"step": "cancel"}).status_code) == (role, 302 if may else 403)


def test_the_list_has_deadlines_in_words_and_one_query_more_for_no_row(officer, zelda, django_assert_max_num_queries):
    late, soon = asked("access"), asked("deletion")
    PrivacyRequest.objects.filter(pk=late.pk).update(due_at=now_us() - DAY)
    PrivacyRequest.objects.filter(pk=soon.pk).update(due_at=now_us() + 3 * DAY)
    with django_assert_max_num_queries(20):
        page = officer.get(LIST).content.decode()
    assert EMAIL not in page
    assert [words in page for words in ("2 days late", "due in 2 days", "1 of 2 open requests is late")] == [True] * 3
    assert officer.get(LIST, {"due": "late"}).context["cl"].result_count == 1
    assert officer.get(LIST, {"due": "week"}).context["cl"].result_count == 2
    assert officer.get(LIST, {"q": str(zelda.public_id)}).context["cl"].result_count == 2
    assert officer.get(LIST, {"q": str(late.public_id)}).context["cl"].result_count == 1
    assert officer.get(LIST, {"q": EMAIL}).context["cl"].result_count == 0


def test_an_officer_opens_one_by_any_identifier(officer, zelda):
    answer = officer.post(f"{LIST}add/", form(email=EMAIL, contact="call 555"), follow=True)
    request = PrivacyRequest.objects.get()
    assert answer.redirect_chain[-1][0] == address(request)
    assert (request.person, request.channel, open_body(request).contact) == (zelda, "console", "call 555")
    again = officer.post(f"{LIST}add/", form(email=EMAIL.upper()), follow=True)
    assert "still open" in str(next(iter(again.context["messages"])))
    assert PrivacyRequest.objects.count() == 1
    assert (
        list(AuditEntry.objects.filter(object_type="privacyrequest").values_list("action", flat=True)).count("open")
        == 1
    )
    officer.post(f"{LIST}add/", form(kind="access", other_type="external:shopify", other_value="77"))
    assert open_body(PrivacyRequest.objects.order_by("-id")[0]).identifiers == {"external:shopify": "77"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "Say whom it is about"),
        ({"email": "nonsense"}, "cannot be a email"),
        ({"other_type": "shoe", "other_value": "44"}, "is no identifier type"),
        ({"kind": "rectification", "email": EMAIL}, "Say what is to be corrected"),
        ({"kind": "rectification", "email": EMAIL, "corrections": "{"}, "This is no JSON yet"),
        ({"kind": "access", "email": EMAIL, "corrections": '{"traits": {"a": 1}}'}, "Only a rectification"),
    ],
)
def test_what_is_wrong_stands_in_the_form(officer, given, said):
    answer = officer.post(f"{LIST}add/", form(**given))
    assert (answer.status_code, said in answer.content.decode()) == (200, True)
    assert PrivacyRequest.objects.count() == 0


def test_the_page_offers_what_is_possible_now(officer, zelda):
    request = asked("objection")
    page = officer.get(address(request)).content.decode()
    offered = {step for step in ("verify", "process", "extend", "reject", "cancel") if f'value="{step}"' in page}
    assert offered == {"verify", "extend", "reject", "cancel"}
    assert EMAIL in page
    assert posted(officer, request, "verify", how="") == [
        "`how` must be one of document, account, call, mail, person, controller."
    ]
    assert posted(officer, request, "verify", how="call") == ["Verified. It can be carried out now."]
    assert posted(officer, request, "extend", days="30", reason="Many") == ["The deadline was extended."]
    assert posted(officer, request, "note", text="Called back.") == ["The note was added."]
    assert posted(officer, request, "process")[0].startswith("Withdrawn: MARKETING_EMAIL")
    page = officer.get(address(request)).content.decode()
    for words in ("Opened", "Verified: asked for on the telephone number", "extended by 30 days", "Completed",
                  "Called back."):  # fmt: skip
        assert (words, words in page) == (words, True)
    assert 'name="step" value="process"' not in page
    assert posted(officer, request, "reject", reason="Late")[0].startswith("This request cannot be changed")
    assert posted(officer, request, "nonsense") == ["There is no such step."]


def test_a_file_goes_in_and_out(officer, zelda):
    request = asked()
    upload = SimpleUploadedFile("letter.txt", "Prašau".encode())
    assert posted(officer, request, "file", file=upload) == ["The file was added."]
    assert posted(officer, request, "file")[0].startswith("This file is none of")
    note = RequestNote.objects.get()
    link = reverse("admin:privacy_privacyrequest_file", args=[request.pk, str(note.public_id)])
    assert link in officer.get(address(request)).content.decode()
    answer = officer.get(link)
    assert (answer.content.decode(), answer.headers["X-Content-Type-Options"]) == ("Prašau", "nosniff")
    assert signed_in("viewer").get(link).status_code == 403
    assert officer.get(link.replace(str(note.public_id), "nonsense")).status_code == 404


def test_a_hold_is_said_before_and_after(officer, zelda):
    request = verify_request(asked("deletion"), by="user:1", how="call")
    place_hold(zelda, reason="Case 7", actor="user:1")
    page = officer.get(address(request)).content.decode()
    assert "under a legal hold" in page
    assert posted(officer, request, "process")[0].startswith("The person's data is under a legal hold")
    assert request.status == "pending"


def test_what_was_said_is_escaped(officer, zelda):
    request = open_request(
        "access", {"email": EMAIL}, regulation="gdpr", channel="api", actor="key:1", contact="<script>alert(1)</script>"
    )  # fmt: skip
    posted(officer, request, "note", text="<img src=x onerror=alert(1)>")
    page = officer.get(address(request)).content.decode()
    assert ("<script>alert(1)" in page, "<img src=x" in page) == (False, False)


def test_a_page_that_is_looked_at_is_recorded(officer, zelda):
    request = asked()
    officer.get(address(request))
    entry = AuditEntry.objects.get(action="read")
    assert (entry.object_type, entry.object_ids) == ("privacyrequest", [str(request.public_id)])
