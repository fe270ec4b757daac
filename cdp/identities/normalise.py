"""One spelling per identifier (IDENTITY.md rules 2 and 3)."""

import re
import unicodedata
from functools import lru_cache

import phonenumbers

MAX_LENGTH = 200
_E164 = re.compile(r"\+[1-9]\d{6,14}")
_FILLER = re.compile(r"[0\-_. ]*")


def as_text(value: object) -> str | None:
    """An id as text: numbers are accepted (whole floats without `.0`), anything else but text is no id."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    return None


def normalised(code: str, value: str, *, region: str) -> str | None:
    """The spelling of `value` that is compared, or None when it cannot be an identifier of the type `code`.

    NFKC and trimmed; e-mail in lower case; phone as E.164 with `region` where it has no country code.
    """
    text = value.strip() if value.isascii() else unicodedata.normalize("NFKC", value).strip()
    if not text or len(text) > MAX_LENGTH or "\0" in text:
        return None
    if code == "email":
        text = text.lower()
        local, at, domain = text.partition("@")
        return text if at and local and domain and "@" not in domain and " " not in text else None
    if code == "phone":
        return _phone(text, region)
    return text


def is_filler(text: str) -> bool:
    """Whether a value is blank, all zeros or all dashes."""
    return _FILLER.fullmatch(text) is not None


@lru_cache(maxsize=20_000)
def _phone(text: str, region: str) -> str | None:
    compact = re.sub(r"[ ()./-]", "", text)
    if _E164.fullmatch(compact):
        return compact
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
