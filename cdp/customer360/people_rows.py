"""People as a list shows them: a name, a way to reach them and their counters, for a whole page in four queries."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import msgspec

from cdp.customer360.masking import Clear, shown, shown_identifier
from cdp.customer360.parts import Totals, totals_of
from cdp.identities.models import Identifier
from cdp.identities.value import open_identifier
from cdp.profiles.models import Profile
from cdp.traits.document import open_document
from cdp.traits.golden import GoldenRecord, edges_of, fold
from cdp.traits.models import TraitDocument

_CONTACTS = ("email", "user_id", "phone")
NO_NAME = "Anonymous"


class PersonRow(msgspec.Struct, frozen=True):
    """One person of a list."""

    person_id: int
    public_id: str
    name: str
    contact: str
    profiles: int
    totals: Totals


def people_rows(people: Sequence[int], *, now: int, clear: Clear) -> dict[int, PersonRow]:
    """The rows of the people with these internal ids: four queries."""
    fragments: dict[int, list[Profile]] = defaultdict(list)
    for fragment in Profile.objects.filter(person_id__in=people).order_by("id"):
        fragments[fragment.person_id].append(fragment)
    ids = [fragment.pk for group in fragments.values() for fragment in group]
    bodies = dict(TraitDocument.objects.filter(profile_id__in=ids).values_list("profile_id", "body"))
    edges = edges_of(ids)
    contacts = _contacts(ids)
    rows = {}
    for person_id, group in fragments.items():
        own = {fragment.pk for fragment in group}
        record = fold(
            {pk: open_document(bodies.get(pk)) for pk in own},
            [edge for edge in edges if edge.source_id in own],
            now=now,
        )
        found = [contact for pk in own for contact in contacts.get(pk, [])]
        contact = min(found, key=lambda item: _CONTACTS.index(item[0]), default=("", ""))
        rows[person_id] = PersonRow(
            person_id=person_id,
            public_id=str(group[0].public_id),
            name=shown("name", name_of(record), clear=clear) or "",
            contact=shown_identifier(contact[0], contact[1], personal=contact[0] != "user_id", clear=clear),
            profiles=len(group),
            totals=totals_of(group),
        )
    return rows


def name_of(record: GoldenRecord) -> str | None:
    """The person's name from the golden record, or None."""

    def text(*keys: str) -> str:
        values = (record.values[key].value for key in keys if key in record.values)
        return next((value for value in values if isinstance(value, str)), "")

    both = f"{text('firstName', 'first_name')} {text('lastName', 'last_name')}".strip()
    return text("name") or both or None


def _contacts(profiles: Iterable[int]) -> dict[int, list[tuple[str, str]]]:
    rows = (
        Identifier.objects.filter(profile_id__in=profiles, type__code__in=_CONTACTS)
        .order_by("-primary", "first_seen", "id")
        .values_list("profile_id", "type__code", "body")
    )
    found: dict[int, list[tuple[str, str]]] = defaultdict(list)
    for profile_id, code, body in rows:
        found[profile_id].append((code, open_identifier(body).value))
    return found
