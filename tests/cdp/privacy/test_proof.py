"""The scan: it knows every column of every model, and finds what is planted in any store."""

from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.conf import settings
from django.db import models

from cdp.access.audit import record_change
from cdp.access.models import ApiKey
from cdp.core.bulk import Table
from cdp.core.errors import Invalid
from cdp.identities.models import BlockedValue
from cdp.pipeline.lease import database
from cdp.pipeline.message import Envelope, seal
from cdp.privacy.erase import continue_erasures, erase_person
from cdp.privacy.erase_subject import open_trace
from cdp.privacy.models import PrivacyRequest
from cdp.privacy.opened import readable
from cdp.privacy.proof import scan, verify_receipt
from cdp.privacy.proof_columns import (
    BINARIES,
    OTHER_NUMBERS,
    REFERENCES,
    TEXTS,
    Unknown,
    columns_of,
    label,
    tables,
)
from cdp.privacy.proof_scope import Scope
from cdp.privacy.request_body import RequestBody, seal_request
from tests import factories
from tests.cdp.privacy.test_erase import person, population
from tests.sending import message, send

pytestmark = pytest.mark.django_db


def test_every_column_of_every_model_is_decoded() -> None:
    known = {label(model, name): how for model, columns in tables() for name, how in columns.items()}
    assert (REFERENCES | OTHER_NUMBERS | BINARIES.keys() | TEXTS.keys()) - known.keys() == set()
    assert len(known) > 300


@pytest.mark.parametrize(
    "field",
    [models.BinaryField(), models.BigIntegerField(db_column="member_id"), models.IPAddressField()],
    ids=["bytes", "number", "kind"],
)
def test_a_new_column_that_is_not_understood_is_told(field: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    field.set_attributes_from_name("fresh")
    monkeypatch.setattr(ApiKey._meta, "local_fields", [*ApiKey._meta.local_fields, field])
    ApiKey._meta._expire_cache()
    try:
        with pytest.raises(Unknown):
            columns_of(ApiKey)
    finally:
        monkeypatch.undo()
        ApiKey._meta._expire_cache()


def _plant_event(number: int, public_id: str) -> None:
    factories.event(factories.profile(), "planted")
    database().execute("update events_event set profile_id = ? where name = 'planted'", (number,))


def _plant_inbox(number: int, public_id: str) -> None:
    body = seal(settings.KEYRING, Envelope(msgspec.Raw(b'{"type":"track","event":"x","userId":"user-ada"}')))
    columns = {"digest": "bytea", "source_id": "int4", "received": "int8", "body": "bytea", "claimed": "bool"}
    database().insert(Table("pipeline_inboxmessage", columns), [(b"1" * 16, 1, 1, body, False)])


def _plant_text(number: int, public_id: str) -> None:
    BlockedValue.objects.create(value="spam.example", reason="asked for by Ada@Example.com, twice")


def _plant_audit(number: int, public_id: str) -> None:
    record_change("test", action="read", object_type="profile", object_ids=[public_id], fields=["x"])


def _plant_request(number: int, public_id: str) -> None:
    sealed = seal_request(RequestBody(identifiers={"email": "ada@example.com"}))
    PrivacyRequest.objects.create(kind="access", channel="api", created_at=1, created_by="x", due_at=1, body=sealed)


def _plant_membership(number: int, public_id: str) -> None:
    columns = {"segment_id": "bigint", "person_id": "bigint", "from_gen": "integer", "entered_at": "bigint"}
    database().insert(Table("segments_membership", columns), [(1, number, 1, 1)])


def _plant_parquet(number: int, public_id: str) -> None:
    path = next(Path(settings.LAKE_URL, "events").glob("month=*/*.parquet"))
    pq.write_table(pa.table({"profile": pa.array([number, 999], pa.int64())}), path.with_name("left-over.parquet"))


def _plant_log(number: int, public_id: str) -> None:
    path = next(Path(settings.LAKE_URL, "events", "_delta_log").glob("*.json"))
    path.write_text(path.read_text() + f'{{"commitInfo":{{"predicate":"p = {public_id}"}}}}\n')


PLANTS = {
    "events_event": _plant_event,
    "pipeline_inboxmessage": _plant_inbox,
    "identities_blockedvalue": _plant_text,
    "access_auditentry": _plant_audit,
    "privacy_privacyrequest": _plant_request,
    "segments_membership": _plant_membership,
    "lake events": _plant_parquet,
    "lake events (log)": _plant_log,
}


@pytest.mark.parametrize("store", PLANTS)
def test_what_is_planted_in_a_store_is_found(store: str) -> None:
    population()
    ada = person("user-ada")
    receipt = erase_person(ada, request=None, actor="test").receipt
    assert receipt is not None
    assert verify_receipt(receipt).holds
    PLANTS[store](ada.pk, str(ada.public_id))
    verdict = verify_receipt(receipt)
    assert (verdict.holds, verdict.found) == (False, {store: 1})
    scope = Scope.of_trace(open_trace(receipt["subject"]["sealed"]))
    assert {name for name, one in scan(scope)[0].items() if one.found} == {store}


def test_somebody_who_returns_makes_the_receipt_false_and_a_mention_does_not() -> None:
    population()
    receipt = erase_person(person("user-ada"), request=None, actor="test").receipt
    assert receipt is not None
    send(message(event="told", userId="user-bob", properties={"friend": "ada@example.com"}))
    deep = verify_receipt(receipt, deep=True)
    assert (deep.holds, deep.mentions) == (True, 1)
    factories.identifier(factories.profile(), "email", "ada@example.com")
    assert (verify_receipt(receipt).holds, verify_receipt(receipt).returned) == (False, 1)


def test_a_receipt_that_was_changed_is_refused() -> None:
    population()
    receipt = erase_person(person("user-ada"), request=None, actor="test").receipt
    assert receipt is not None
    forged = {**receipt, "erased": {**receipt["erased"], "events_event": 2}}
    with pytest.raises(Invalid, match="signature does not verify"):
        verify_receipt(forged)
    with pytest.raises(Invalid, match="signature does not verify"):
        verify_receipt({**receipt, "signature": ""})


def test_strings_of_a_sealed_body_stand_alone() -> None:
    long = "x" * 40 + "@example.com"
    packed = msgspec.msgpack.encode({"email": long, "n": [1, "ada@example.com"]})
    assert readable(packed) == f'{{"email":"{long}","n":[1,"ada@example.com"]}}'
    assert readable(b'["a"]') == '["a"]'
    assert readable(b"\xff\xfe plain") == "\ufffd\ufffd plain"


def test_an_erasure_that_the_scan_refused_is_done_once_nothing_is_found() -> None:
    population()
    ada = person("user-ada")
    _plant_text(ada.pk, str(ada.public_id))
    row = erase_person(ada, request=None, actor="test")
    assert (row.status, row.steps["proof"]["problem"]) == ("partial", "Still found: 1 in identities_blockedvalue.")
    assert continue_erasures(at_once=True) == 0
    BlockedValue.objects.filter(value="spam.example").delete()
    assert continue_erasures(at_once=True) == 1
    row.refresh_from_db()
    assert (row.status, row.subject, "proof" in row.steps) == ("done", None, False)
    assert row.receipt is not None
    assert row.receipt["erased"]["events_event"] == 3
    assert verify_receipt(row.receipt).holds
