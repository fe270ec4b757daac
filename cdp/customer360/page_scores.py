"""The figures and scores of a person's page."""

import msgspec

from cdp.access.admin_pages import moment
from cdp.customer360.parts import Parts
from cdp.events.models import Session


class Figure(msgspec.Struct, frozen=True):
    """A number of the header, with what it means."""

    label: str
    value: str
    hint: str = ""


class Bar(msgspec.Struct, frozen=True):
    """A part of a score, 0 to 100."""

    label: str
    value: int
    hint: str


def figures(parts: Parts) -> list[Figure]:
    """The key figures of the header."""
    value, totals = parts.value, parts.totals
    sessions = Session.objects.filter(profile_id__in=parts.fragment_ids).count()
    others = [f"{_money(amount)} {code}" for code, amount in list(value.by_currency.items())[1:]]
    return [
        Figure("Events", f"{totals.events:,}", f"Last {moment(totals.last_seen)}"),
        Figure("Sessions", f"{sessions:,}", f"Known for {value.tenure:,} days"),
        Figure("Purchases", f"{totals.purchases:,}", f"{value.frequency:g} a month"),
        Figure(
            "Revenue",
            f"{_money(value.current)} {value.currency}" if value.currency else "–",
            f"also {', '.join(others)}" if others else _average(value.average, value.currency),
        ),
    ]


def _average(average: float | None, currency: str | None) -> str:
    return "No purchase yet" if average is None else f"{_money(average)} {currency} each"


def _money(amount: float) -> str:
    return f"{amount:,.2f}"


def bars(parts: Parts) -> list[Bar]:
    """The parts of the engagement score."""
    score, did = parts.engagement, parts.activity
    return [
        Bar("Recency", score.recency, f"Last event {moment(did.last_event)}"),
        Bar("Frequency", score.frequency, f"Active on {did.active_days} of the last 90 days"),
        Bar("Monetary", score.monetary, f"Revenue {_money(did.revenue)}"),
        Bar("E-mail", score.email, f"{did.email_events} opened in 90 days"),
        Bar("Web", score.web, f"{did.web_events} actions in 90 days"),
        Bar("Portal", score.portal, f"{did.portal_events} actions in 90 days"),
    ]


def profile_bars(parts: Parts) -> list[Bar]:
    """The parts of the profile score."""
    score = parts.score
    return [
        Bar("Completeness", score.completeness, "Values of traits that are known"),
        Bar("Recency", score.recency, f"Last seen {moment(parts.totals.last_seen)}"),
        Bar("Engagement", score.engagement, "The score above"),
        Bar("Value", score.value, f"Revenue {_money(parts.value.current)}"),
    ]
