"""Profile fields that mean the same whichever provider or file they come from."""

import msgspec


class ProfileField(msgspec.Struct, frozen=True):
    """A field of a looked-up profile: its dotted path, and whether it tells who somebody is."""

    name: str
    label: str
    type: str = "any"
    personal: bool = False


STANDARD = {
    field.name: field
    for field in (
        ProfileField("customer_id", "Customer id", "text", personal=True),
        ProfileField("first_name", "First name", "text", personal=True),
        ProfileField("last_name", "Last name", "text", personal=True),
        ProfileField("email", "E-mail", "text", personal=True),
        ProfileField("phone", "Phone", "text", personal=True),
        ProfileField("gender", "Gender", "text", personal=True),
        ProfileField("country", "Country", "text"),
        ProfileField("city", "City", "text"),
        ProfileField("segment", "Segment", "text"),
        ProfileField("lifetime_value", "Lifetime value", "number"),
        ProfileField("purchase_count", "Purchases", "integer"),
        ProfileField("currency", "Currency", "text"),
    )
}
"""By name."""

SPELLINGS = {
    **{name: name for name in STANDARD},
    "firstName": "first_name",
    "lastName": "last_name",
    "lifetimeValue": "lifetime_value",
    "ltv": "lifetime_value",
    "purchaseCount": "purchase_count",
}
"""Column or trait → standard field."""

ATTRIBUTES = "attributes"
"""The group of everything that no mapping names."""
