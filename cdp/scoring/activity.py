"""The counts that the engagement score needs, from a person's hot events."""

from collections.abc import Mapping, Sequence

from cdp.access.reading import rows_in
from cdp.core.clock import DAY
from cdp.lake.measures.formula import EMAIL_TYPES, PORTAL_TYPES, WEB_TYPES, WINDOW_DAYS
from cdp.scoring.engagement import Activity


def _names(types: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in types)


_ACTIVITY = f"""
    select p.person_id, max(e.ts), max(e.ts) filter (where e.type = 'LOGIN'),
           count(distinct e.ts / {DAY}) filter (where e.ts > %s),
           count(*) filter (where e.ts > %s and e.type in ({_names(EMAIL_TYPES)})),
           count(*) filter (where e.ts > %s and e.type in ({_names(WEB_TYPES)})),
           count(*) filter (where e.ts > %s and e.type in ({_names(PORTAL_TYPES)}))
    from profiles_profile p join events_event e on e.profile_id = p.id
    where e.ts <= %s and p.person_id in {{in}}
    group by p.person_id"""


def activity_of_people(revenues: Mapping[int, float], *, now: int) -> dict[int, Activity]:
    """What people did up to `now` (µs): their revenue in units by the id of their first profile is given. One query."""
    since = now - WINDOW_DAYS * DAY
    found: dict[int, Activity] = {}
    counted = rows_in(_ACTIVITY, revenues, (since, since, since, since, now))
    for person_id, last_event, last_login, active_days, email, web, portal in counted:
        found[person_id] = Activity(
            last_event=last_event,
            last_login=last_login,
            active_days=active_days,
            email_events=email,
            web_events=web,
            portal_events=portal,
            revenue=revenues[person_id],
        )
    return {person: found.get(person) or Activity(revenue=revenue) for person, revenue in revenues.items()}
