"""Personal values as those see them who may not: the same shape, with the letters gone."""

from typing import Any

from cdp.access.rights import masked
from cdp.traits.catalogue import is_personal

_PERSONAL_CONTEXT = frozenset({"ip", "ipAddress", "userAgent"})


def shown(key: str, value: Any, *, clear: bool) -> Any:
    """`value` as it is when `clear`, else with everything masked in it that is personal by its key or its looks.

    Lists and objects keep their shape: only the parts that are personal are masked, all of them where `key` is.
    """
    if clear:
        return value
    if key in _PERSONAL_CONTEXT or is_personal(key, None):
        return _masked(value)
    if isinstance(value, dict):
        return {name: shown(str(name), part, clear=False) for name, part in value.items()}
    if isinstance(value, list):
        return [shown("", part, clear=False) for part in value]
    return _masked(value) if is_personal(key, value) else value


def _masked(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _masked(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_masked(part) for part in value]
    return None if value is None else masked(str(value))
