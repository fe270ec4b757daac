"""Whatever steps are tried in whatever order: only those happen that the table of the documentation allows."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdp.access.models import AuditEntry
from cdp.core.errors import Conflict
from cdp.privacy.carrying import carry_out
from cdp.privacy.models import PrivacyRequest
from cdp.privacy.requests import cancel_request, extend_request, open_request, reject_request, verify_request
from cdp.privacy.steps import steps_of

pytestmark = pytest.mark.django_db

TAKE = {
    "verify": lambda row: verify_request(row, by="user:1", how="call"),
    "process": lambda row: carry_out(row, actor="user:1"),
    "extend": lambda row: extend_request(row, days=5, actor="user:1", reason="Many"),
    "reject": lambda row: reject_request(row, actor="user:1", reason="No"),
    "cancel": lambda row: cancel_request(row, actor="user:1"),
}
AFTER = {
    ("unverified", "verify"): "pending", ("unverified", "reject"): "rejected", ("unverified", "cancel"): "cancelled",
    ("pending", "process"): "completed", ("pending", "reject"): "rejected", ("pending", "cancel"): "cancelled",
}  # fmt: skip
"""Status and step → the status after it; an extension changes none and is possible once while it is open."""


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(sorted(TAKE)), max_size=8))
def test_any_order_of_steps(steps):
    PrivacyRequest.objects.all().delete()
    AuditEntry.objects.all().delete()
    request = open_request("objection", {"user_id": "u1"}, regulation="gdpr", channel="api", actor="key:1")
    status, extended, taken = "unverified", False, 0
    for step in steps:
        if step == "extend":
            possible, after = status in ("unverified", "pending") and not extended, status
        else:
            possible, after = (status, step) in AFTER, AFTER.get((status, step), status)
        assert (step in steps_of(request)) == possible
        if possible:
            request = TAKE[step](request)
            taken += 1 + (step == "process")
            extended = extended or step == "extend"
        else:
            with pytest.raises(Conflict):
                TAKE[step](request)
        status = after
        request.refresh_from_db()
        assert request.status == status
        assert (request.ended_at is not None) == (status in ("completed", "rejected", "cancelled"))
    assert AuditEntry.objects.exclude(action__in=("open",)).count() == taken
