"""The profile from our own store: what events, imported files and earlier look-ups have said of a customer."""

from typing import Any

from django.conf import settings

from cdp.access.reading import rows_in
from cdp.core.clock import now_us
from cdp.customer360.parts import records_of, totals_of
from cdp.customer360.search import external_namespaces
from cdp.identities.lookup import current_rules
from cdp.identities.rules import digests
from cdp.profiles.models import Profile
from cdp.scoring.value import lifetime_value
from cdp.traits.catalogue import sensitive_keys
from integrations.mapping import Mapping

_OWNER = """
    select p.person_id, i.linking, i.first_seen from identities_identifier i
    join profiles_profile p on p.id = i.profile_id where i.digest in {in}"""


def person_of_customer(customer_id: str) -> int | None:
    """The internal id of the person whose user id this is, or else whose external id of any namespace. 1 to 3 queries.

    Of several the one answers by whom it links people, then the one seen with it last.
    """
    rules = current_rules()
    user, external = rules.kinds["user_id"], rules.kinds["external"]
    text = rules.spelling(user, customer_id)
    if text is None:
        return None
    found = _owner(digests(settings.KEYRING, user, "", text))
    if found is None:
        spaces = external_namespaces(external)
        found = _owner([d for space in spaces for d in digests(settings.KEYRING, external, space, text)])
    return found


def stored_profile(customer_id: str, mapping: Mapping) -> dict[str, Any] | None:
    """The golden record of the customer in the shape of `mapping`, or None for somebody unknown. At most 7 queries.

    Traits that the catalogue calls sensitive stay in the store.
    """
    person_id = person_of_customer(customer_id)
    if person_id is None:
        return None
    fragments = list(Profile.objects.filter(person_id=person_id).order_by("id"))
    if not fragments:
        return None
    now = now_us()
    record = records_of({person_id: fragments}, now=now)[person_id]
    secret = sensitive_keys()
    traits = {key: golden.value for key, golden in record.values.items() if key not in secret}
    profile = mapping.profile(mapping.columns(traits))
    totals = totals_of(fragments)
    profile["customer_id"] = customer_id
    profile.setdefault("purchase_count", totals.purchases)
    value = lifetime_value(totals.revenue, totals.purchases, first_seen=totals.first_seen, now=now)
    if value.currency and "lifetime_value" not in profile:
        profile["lifetime_value"], profile["currency"] = value.current, value.currency
    return profile


def _owner(wanted: list[bytes]) -> int | None:
    rows = rows_in(_OWNER, wanted)
    best = max(rows, key=lambda row: (bool(row[1]), row[2], row[0]), default=None)
    return None if best is None else int(best[0])
