"""The vocabulary of consent, as the admin has it now."""

from collections.abc import Iterable, Mapping, Sequence

from cdp.consents.gate import folded
from cdp.consents.models import Purpose
from cdp.core.errors import Invalid

MOST_OTHER_NAMES = 20
LONGEST_OTHER_NAME = 100


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


def other_names(given: Sequence[str], *, code: str, name: str, group: str) -> list[str]:
    """What a purpose with this code, name and group may also be called, of `given`: each once. One query.

    Names are compared as `folded` gives them, as in messages. Several purposes may have the same other name; a code,
    name or group means the same purposes everywhere, so none may be another name too. Raises Invalid naming the field.
    """
    words: dict[str, str] = {}
    for word in given:
        words.setdefault(folded(word), word)
    if len(given) > MOST_OTHER_NAMES or any(len(word) > LONGEST_OTHER_NAME for word in given):
        raise _refused(f"At most {MOST_OTHER_NAMES} other names of {LONGEST_OTHER_NAME} characters each.")
    if "" in words:
        raise _refused(f"“{words['']}” has nothing but blanks, dashes and underscores, which are not compared.")
    own = {"code": code, "name": name, "group": group}
    for what, word in own.items():
        if folded(word) in words:
            raise _refused(f"“{words[folded(word)]}” is the {what} of this purpose: it is understood without this.")
    for other in Purpose.objects.exclude(code=code).order_by("position", "code"):
        for what, word in (("code", other.code), ("name", other.name), ("group", other.group)):
            if folded(word) in words:
                raise _refused(f"“{words[folded(word)]}” is the {what} of {other.code} already: it means that.")
        taken = {folded(word) for word in other.also_called}
        for what, word in own.items():
            if folded(word) in taken:
                raise _refused(f"“{word}” is another name of {other.code}: remove it there first.", path=what)
    return list(words.values())


def _refused(message: str, *, path: str = "also_called") -> Invalid:
    return Invalid(message, code="purpose_name", details={"path": path})
