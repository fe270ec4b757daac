"""What looks personal by its name or its value, and what is left of a URL: the lake takes nothing that identifies."""

import re
from urllib.parse import urlsplit, urlunsplit

_WHOSE_NAME = (
    "first|last|full|middle|maiden|given|family|user|customer|display|nick|contact|recipient|holder|billing|shipping"
    "|person|owner|author|sender|buyer|guest"
)
_KEY = re.compile(
    rf"e-?mail|phone|(?<![a-z])mobile|msisdn|({_WHOSE_NAME})[._ -]?name|surname|birth(?![_ -]?year)|passport|iban|ssn"
    r"|street|post(al)?[_ -]?code|(^|[._ -])zip([._ -]?code)?$|address|card[_ -]?(number|no$|holder)|cvv|cvc|password"
    r"|token|(user|customer|anonymous|device|previous|session)[_ -]?id$|(^|[._ -])ip$|user[_ -]?agent",
    re.IGNORECASE,
)
_PLACE = re.compile(r"(^|[._ -])(city|country|region|state|country[_ -]?code)$", re.IGNORECASE)
_SEARCH = re.compile(
    r"(^|[._ -])(q|query|search|keywords?|search[_ -]?(query|terms?|text|string|phrase))$", re.IGNORECASE
)
_NUMBERED = re.compile(
    r"(^|[._ -])(order|product|checkout|cart|variant|invoice|sku|ean|gtin|coupon)([_ -]?(id|no|number))?$",
    re.IGNORECASE,
)

_SUSPECT = re.compile(r"@|%40|://|[?#]|\d[\d ()./+-]{7,}\d")
_EMAIL = re.compile(r"[^@\s]{1,64}(@|%40)[^@\s]{1,190}\.[a-zA-Z]{2,}")
_PHONE = re.compile(r"(?:\+|00)?\(?(?:\d[ ()./-]{0,2}){8,18}\d")
_PHONE_WITHIN = re.compile(r"(?<!\d)(?:\+|00)\d(?:[ ()./-]{0,2}\d){7,14}(?!\d)")
_CARD_WITHIN = re.compile(r"(?<!\d)[2-6](?:[ -]?\d){12,18}(?!\d)")
_LONG = 2000


def personal_key(key: str) -> bool:
    """Whether a value of this name must not enter: a name, a way to reach somebody, an identifier, a search."""
    return bool((_KEY.search(key) and not _PLACE.search(key)) or _SEARCH.search(key))


def numbered_key(key: str) -> bool:
    """Whether long numbers are usual under this name (an order's, a product's) and no telephone number."""
    return bool(_NUMBERED.search(key))


def kept_text(text: str, *, numbered: bool = False) -> str | None:
    """What the lake keeps of a text: None for one that looks personal, an address on the web without its query.

    The first 2,000 characters at most. `numbered`: a text that is one long number is no telephone number.
    """
    text = text[:_LONG]
    if _SUSPECT.search(text) is None:
        return text
    if "://" in text or text.startswith("/"):
        text = _without_query(text)
    if _EMAIL.search(text) or any(map(_is_card, _CARD_WITHIN.findall(text))):
        return None
    if not numbered and (_PHONE.fullmatch(text.strip()) or _PHONE_WITHIN.search(text)):
        return None
    return text


def personal_number(number: float) -> bool:
    """Whether a number looks like a payment card's: 13 to 19 digits with the right check digit and first digit."""
    return 10**12 <= number < 10**19 and number == int(number) and _is_card(str(int(number)))


def _is_card(text: str) -> bool:
    """ISO/IEC 7812: the Luhn check, and a first digit that payment cards have."""
    digits = [int(character) for character in text if character.isdigit()]
    if not 13 <= len(digits) <= 19 or digits[0] not in (2, 3, 4, 5, 6):
        return False
    doubled = sum(sum(divmod(2 * digit, 10)) for digit in digits[-2::-2])
    return (doubled + sum(digits[-1::-2])) % 10 == 0


def _without_query(url: str) -> str:
    """A URL or path without user, fragment and query, but for `utm_*`; what is no URL loses all after `?`."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return re.split(r"[?#]", url)[0]
    kept = "&".join(pair for pair in parts.query.split("&") if pair.lower().startswith("utm_"))
    return urlunsplit((parts.scheme, host, parts.path, kept, ""))
