"""Requests of controllers, from the first to the last state."""

import base64
import json
import uuid

import pytest
from django.test import Client

from cdp.access.keys import forget_keys
from cdp.access.models import ApiKey, AuditEntry
from cdp.core.clock import DAY, MINUTE, iso, now_us
from cdp.privacy.carrying import continue_requests
from cdp.privacy.holds import place_hold
from cdp.privacy.models import ControllerNotice, PrivacyRequest
from cdp.privacy.opendsr.orders import start_waiting
from cdp.profiles.models import Profile
from tests import factories as make
from tests.calling import Api

EMAIL = "ona@quixmail.example"


@pytest.fixture
def ona(db):
    person = make.profile()
    make.identifier(person, "email", EMAIL)
    make.identifier(person, "user_id", "u-7")
    make.traits(person, firstName="Ona")
    return person


def waited():
    """The time until requests are begun has passed."""
    return now_us() + 61 * MINUTE


def test_discovery_is_for_everybody(controller):
    assert controller.discovery == {
        "api_version": "3.0",
        "supported_identities": [
            {"identity_type": name, "identity_format": "raw"}
            for name in ("controller_customer_id", "email", "android_id", "ios_vendor_id")
        ],
        "supported_subject_request_types": ["access", "portability", "erasure"],
        "processor_certificate": "http://localhost:8000/opendsr/certificate.pem",
    }


def test_an_access_request_from_beginning_to_end(controller, ona):
    asked = {"subject_request_id": str(uuid.uuid4())}
    status, answer = controller.asks("access", ("email", EMAIL.upper()), ("controller_customer_id", "u-7"), **asked)
    row = PrivacyRequest.objects.get()
    assert (row.kind, row.status, row.channel, row.person_id) == ("access", "pending", "opendsr", ona.pk)
    assert row.due_at == row.created_at + 30 * DAY
    encoded = answer.pop("encoded_request")
    assert json.loads(base64.b64decode(encoded))["subject_request_id"] == asked["subject_request_id"]
    assert (status, answer) == (
        201,
        {
            "controller_id": row.created_by,
            "expected_completion_time": iso(row.due_at),
            "received_time": iso(row.created_at),
            **asked,
        },
    )
    assert controller.state(asked["subject_request_id"]) == "pending"
    assert start_waiting(now_us()) == 0
    assert start_waiting(waited()) == 1
    assert controller.state(asked["subject_request_id"]) == "in_progress"
    assert continue_requests() == 1
    status, state = controller.call("GET", f"requests/{asked['subject_request_id']}")
    assert (status, state["request_status"]) == (200, "completed")
    assert Client().get(state["results_url"].removeprefix("http://localhost:8000")).status_code == 200
    actions = list(
        AuditEntry.objects.filter(object_type="privacyrequest").order_by("id").values_list("action", "actor")
    )
    key = row.created_by
    assert actions == [("open", key), ("verify", key), ("process", "opendsr"), ("complete", "opendsr")]


def test_an_erasure_erases(controller, ona):
    _, answer = controller.asks("erasure", ("email", EMAIL))
    start_waiting(waited())
    continue_requests()
    assert controller.state(answer["subject_request_id"]) == "completed"
    assert Profile.objects.count() == 0


def test_the_same_id_again_is_the_same_request(controller, ona):
    asked = {"subject_request_id": str(uuid.uuid4())}
    first = controller.asks("access", ("email", EMAIL), **asked)
    second = controller.asks("access", ("email", EMAIL), **asked)
    assert first == second
    assert (PrivacyRequest.objects.count(), ControllerNotice.objects.count()) == (1, 1)
    status, answer = controller.asks("erasure", ("email", EMAIL), **asked)
    assert (status, answer["error"]["message"]) == (400, "There is another request with this id.")


def test_it_can_be_cancelled_while_it_is_pending(controller, ona):
    _, answer = controller.asks("erasure", ("email", EMAIL))
    number = answer["subject_request_id"]
    status, cancelled = controller.call("DELETE", f"requests/{number}")
    assert (status, cancelled["subject_request_id"], cancelled["api_version"]) == (202, number, "3.0")
    assert controller.state(number) == "cancelled"
    assert start_waiting(waited()) == 0
    assert controller.call("DELETE", f"requests/{number}")[0] == 400
    assert Profile.objects.count() == 1
    _, answer = controller.asks("access", ("email", EMAIL))
    start_waiting(waited())
    assert controller.call("DELETE", f"requests/{answer['subject_request_id']}")[0] == 400


def test_nobody_is_found_and_nobody_learns_it(controller):
    _, answer = controller.asks("access", ("email", "nobody@else.example"))
    assert controller.state(answer["subject_request_id"]) == "pending"
    start_waiting(waited())
    continue_requests()
    _, state = controller.call("GET", f"requests/{answer['subject_request_id']}")
    assert (state["request_status"], state["results_url"]) == ("completed", None)


def test_a_legal_hold_leaves_it_to_an_officer(controller, ona):
    place_hold(ona, reason="a case", actor="user:1")
    _, answer = controller.asks("erasure", ("email", EMAIL))
    assert [start_waiting(waited()), start_waiting(waited())] == [0, 0]
    row = PrivacyRequest.objects.get()
    assert (row.status, row.outcome) == ("pending", "An officer has to look at it: legal hold.")
    assert controller.state(answer["subject_request_id"]) == "pending"
    assert Profile.objects.count() == 1


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"regulation": None}, "regulation"),
        ({"regulation": "lgpd"}, "regulation"),
        ({"subject_request_id": "7"}, "subject_request_id"),
        ({"subject_request_type": "rectification"}, "subject_request_type"),
        ({"submitted_time": "yesterday"}, "submitted_time"),
        ({"submitted_time": None}, "submitted_time"),
        ({"subject_identities": []}, "subject_identities"),
        ({"status_callback_urls": ["http://"]}, "status_callback_urls[0]"),
        ({"status_callback_urls": ["https://user:secret@controller.example/"]}, "status_callback_urls[0]"),
        ({"status_callback_urls": ["file:///etc/passwd"]}, "status_callback_urls[0]"),
        ({"status_callback_urls": ["https://c.example/" + "x" * 500]}, "status_callback_urls[0]"),
        ({"status_callback_urls": ["https://c.example/"] * 6}, "status_callback_urls"),
    ],
)
def test_what_cannot_be_used_is_refused(controller, ona, changes, path):
    status, answer = controller.asks("access", ("email", EMAIL), **changes)
    assert (status, answer["error"]["code"], list(answer["error"]["errors"][0])) == (
        400, 400, ["domain", "reason", "message"],
    )  # fmt: skip
    assert path in answer["error"]["message"]
    assert PrivacyRequest.objects.count() == 0


@pytest.mark.parametrize(
    ("identity", "word"),
    [
        (("email", "0" * 64, "sha256"), "raw"),
        (("email", "0" * 32, "md5"), "raw"),
        (("roku_publisher_id", "x"), "controller_customer_id"),
        (("email", "no address"), "email"),
    ],
)
def test_identities_that_find_nobody_are_refused(controller, ona, identity, word):
    status, answer = controller.asks("access", identity)
    assert (status, word in answer["error"]["message"]) == (400, True)


def test_two_people_are_no_one(controller, ona):
    make.identifier(make.profile(), "user_id", "u-8")
    status, answer = controller.asks("access", ("email", EMAIL), ("controller_customer_id", "u-8"))
    assert (status, answer["error"]["errors"][0]["domain"]) == (400, "different_people")


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff", b'{"a":' * 50 + b"1" + b"}" * 50, b'"' + b"x" * 70_000 + b'"'])
def test_a_body_that_is_none_is_refused(controller, body):
    answer = controller.client.post(
        "/opendsr/v3/requests", body, content_type="application/json", headers=controller.headers
    )
    assert answer.status_code == (413 if len(body) > 65_536 else 400)


def test_version_1_has_other_names(controller, ona):
    body = {
        "subject_request_id": str(uuid.uuid4()),
        "subject_request_type": "access",
        "submitted_time": "2018-10-02T15:00:00Z",
        "subject_identities": [{"identity_type": "email", "identity_value": EMAIL, "identity_format": "raw"}],
    }
    status, answer = controller.call("POST", "opengdpr_requests/", body, version=1)
    assert status == 201
    address = f"opengdpr_requests/{answer['subject_request_id']}"
    assert controller.call("GET", address, version=1)[1]["api_version"] == "1.0"
    assert controller.call("DELETE", address, version=1)[0] == 202
    assert controller.client.post("/opendsr/v2/opengdpr_requests", headers=controller.headers).status_code == 404


@pytest.mark.parametrize("scope", ["ingest", "read", "read_masked", "write"])
def test_only_the_scope_admin_may(controller, ona, scope):
    _, answer = controller.asks("access", ("email", EMAIL))
    api = Api(scope)
    for method, path in (("POST", "requests"), ("GET", f"requests/{answer['subject_request_id']}"),
                         ("DELETE", f"requests/{answer['subject_request_id']}")):  # fmt: skip
        status, refused = api.call(method, f"/opendsr/v3/{path}")
        assert (status, refused["error"]["code"]) == (403, 403)
    bare = Client().post("/opendsr/v3/requests", b"{}", content_type="application/json")
    assert (bare.status_code, bare["WWW-Authenticate"]) == (401, 'Bearer realm="api"')


def test_requests_of_others_are_not_shown(controller, ona):
    own = make.privacy_request(ona, external_id=str(uuid.uuid4()))
    assert controller.call("GET", f"requests/{own.external_id}")[0] == 404
    assert controller.call("GET", "requests/7")[0] == 400


def test_what_is_public_is_limited(controller, time_machine):
    time_machine.move_to("2026-05-01T12:00:20Z", tick=False)
    answers = [Client().get("/opendsr/v3/discovery").status_code for _ in range(121)]
    assert answers == [200] * 120 + [429]


def test_a_key_of_the_settings_is_used(controller, settings, tmp_path):
    made = (tmp_path / "opendsr.pem").read_bytes()
    settings.OPENDSR_KEY = settings.OPENDSR_CERTIFICATE = str(tmp_path / "own.pem")
    answer = controller.client.get("/opendsr/certificate.pem")
    assert answer.status_code == 503
    (tmp_path / "own.pem").write_bytes(made)
    assert controller.client.get("/opendsr/certificate.pem").content == controller.pem


def test_a_certificate_follows_the_domain_and_the_years_and_keeps_its_key(controller, settings, time_machine):
    from cryptography import x509

    def certificate():
        return x509.load_pem_x509_certificate(controller.client.get("/opendsr/certificate.pem").content)

    first = certificate()
    settings.PUBLIC_URL = "https://cdp.shop.example"
    second = certificate()
    assert second.subject.rfc4514_string() == "CN=cdp.shop.example"
    assert second.public_key() == first.public_key()
    assert certificate() == second
    time_machine.move_to(second.not_valid_after_utc.timestamp() - 29 * 86_400)
    assert certificate().not_valid_after_utc > second.not_valid_after_utc


def test_a_key_that_sees_nothing_in_clear_may_erase_but_not_fetch(controller, ona):
    _, answer = controller.asks("access", ("email", EMAIL))
    start_waiting(waited())
    continue_requests()
    address = f"requests/{answer['subject_request_id']}"
    assert controller.call("GET", address)[1]["results_url"] is not None
    ApiKey.objects.update(classifications=[])
    forget_keys()
    assert controller.call("GET", address)[1]["results_url"] is None
    assert controller.asks("portability", ("email", EMAIL))[0] == 403
    assert controller.asks("erasure", ("email", EMAIL))[0] == 201
