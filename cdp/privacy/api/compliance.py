"""The compliance score by REST (002)."""

from typing import ClassVar

import msgspec
from rest_framework.request import Request
from rest_framework.response import Response

from cdp.core.clock import iso, iso_or_none, now_us
from cdp.privacy.compliance import Part, score
from cdp.privacy.compliance_facts import facts
from cdp.rest.endpoint import Endpoint
from cdp.rest.schema import endpoint


class Figures(msgspec.Struct, frozen=True, rename="camel"):
    """What the parts are made of, and what stands beside them."""

    open_requests: int
    due_within_7_days: int
    overdue: int
    answered: int
    answered_late: int
    people: int
    people_with_consents: int
    erasures: int
    erasures_proven: int
    suppressed_identifiers: int
    people_held: int
    users: int
    users_with_personal_access: int
    keys: int
    keys_with_personal_access: int
    audit_verified_at: str | None
    audit_problem: str | None


class ComplianceScore(msgspec.Struct, frozen=True, rename="camel"):
    """The score from 0 to 100, the sum of its parts."""

    score: int
    as_of: str
    parts: list[Part]
    figures: Figures


class Compliance(Endpoint):
    """`privacy/compliance/score`."""

    needs: ClassVar[dict[str, str]] = {"GET": "read_privacy"}

    @endpoint("Compliance score", ComplianceScore, tag="privacy")
    def get(self, _request: Request) -> Response:
        """Each part with its weight, how it is measured and what was found."""
        found = facts(now_us())
        made = score(found)
        return Response(
            ComplianceScore(
                score=made.score,
                as_of=iso(found.now),
                parts=made.parts,
                figures=Figures(
                    open_requests=found.open,
                    due_within_7_days=found.open_soon,
                    overdue=found.overdue,
                    answered=found.answered,
                    answered_late=found.answered_late,
                    people=found.people,
                    people_with_consents=found.people_with_consents,
                    erasures=found.erasures,
                    erasures_proven=found.erasures_proven,
                    suppressed_identifiers=found.suppressed,
                    people_held=found.held,
                    users=found.users,
                    users_with_personal_access=found.users_clear,
                    keys=found.keys,
                    keys_with_personal_access=found.keys_clear,
                    audit_verified_at=iso_or_none(found.audit_verified_at),
                    audit_problem=found.audit_problem or None,
                ),
            )
        )
