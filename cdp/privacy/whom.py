"""Whom a command means."""

from contextlib import suppress
from uuid import UUID

from cdp.core.errors import NotFound
from cdp.identities.lookup import find_person
from cdp.profiles.models import Profile
from cdp.profiles.people import person_of


def person_called(text: str) -> Profile:
    """Whoever has this profile id, e-mail, phone, user id, or TYPE:VALUE such as device_id:abc. Raises NotFound."""
    code, separator, value = text.rpartition(":")
    if separator:
        found = find_person(code, value)
    else:
        with suppress(ValueError):
            return person_of(UUID(text))
        codes = ("email",) if "@" in text else ("user_id", "phone")
        found = next((person for code in codes if (person := find_person(code, text))), None)
    if found is None:
        raise NotFound("Nobody has this identifier. Write the type before it, such as device_id:abc.")
    return found
