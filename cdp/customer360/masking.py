"""Values as those see them who may not see all: the same shape, with the letters of protected ones gone."""

from typing import Any

import msgspec

from cdp.access.rights import NOTHING, Rights, masked, roles_of
from cdp.lake.fields.tree import names_in
from cdp.traits.catalogue import catalogue, classification_of

_PERSONAL_CONTEXT = frozenset({"ip", "ipAddress", "userAgent"})
_NAMES = frozenset({"name", "firstname", "lastname", "middlename", "fullname", "surname", "username"})


class Sight(msgspec.Struct, frozen=True):
    """What a reader sees: protected values as `rights` say, and the keys that are not for them at all.

    It is true when everything is in clear, as it is without the right to sensitive data while nothing is sensitive.
    """

    rights: Rights
    hidden: frozenset[str] = frozenset()
    nothing_sensitive: bool = False

    def __bool__(self) -> bool:
        rights = self.rights
        sees = rights.sees_personal and (rights.sees_sensitive or self.nothing_sensitive)
        return sees and not rights.denied and not self.hidden

    @property
    def personal(self) -> bool:
        """Whether personal values are in clear, as far as nothing else is said of a field."""
        return self.rights.sees_personal


Clear = bool | Sight
"""Of `shown` and all that call it: a Sight, or whether everything is in clear or all that is protected is masked."""


def sight_of(rights: Rights) -> Sight:
    """What the holder of `rights` sees.

    Keys that name readers are hidden from whoever is in none of those groups, and so is what is calculated from them.
    What is calculated from a field that is denied to the holder is denied too.
    """
    restricted = catalogue().readers
    roles = roles_of(rights) if restricted else None
    hidden = set() if roles is None else {key for key, readers in restricted.items() if not readers & roles}
    denied = set(rights.denied)
    if hidden or denied:
        for key, tree in catalogue().calculated.items():  # in an order in which each follows those that it names
            used = {name.key for name in names_in(tree)}
            if used & hidden:
                hidden.add(key)
            if used & denied:
                denied.add(key)
    if denied != rights.denied:
        rights = msgspec.structs.replace(rights, denied=frozenset(denied))
    return Sight(rights, frozenset(hidden), nothing_sensitive=not catalogue().sensitive)


def is_hidden(key: str, clear: Clear) -> bool:
    """Whether the reader may not even know what is under `key`."""
    return isinstance(clear, Sight) and key in clear.hidden


def note(clear: Clear) -> str:
    """The sentence that says on a page what is masked on it; nothing when all is in clear."""
    if clear:
        return ""
    if not isinstance(clear, Sight) or not clear.rights.sees_personal:
        return "Personal data is masked: you do not have the right to see it. An administrator can give it to you."
    if clear.rights.denied or clear.hidden:
        return "Some fields are masked or left out: your groups do not have the right to see them."
    return "Sensitive data is masked: you do not have the right to see it."


def shown_identifier(code: str, value: str, *, personal: bool, clear: Clear) -> str:
    """The value of an identifier of the type `code`, masked when the type is `personal` or the value looks it."""
    if clear:
        return value
    sight = clear if isinstance(clear, Sight) else _MASKED
    classification = "personal" if personal else classification_of(code, value)
    seen = sight.rights.sees(code, classification) and not is_hidden(code, sight)
    return value if seen else masked(value)


def shown(key: str, value: Any, *, clear: Clear) -> Any:
    """`value` as it is when everything is `clear`, else with all masked in it that the reader has no right to.

    Lists and objects keep their shape: only the parts that are protected are masked, all of them where `key` is. `key`
    may be dotted. What is hidden from the reader is None.
    """
    if clear:
        return value
    return _shown(key, value, clear if isinstance(clear, Sight) else _MASKED, granted=False)


_MASKED = Sight(NOTHING)


def _shown(path: str, value: Any, sight: Sight, *, granted: bool) -> Any:
    key = path.rpartition(".")[2]
    if sight.hidden and (path in sight.hidden or key in sight.hidden):
        return None
    rights = sight.rights
    field = key if key in rights.denied or key in rights.granted else path
    granted = field not in rights.denied and (granted or field in rights.granted)
    if not granted and not rights.sees(field, _named(path, key)):
        return _masked(key, value, sensitive=_named(path, key) == "sensitive")
    if isinstance(value, dict):
        return {
            _name(name, rights): _shown(f"{path}.{name}" if path else str(name), part, sight, granted=granted)
            for name, part in value.items()
        }
    if isinstance(value, list):
        return [_shown(path, part, sight, granted=granted) for part in value]
    if granted or rights.sees(field, classification_of(path, value)):
        return value
    return _masked(key, value)


def _name(name: Any, rights: Rights) -> Any:
    """The name of a part of an object, which somebody may have filled with a value."""
    return name if rights.sees("", classification_of("", name)) else masked(name)


def _named(path: str, key: str) -> str:
    return "personal" if key in _PERSONAL_CONTEXT else classification_of(path)


def _masked(key: str, value: Any, *, sensitive: bool = False) -> Any:
    if isinstance(value, dict):
        return {_name(name, NOTHING): _masked(str(name), part, sensitive=sensitive) for name, part in value.items()}
    if isinstance(value, list):
        return [_masked(key, part, sensitive=sensitive) for part in value]
    if value is None or sensitive:
        return None if value is None else "***"
    folded = key.rpartition(".")[2].replace("_", "").replace("-", "").lower()
    return masked(value, name=folded in _NAMES)
