"""How a person was known before, in a package: what changed from each version in the history to the next."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from cdp.core.clock import iso
from cdp.core.errors import DomainError
from cdp.history.old_people import Version, versions_of
from cdp.lake.schema import DENIED, FOR_EVER
from cdp.privacy.erase_history import unreadable
from cdp.privacy.package_part import Missing, Part, Record, Subject

_ABOUT = (
    "How your details and consents changed, oldest first, as our history has it. What identifies you never enters it."
    " Where a profile of somebody else was taken for yours for a while, that version is listed without its values."
)
_MISSING = "Our history could not be read when this was made, so this part is not complete. Ask us for it again."


class VersionRecord(Record, frozen=True):
    """What was different `at` this time: details that had another value or none before, and those that were there no

    more; when details end, if that changed; consents. `mixed`: with values of somebody else, so none is shown.
    """

    at: str
    changed: dict[str, Any]
    removed: list[str]
    expires: dict[str, str | None]
    consents: dict[str, str | None]
    mixed: bool
    profile_id: str


class _State(NamedTuple):
    """What the last version said that was the person's alone."""

    values: Mapping[str, Any]
    expires: Mapping[str, int]
    consents: Mapping[str, int]


def _versions(subject: Subject) -> Iterator[VersionRecord]:
    """Memory for one version of each profile, and for what one batch has. Raises Missing."""
    last = dict.fromkeys(subject.numbers, _State({}, {}, {}))
    try:
        for version in versions_of(subject.numbers):
            mixed = not set(version.fragments) <= last.keys()
            before = last[version.person]
            now = before if mixed else _State(version.values, version.expires, version.consents)
            last[version.person] = now
            yield _record(version, before, now, mixed=mixed, profile_id=subject.ids[version.person])
    except DomainError as error:
        raise Missing(_MISSING) from error
    except unreadable() as error:
        raise Missing(_MISSING) from error


def _record(version: Version, before: _State, now: _State, *, mixed: bool, profile_id: str) -> VersionRecord:
    ends = _changed(before.expires, now.expires)
    consents = _changed(before.consents, now.consents)
    return VersionRecord(
        at=iso(version.at),
        changed={key: value for key, value in now.values.items() if before.values.get(key) != value},
        removed=sorted(before.values.keys() - now.values.keys()),
        expires={key: None if end is None else iso(end) for key, end in ends.items() if key in now.values},
        consents={purpose: None if until is None else _consent(until) for purpose, until in consents.items()},
        mixed=mixed,
        profile_id=profile_id,
    )


def _changed(before: Mapping[str, int], now: Mapping[str, int]) -> dict[str, int | None]:
    """Key → what it is now (None: not there any more), where that is new."""
    return {key: now.get(key) for key in sorted(before.keys() | now.keys()) if before.get(key) != now.get(key)}


def _consent(until: int) -> str:
    if until == DENIED:
        return "withdrawn"
    return "granted" if until == FOR_EVER else f"granted until {iso(until)}"


VERSION_PARTS = (
    Part("versions", "Earlier details", _ABOUT, (), VersionRecord, _versions,
         ("at", "changed", "removed", "expires", "consents", "mixed")),
)  # fmt: skip
