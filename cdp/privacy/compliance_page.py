"""The compliance page: the score with its parts, deadlines, consent rates, retention, the audit."""

from collections import Counter, defaultdict

import msgspec
from django.db.models import Count
from django.urls import NoReverseMatch, reverse

from cdp.access.admin_pages import moment
from cdp.consents.purposes import purpose_names
from cdp.consents.rates import ConsentRate, consent_rates
from cdp.privacy.alerts import left_in_words
from cdp.privacy.compliance import Part, Score, score
from cdp.privacy.compliance_facts import Facts, facts
from cdp.privacy.deadlines import OPEN, days_left
from cdp.privacy.models import PrivacyRequest, RetentionPolicy

DAYS = 91
_WEEK = 7
_NEXT = 10
_BAR, _HEIGHT = 10, 32

_LEADS_TO = {
    "in-time": ("admin:privacy_privacyrequest_changelist", ""),
    "deadlines": ("admin:privacy_privacyrequest_changelist", "?due=open"),
    "classification": ("admin:traits_uncatalogued", ""),
    "retention": ("admin:privacy_retentionpolicy_changelist", ""),
    "consent": ("admin:consents_consentrecord_changelist", ""),
    "audit": ("admin:access_auditentry_changelist", ""),
    "erasures": ("admin:privacy_erasure_changelist", ""),
    "access": ("admin:access_user_changelist", ""),
}
"""Where what a part says can be mended, by the part."""


class ShownPart(msgspec.Struct, frozen=True):
    """A part with its share in percent, and where it can be mended (blank: nowhere in the console)."""

    part: Part
    percent: int
    link: str


class Due(msgspec.Struct, frozen=True):
    """An open request: what it is, how long there is still, and its page."""

    kind: str
    status: str
    left: str
    late: bool
    due: str
    link: str


class Week(msgspec.Struct, frozen=True):
    """A bar: a week's grants among its statements."""

    x: int
    y: float
    height: float
    said: str


class PurposeRate(msgspec.Struct, frozen=True):
    """A purpose over the last 13 weeks. `percent` None: no statement."""

    name: str
    people: int
    granted: int
    withdrawn: int
    percent: int | None
    weeks: list[Week]


class StatusBar(msgspec.Struct, frozen=True):
    """Requests of one status."""

    name: str
    count: int
    percent: int


class CompliancePage(msgspec.Struct, frozen=True):
    """Everything that the page shows."""

    score: Score
    facts: Facts
    parts: list[ShownPart]
    due: list[Due]
    statuses: list[StatusBar]
    rates: list[PurposeRate]
    policies: list[RetentionPolicy]
    verified: str
    width: int = _BAR * (DAYS // _WEEK)
    height: int = _HEIGHT


def compliance_page(now: int) -> CompliancePage:
    """The page at `now` (µs): a constant number of queries."""
    found = facts(now)
    made = score(found)
    return CompliancePage(
        score=made,
        facts=found,
        parts=[ShownPart(part, int(100 * part.points / part.weight), _link(part.key)) for part in made.parts],
        due=_due(now),
        statuses=_statuses(),
        rates=purpose_rates(consent_rates(DAYS, now=now), purpose_names()),
        policies=list(RetentionPolicy.objects.order_by("-active", "name")[:_NEXT]),
        verified=moment(found.audit_verified_at),
    )


def purpose_rates(rates: list[ConsentRate], names: dict[str, str]) -> list[PurposeRate]:
    """Daily rates of `DAYS` days put together to weeks, a row for each purpose that anybody spoke about."""
    days: dict[str, list[ConsentRate]] = defaultdict(list)
    for rate in rates:
        days[rate.purpose].append(rate)
    return [_rate(names.get(code, code), days[code]) for code in sorted(days, key=list(names).index)]


def _rate(name: str, days: list[ConsentRate]) -> PurposeRate:
    weeks = []
    for place in range(0, len(days), _WEEK):
        some = days[place : place + _WEEK]
        granted, stated = sum(day.granted for day in some), sum(day.granted + day.withdrawn for day in some)
        share = granted / stated if stated else 0.0
        said = f"Week from {some[0].day}: {granted} of {stated} granted" if stated else f"Week from {some[0].day}: none"
        weeks.append(Week(place // _WEEK * _BAR, _HEIGHT * (1 - share), _HEIGHT * share, said))
    granted, withdrawn = sum(day.granted for day in days), sum(day.withdrawn for day in days)
    percent = round(100 * granted / (granted + withdrawn)) if granted + withdrawn else None
    return PurposeRate(name, days[-1].people, granted, withdrawn, percent, weeks)


def _due(now: int) -> list[Due]:
    rows = PrivacyRequest.objects.filter(status__in=OPEN).order_by("due_at", "id")[:_NEXT]
    return [
        Due(
            kind=row.get_kind_display(),
            status=row.get_status_display(),
            left=left_in_words(days_left(row, now=now) or 0),
            late=row.due_at < now,
            due=moment(row.due_at),
            link=reverse("admin:privacy_privacyrequest_change", args=[row.pk]),
        )
        for row in rows
    ]


def _statuses() -> list[StatusBar]:
    rows = PrivacyRequest.objects.order_by().values_list("status").annotate(count=Count("id"))
    counts = Counter(dict(rows))
    most = max(counts.values(), default=0)
    return [
        StatusBar(str(label), counts[status], int(100 * counts[status] / most))
        for status, label in PrivacyRequest.Status.choices
        if counts[status]
    ]


def _link(part: str) -> str:
    name, query = _LEADS_TO[part]
    try:
        return reverse(name) + query
    except NoReverseMatch:
        return ""
