"""One vocabulary for what happened: 001's event types, 003's, and Segment's e-commerce names mapped onto them (E5).

`PAGE_VIEW … CUSTOM` are 001's; `PRODUCT_VIEW`, `ADD_TO_CART` and `EMAIL_OPEN` come from 003, which writes all in lower
case. What no line knows is `CUSTOM`; the name that was sent is always kept.
"""

TYPES = (
    "PAGE_VIEW", "BUTTON_CLICK", "FORM_SUBMIT", "QUOTE_REQUEST", "QUOTE_VIEW", "DOCUMENT_UPLOAD", "DOCUMENT_VIEW",
    "MESSAGE_SENT", "MESSAGE_READ", "PROFILE_UPDATE", "LOGIN", "LOGOUT", "PURCHASE", "POLICY_VIEW", "CLAIM_SUBMIT",
    "SEARCH", "PRODUCT_VIEW", "ADD_TO_CART", "EMAIL_OPEN", "CUSTOM",
)  # fmt: skip

_NAMES = {
    "order completed": "PURCHASE",
    "purchase": "PURCHASE",
    "completed order": "PURCHASE",
    "checkout completed": "PURCHASE",
    "product viewed": "PRODUCT_VIEW",
    "viewed product": "PRODUCT_VIEW",
    "product added": "ADD_TO_CART",
    "added product": "ADD_TO_CART",
    "email opened": "EMAIL_OPEN",
    "email open": "EMAIL_OPEN",
    "products searched": "SEARCH",
    "signed in": "LOGIN",
    "signed out": "LOGOUT",
    "button clicked": "BUTTON_CLICK",
    "form submitted": "FORM_SUBMIT",
    "page viewed": "PAGE_VIEW",
}
_TYPE_OF = _NAMES | {name.lower(): name for name in TYPES} | {name.lower().replace("_", " "): name for name in TYPES}


def event_type(call: str, name: str) -> str:
    """The type of a message by its call (`track`, `page`, …) and event name; ignores case."""
    if call == "track":
        return _TYPE_OF.get(name.strip().lower(), "CUSTOM")
    if call in ("page", "screen"):
        return "PAGE_VIEW"
    return "PROFILE_UPDATE" if call in ("identify", "group") else "CUSTOM"


def known_type(text: str) -> str | None:
    """The type that `text` names in 001's or 003's spelling, or None."""
    found = text.strip().upper()
    return found if found in TYPES else None
