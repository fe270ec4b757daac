"""The vocabulary of consent, as the admin has it now."""

from collections.abc import Iterable, Mapping

from cdp.consents.models import Purpose
from cdp.core.errors import Invalid


def purpose_codes() -> tuple[str, ...]:
    """The code of every purpose, in the order in which they are shown: one query."""
    return tuple(Purpose.objects.order_by("position", "code").values_list("code", flat=True))


def purpose_names() -> dict[str, str]:
    """Code → name of every purpose, in the order in which they are shown: one query."""
    return dict(Purpose.objects.order_by("position", "code").values_list("code", "name"))


def purpose_groups() -> dict[str, str]:
    """Code → group (lower case, blank for none) of every purpose, in the order in which they are shown: one query."""
    rows = Purpose.objects.order_by("position", "code").values_list("code", "group")
    return {code: group.lower() for code, group in rows}


def purposes_named(names: Iterable[str], *, path: str = "purposes") -> dict[str, list[str]]:
    """The codes that each of `names` means, in any case: a purpose itself, a group all its purposes. One query.

    Raises Invalid naming `path`, with the names that there are.
    """
    groups = purpose_groups()
    return {name: codes_named(name, groups, path=path) for name in names}


def codes_named(name: str, groups: Mapping[str, str], *, path: str = "purpose") -> list[str]:
    """The codes that `name` means by the vocabulary `groups` (code → group). Raises Invalid naming `path`."""
    wanted = name.strip()
    if wanted.upper() in groups:
        return [wanted.upper()]
    found = [code for code, group in groups.items() if group and group == wanted.lower()]
    if not found:
        raise no_such_purpose(name, path=path, groups=groups)
    return found


def no_such_purpose(name: str, *, path: str = "purpose", groups: Mapping[str, str] | None = None) -> Invalid:
    """The refusal of a name that is none, with those there are: one query unless they are given."""
    known = purpose_groups() if groups is None else groups
    wider = sorted({group for group in known.values() if group} - {code.lower() for code in known})
    also = f" Groups: {', '.join(wider)}." if wider else ""
    return Invalid(
        f"{name[:40]!r} is no consent type. Use one of: {', '.join(known)}.{also}",
        code="unknown_consent_type",
        details={"path": path},
    )
