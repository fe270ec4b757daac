"""What the catalogue says of a key, and what looks personal although no line says so."""

import re
import time

from cdp.traits.models import TraitDefinition

_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,190}\.[a-zA-Z]{2,}")
_LONG_NUMBER = re.compile(r"(?:\+|00)?(?:\d[ ()./-]?){8,18}\d")
_PERSONAL_KEY = re.compile(r"e-?mail|phone|first_?name|last_?name|surname|birth|passport|iban|ssn", re.IGNORECASE)
_KEEP_SECONDS = 5.0
_kept: tuple[float, frozenset[str]] | None = None


def personal_keys() -> frozenset[str]:
    """Keys that the catalogue classifies personal or sensitive; read again every few seconds."""
    global _kept  # noqa: PLW0603 - a cache of one value
    now = time.monotonic()
    if _kept is None or now - _kept[0] > _KEEP_SECONDS:
        rows = TraitDefinition.objects.filter(classification__in=("personal", "sensitive"))
        _kept = now, frozenset(rows.values_list("key", flat=True))
    return _kept[1]


def forget_catalogue() -> None:
    """Read the catalogue again at the next question: after an edit."""
    global _kept  # noqa: PLW0603
    _kept = None


def is_personal(key: str, value: object) -> bool:
    """Whether a trait may be shown only to those with the right: by catalogue, by its name or by how it looks."""
    if key in personal_keys() or _PERSONAL_KEY.search(key):
        return True
    if isinstance(value, str):
        return bool(_EMAIL.search(value) or _LONG_NUMBER.fullmatch(value.strip()))
    if isinstance(value, dict):
        return any(is_personal(str(inner), part) for inner, part in value.items())
    if isinstance(value, list):
        return any(is_personal("", part) for part in value)
    return False
